"""Writes shards.json: how huggingface_hub divides tensors of given sizes among files.
Run: python test/golden/io/make_shards.py (the version is in shards.json)."""

import json
import pathlib
import random

import huggingface_hub
from huggingface_hub.serialization._base import split_state_dict_into_shards_factory

random.seed(11)
cases = []
for number in range(60):
    limit = random.choice([1, 7, 64, 100, 1000])
    sizes = [
        random.choice([0, limit, limit + 1, random.randint(0, 2 * limit), random.randint(0, limit)])
        for _ in range(random.randint(1, 12))
    ]
    split = split_state_dict_into_shards_factory(
        {f"t{i}": size for i, size in enumerate(sizes)},
        get_storage_size=lambda size: size,
        filename_pattern="model{suffix}.safetensors",
        max_shard_size=limit,
    )
    assert split.metadata == {"total_size": sum(sizes)}
    files = {
        file: [int(name[1:]) for name in names] for file, names in split.filename_to_tensors.items()
    }
    cases.append({"limit": limit, "sizes": sizes, "files": files})

path = pathlib.Path(__file__).parent / "shards.json"
lines = ",\n".join(json.dumps(case) for case in cases)
version = json.dumps(huggingface_hub.__version__)
path.write_text(f'{{"huggingface_hub": {version}, "cases": [\n{lines}\n]}}\n')
