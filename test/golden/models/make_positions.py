"""Random conversations through transformers' own placeholder expansion and get_rope_index.

Writes positions.json: per case the segments and, for ids and positions, a checksum. Where the
reference can, it gives them; the rule written out in normative.py must agree. What it cannot, the
rule gives alone, in cases of their own: silent videos beside videos with sound, which the reference
counts wrongly, and frame intervals for which its float64 order of tokens disagrees with its float32
order of positions. Qwen2-Audio: cumulative mask minus one, as its forward computes it.

    python test/golden/models/make_positions.py
"""

import json
import pathlib
import random
from types import SimpleNamespace

import numpy as np
import torch
import transformers
from transformers.models.qwen2_5_omni import modeling_qwen2_5_omni as modeling
from transformers.models.qwen2_5_omni.processing_qwen2_5_omni import Qwen2_5OmniProcessor

import normative

CASES = 1000
WRITTEN_RULE_CASES = 200
AUDIO_CASES = 1000
PRIME = 2147483647
TOKENS = {
    "audio": 143, "audio_bos": 144, "audio_eos": 145, "vision_bos": 146, "vision_eos": 147,
    "image": 149, "video": 150,
}
NAMES = {
    "audio": "<|AUDIO|>", "image": "<|IMAGE|>", "video": "<|VIDEO|>",
    "audio_bos": "<|audio_bos|>", "audio_eos": "<|audio_eos|>",
    "vision_bos": "<|vision_bos|>", "vision_eos": "<|vision_eos|>",
}
SECONDS = [1.0, 1.0, 1.0, 0.5, 0.25, 0.75, 1.5, 2.0, 4.0, 4.6875, 0.1, 0.333, 1.1085, 2 / 1.04]
# Frames per second at which the two orders of the reference differ.
ODD_FPS = [1.04, 2.08, 4.16, 1.3, 2.6, 5.2, 0.65]

rng = random.Random(20251)
processor = SimpleNamespace(
    image_processor=SimpleNamespace(merge_size=2), video_processor=SimpleNamespace(merge_size=2),
    **{key + "_token": name for key, name in NAMES.items()},
)
processor.get_chunked_index = lambda *args: Qwen2_5OmniProcessor.get_chunked_index(processor, *args)
Base = modeling.Qwen2_5OmniPreTrainedModelForConditionalGeneration
model = SimpleNamespace(spatial_merge_size=2)
model.get_llm_pos_ids_for_vision = lambda *a: Base.get_llm_pos_ids_for_vision(model, *a)
model.get_chunked_index = lambda *a: Base.get_chunked_index(model, *a)


def grid(frames):
    return [frames, 2 * rng.randint(1, 5), 2 * rng.randint(1, 5)]


def conversation(kinds=None):
    """["t", words], ["a", frames], ["i", grid], ["v", grid, s], ["w", grid, s, frames]."""
    sound = rng.random() < 0.6
    segments = [["t", rng.randint(0, 4)]]
    for _ in range(rng.randint(1, 5)):
        kind = rng.choice(kinds or ("aiww" if sound else "aivv"))
        if kind == "a":
            segments.append(["a", rng.randint(3, 400)])
        elif kind == "i":
            segments.append(["i", grid(1)])
        else:
            segments.append([kind, grid(rng.randint(1, 7)), rng.choice(SECONDS)])
            if kind == "w":
                segments[-1].append(rng.randint(3, 900))
        segments.append(["t", rng.randint(0, 3)])
    return segments


def audio_tokens(frames):
    return ((frames - 1) // 2 + 1 - 2) // 2 + 1


def chunk_orders_agree(segments, width):
    for segment in segments:
        if segment[0] != "w":
            continue
        values = np.repeat(np.arange(segment[1][0]), segment[1][1] * segment[1][2] // 4)
        exact = values * segment[2] * 25
        rounded = (torch.tensor(values) * torch.tensor(segment[2]).float() * 25).long().numpy()
        split = processor.get_chunked_index
        if split(exact, width) != split(rounded, width):
            return False
    return True


def checksum(values):
    """The same few lines are in the test: position-dependent, exact in doubles."""
    total = 0
    for i, value in enumerate(values):
        total = (total + (i % 65521 + 1) * (value + 1)) % PRIME
    return total


def run(segments, seconds_per_chunk):
    text, images, videos, seconds, lengths = "", [], [], [], []
    for kind, *rest in segments:
        if kind == "t":
            text += "".join(f"<{5 + i}>" for i in range(rest[0]))
        elif kind == "a":
            text += NAMES["audio_bos"] + NAMES["audio"] + NAMES["audio_eos"]
            lengths.append(rest[0])
        else:
            name = "image" if kind == "i" else "video"
            text += NAMES["vision_bos"] + NAMES[name] + NAMES["vision_eos"]
            (images if kind == "i" else videos).append(torch.tensor(rest[0]))
            if kind != "i":
                seconds.append(rest[1])
            if kind == "w":
                lengths.append(rest[2])
    sound = any(segment[0] == "w" for segment in segments)
    expanded = Qwen2_5OmniProcessor.replace_multimodal_special_tokens(
        processor, [text], iter([audio_tokens(n) for n in lengths]), iter(images), iter(videos),
        video_second_per_grid=iter(seconds), use_audio_in_video=sound, position_id_per_seconds=25,
        seconds_per_chunk=float(seconds_per_chunk),
    )[0]
    for key, name in NAMES.items():
        expanded = expanded.replace(name, f"<{TOKENS[key]}>")
    ids = [int(part) for part in expanded[1:-1].split("><")]
    model.config = SimpleNamespace(
        image_token_id=TOKENS["image"], video_token_id=TOKENS["video"],
        audio_token_id=TOKENS["audio"], vision_start_token_id=TOKENS["vision_bos"],
        audio_start_token_id=TOKENS["audio_bos"], position_id_per_seconds=25,
        seconds_per_chunk=seconds_per_chunk,
    )
    tensor = torch.tensor([ids])
    positions, delta = Base.get_rope_index(
        model, tensor, torch.stack(images) if images else None,
        torch.stack(videos) if videos else None, torch.ones_like(tensor), sound,
        torch.tensor(lengths) if lengths else None, torch.tensor(seconds) if seconds else None,
    )
    flat = positions[:, 0].reshape(-1).tolist()
    return [len(ids), checksum(ids), checksum(flat), int(delta) + len(ids)]


def by_rule(segments, seconds_per_chunk):
    prompt = normative.Prompt(TOKENS, 25, seconds_per_chunk)
    for kind, *rest in segments:
        if kind == "t":
            for word in range(rest[0]):
                prompt.text(5 + word)
        elif kind == "a":
            prompt.audio(audio_tokens(rest[0]))
        elif kind == "w":
            prompt.both(rest[0], rest[1], audio_tokens(rest[2]))
        else:
            prompt.vision("image" if kind == "i" else "video", rest[0], rest[1] if rest[1:] else 0)
    flat = [p for row in prompt.rows() for p in row]
    return [len(prompt.ids), checksum(prompt.ids), checksum(flat), prompt.after()]


def agreed():
    """Conversations on which the reference agrees with itself."""
    cases, skipped = [], 0
    while len(cases) < CASES:
        segments, seconds_per_chunk = conversation(), rng.choice([1, 2, 2])
        if not chunk_orders_agree(segments, 25 * seconds_per_chunk):
            skipped += 1
            continue
        expected = run(segments, seconds_per_chunk)
        assert by_rule(segments, seconds_per_chunk) == expected, segments
        cases.append([seconds_per_chunk, segments, *expected])
    print(f"{len(cases)} cases, {skipped} skipped for the order defect")
    return cases


def alone():
    """Conversations that only the written rule can do: half of each kind."""
    cases = []
    while len(cases) < WRITTEN_RULE_CASES:
        mixed = len(cases) % 2 == 0
        segments = conversation("aivww" if mixed else "aiwww")
        seconds_per_chunk = rng.choice([1, 2])
        found = {segment[0] for segment in segments}
        if mixed and not {"v", "w"} <= found:
            continue
        if not mixed:
            for segment in segments:
                if segment[0] == "w":
                    segment[1][0], segment[2] = rng.randint(8, 60), 2 / rng.choice(ODD_FPS)
                    segment[1][1:] = [2, 2 * rng.randint(1, 2)]
            if chunk_orders_agree(segments, 25 * seconds_per_chunk):
                continue
        cases.append([seconds_per_chunk, segments, *by_rule(segments, seconds_per_chunk)])
    return cases


def audio_conversations():
    """Of Qwen2-Audio: ["t", words] and ["a", frames]; its forward: mask.cumsum(-1) - 1, pads 1."""
    cases = []
    while len(cases) < AUDIO_CASES:
        segments, length = [["t", rng.randint(0, 4)]], 0
        for _ in range(rng.randint(1, 4)):
            segments += [["a", rng.randint(3, 3000)], ["t", rng.randint(0, 3)]]
        for kind, count in segments:
            length += count if kind == "t" else audio_tokens(count) + 2
        positions = (torch.ones(1, length).long().cumsum(-1) - 1).masked_fill_(
            torch.ones(1, length) == 0, 1)[0].tolist()
        cases.append([segments, length, checksum(positions), positions[-1] + 1])
    return cases


def main():
    path = pathlib.Path(__file__).with_name("positions.json")
    compact = lambda cases: ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases)
    versions = json.dumps({"transformers": transformers.__version__, "torch": torch.__version__})
    head = f'{{"versions":{versions},"tokens":{json.dumps(TOKENS)}'
    agreeing, ruled = compact(agreed()), compact(alone())
    path.write_text(f'{head},"cases":[\n{agreeing}\n],\n"rule":[\n{ruled}\n]}}\n')
    path.with_name("audio-positions.json").write_text(
        f'{{"versions":{versions},"cases":[\n{compact(audio_conversations())}\n]}}\n')


if __name__ == "__main__":
    main()
