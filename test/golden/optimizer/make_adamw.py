"""Writes adamw.json: five steps of torch.optim.AdamW after clip_grad_norm_, in float64.

Run with torch 2: python test/golden/optimizer/make_adamw.py
"""

import json
import pathlib

import torch

CASES = [
    dict(lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01, max_norm=1.0),
    dict(lr=0.1, betas=(0.5, 0.9), eps=1e-2, weight_decay=0.3, max_norm=1e9),
    dict(lr=2e-5, betas=(0.9, 0.95), eps=1e-6, weight_decay=0.0, max_norm=0.25),
]


def f32(tensor):
    """Rounds to float32, so that the GPU starts from the same numbers."""
    return tensor.float().double()


def run(case, seed):
    generator = torch.Generator().manual_seed(seed)
    start = f32(torch.randn(37, generator=generator, dtype=torch.float64))
    param = torch.nn.Parameter(start.clone())
    optimizer = torch.optim.AdamW(
        [param], lr=case["lr"], betas=case["betas"], eps=case["eps"],
        weight_decay=case["weight_decay"], foreach=False,
    )
    steps = []
    for _ in range(5):
        grad = f32(torch.randn(37, generator=generator, dtype=torch.float64))
        grad[0] = 0.0
        grad[1] = f32(torch.tensor(1e-12, dtype=torch.float64))
        grad[2] *= 1000.0
        grad = f32(grad)
        param.grad = grad.clone()
        norm = torch.nn.utils.clip_grad_norm_([param], case["max_norm"])
        optimizer.step()
        state = optimizer.state[param]
        steps.append(dict(
            grad=grad.tolist(), norm=float(norm), param=param.detach().tolist(),
            m=state["exp_avg"].tolist(), v=state["exp_avg_sq"].tolist(),
        ))
    return dict(**case, start=start.tolist(), steps=steps)


torch.use_deterministic_algorithms(True)
path = pathlib.Path(__file__).with_name("adamw.json")
result = dict(torch=torch.__version__, cases=[run(case, seed) for seed, case in enumerate(CASES)])
path.write_text(json.dumps(result) + "\n")
