"""Writes small.safetensors and small.json: what the Python safetensors library makes of known
tensors. Run: python test/golden/io/make_safetensors.py (versions are in small.json)."""

import json
import pathlib

import numpy
import safetensors
import torch
from safetensors.torch import save_file

here = pathlib.Path(__file__).parent
generator = torch.Generator().manual_seed(7)
normal = torch.randn(3, 5, generator=generator)
tensors = {
    "b.weight": normal.to(torch.bfloat16),
    "a.weight": (normal * 1e-3).to(torch.float16),
    "z.f32": torch.tensor([0.0, -0.0, 1e-45, 3.4e38, float("inf"), -1.5]),
    "10": torch.tensor([1, 2, 4294967295], dtype=torch.uint32),
    "9": torch.tensor([[-1], [2147483647]], dtype=torch.int32),
    "long": torch.tensor([2**40, -3], dtype=torch.int64),
    "bytes": torch.arange(7, dtype=torch.uint8),
    "empty": torch.zeros(0, 4),
    "scalar": torch.tensor(2.5),
    "name \u00e9 \"quoted\"": torch.tensor([1.0]),
}
save_file(tensors, here / "small.safetensors", metadata={"format": "pt"})
listing = {
    name: {
        "dtype": str(tensor.dtype).removeprefix("torch."),
        "shape": list(tensor.shape),
        "bytes": tensor.contiguous().reshape(-1).view(torch.uint8).tolist(),
        "f32": [
            None if not numpy.isfinite(v) else v for v in tensor.float().reshape(-1).tolist()
        ],
    }
    for name, tensor in tensors.items()
}
versions = {"safetensors": safetensors.__version__, "torch": torch.__version__}
(here / "small.json").write_text(json.dumps({"versions": versions, "tensors": listing}) + "\n")
