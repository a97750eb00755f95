"""Random conversations through two independent statements of Qwen2.5-VL's positions.

`layout` is the rule of Qwen's training code written out in numpy float32 (temporal step of a
video: trunc((t * s) * tokens_per_second), first t * s, both rounded to float32; an image has no
step; what follows a run starts at its largest position of any axis plus one). transformers 4.57.6
states the same rule, except that it casts s to int64 first: `float_rope_index` is its
get_rope_index with that one cast taken out. The script stops where the two differ, and where the
untouched get_rope_index differs for whole s.

    python test/golden/vl/make_positions.py                              # positions.json
    python test/golden/vl/make_positions.py --count 5000 --out FILE      # more of them
"""

import argparse
import inspect
import json
import pathlib
import random
import textwrap
from types import SimpleNamespace

import numpy as np
import torch
import transformers
from transformers.models.qwen2_5_vl import modeling_qwen2_5_vl as modeling

PRIME = 2147483647
TOKENS = {"vision_start": 146, "vision_end": 147, "image": 149, "video": 150}
SECONDS = [1.0, 1.0, 2.0, 2.0, 4.0, 0.5, 0.25, 0.75, 1.5, 4.6875, 0.1, 0.333, 1.1085, 2 / 1.04]
Model = modeling.Qwen2_5_VLModel


def cells(grid):
    return grid[0] * grid[1] * grid[2] // 4


def layout(segments, tokens, tokens_per_second):
    """ids and positions [3][S] of segments: a list of ids, ("image", grid), ("video", grid, s)."""
    ids, pos, nxt = [], [], 0
    for seg in segments:
        if isinstance(seg, list):
            for token in seg:
                ids.append(token)
                pos.append((nxt,) * 3)
                nxt += 1
            continue
        kind, (frames, height, width), *rest = seg
        s = np.float32(rest[0] if kind == "video" else 0)
        ids.append(tokens["vision_start"])
        pos.append((nxt,) * 3)
        base = nxt + 1
        run = []
        for t in range(frames):
            step = int(np.float32(np.float32(t) * s) * np.float32(tokens_per_second))
            for y in range(height // 2):
                for x in range(width // 2):
                    run.append((base + step, base + y, base + x))
        ids += [tokens[kind]] * len(run)
        pos += run
        nxt = max(map(max, run)) + 1
        ids.append(tokens["vision_end"])
        pos.append((nxt,) * 3)
        nxt += 1
    return ids, [[p[axis] for p in pos] for axis in range(3)]


def without_integer_cast():
    """transformers' get_rope_index, in which second_per_grid_ts stays a float32."""
    source = textwrap.dedent(inspect.getsource(Model.get_rope_index))
    cast = "second_per_grid_t, dtype=range_tensor.dtype, device"
    assert source.count(cast) == 1
    space = dict(vars(modeling))
    exec(source.replace(cast, "second_per_grid_t, dtype=torch.float32, device"), space)
    return space["get_rope_index"]


float_rope_index = without_integer_cast()


def reference(segments, ids, tokens, tokens_per_second):
    """Positions [3][S] and the next position, from transformers, checked as said above."""
    host = SimpleNamespace(config=SimpleNamespace(
        vision_config=SimpleNamespace(spatial_merge_size=2, tokens_per_second=tokens_per_second),
        image_token_id=tokens["image"], video_token_id=tokens["video"],
        vision_start_token_id=tokens["vision_start"]))
    media = [s for s in segments if not isinstance(s, list)]
    grids = lambda kind: torch.tensor([list(s[1]) for s in media if s[0] == kind])
    images, videos = grids("image"), grids("video")
    seconds = torch.tensor([float(s[2]) for s in media if s[0] == "video"])
    row = torch.tensor([ids])
    args = (row, images if len(images) else None, videos if len(videos) else None,
            seconds if len(videos) else None, torch.ones_like(row))
    positions, delta = float_rope_index(host, *args)
    if bool((seconds == seconds.long()).all()):
        assert torch.equal(Model.get_rope_index(host, *args)[0], positions)
    flat = positions[:, 0].tolist()
    assert layout(segments, tokens, tokens_per_second) == (ids, flat), segments
    assert max(map(max, flat)) + 1 == int(delta) + len(ids)
    return flat, int(delta) + len(ids)


def checksum(values):
    """The same few lines as in ../models/make_positions.py."""
    total = 0
    for i, value in enumerate(values):
        total = (total + (i % 65521 + 1) * (value + 1)) % PRIME
    return total


def conversation(rng):
    """Segments as stored: ["t", words], ["i", grid], ["v", grid, s]."""
    grid = lambda frames: [frames, 2 * rng.randint(1, 6), 2 * rng.randint(1, 6)]
    segments = [["t", rng.randint(0, 4)]]
    for _ in range(rng.randint(1, 5)):
        if rng.random() < 0.4:
            segments.append(["i", grid(1)])
        else:
            segments.append(["v", grid(rng.randint(1, 9)), rng.choice(SECONDS)])
        segments.append(["t", rng.randint(0, 3)])
    return segments


def case(segments, tokens_per_second):
    spelled = [list(range(5, 5 + s[1])) if s[0] == "t" else
               ({"i": "image", "v": "video"}[s[0]], *s[1:]) for s in segments]
    ids, _ = layout(spelled, TOKENS, tokens_per_second)
    positions, nxt = reference(spelled, ids, TOKENS, tokens_per_second)
    return ids, positions, nxt


# The examples of Qwen's rule that a reader may want to see whole.
WRITTEN_OUT = [
    [["t", 2], ["i", [1, 4, 6]], ["t", 2]], [["t", 2], ["v", [4, 4, 4], 1.0], ["t", 2]],
    [["t", 2], ["v", [4, 4, 4], 0.5], ["t", 2]], [["t", 2], ["v", [4, 4, 4], 0.333], ["t", 2]],
    [["t", 1], ["v", [3, 2, 2], 2.0], ["t", 0], ["i", [1, 6, 2]], ["t", 1]], [["t", 5]],
    [["t", 0], ["v", [1, 4, 4], 4.0], ["t", 1], ["v", [2, 2, 8], 1.1085], ["t", 1]],
]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=20252)
    parser.add_argument("--out", default=pathlib.Path(__file__).with_name("positions.json"))
    options = parser.parse_args()
    rng = random.Random(options.seed)
    cases, written = [], []
    for _ in range(options.count):
        segments, per_second = conversation(rng), rng.choice([2, 2, 2, 4, 25])
        ids, positions, nxt = case(segments, per_second)
        flat = [p for axis in positions for p in axis]
        cases.append([per_second, segments, len(ids), checksum(ids), checksum(flat), nxt])
    for segments in WRITTEN_OUT:
        ids, positions, nxt = case(segments, 2)
        written.append(dict(tokens_per_second=2, segments=segments, input_ids=ids,
                            position_ids=positions, next_position=nxt))
    compact = lambda rows: ",\n".join(json.dumps(r, separators=(",", ":")) for r in rows)
    versions = json.dumps({"transformers": transformers.__version__, "torch": torch.__version__})
    pathlib.Path(options.out).write_text(
        f'{{"versions":{versions},"tokens":{json.dumps(TOKENS)},"cases":[\n{compact(cases)}\n],\n'
        f'"written_out":[\n{compact(written)}\n]}}\n')
    print(f"{len(cases)} conversations agree, {len(written)} written out")


if __name__ == "__main__":
    main()
