"""The numbers of `aubade verify` by transformers, for a checkpoint of any family.

    python scripts/verify.py MODEL [--dtype float32|bfloat16] [--out FILE.json]

Prints the same lines as `aubade verify MODEL` and writes the same report, with which
`aubade verify MODEL --against FILE.json` compares itself. Prompts, pictures and sounds are made by
the formulas of src/inspect/verify-prompts.ts; positions are those of transformers. docs/verify.md
explains.
Needs transformers 4.57.6, torch, numpy.
"""

import argparse
import json
import os

import numpy as np
import torch
import transformers

IMAGE, VIDEO, SOUND, SOUNDTRACK = (1, 8, 12), (2, 8, 8), 200, 100
BEFORE = [151644, 8948, 198, 2610, 525, 264, 10950, 17847, 13, 151645, 198, 151644, 872, 198]
AFTER = [74785, 1128, 374, 2661, 1588, 304, 825, 11652, 13, 151645, 198, 151644, 77091, 198]
CLASSES = {
    "qwen2_5_omni": "Qwen2_5OmniThinkerForConditionalGeneration",
    "qwen2_5_omni_thinker": "Qwen2_5OmniThinkerForConditionalGeneration",
    "qwen2_5_vl": "Qwen2_5_VLForConditionalGeneration",
    "qwen2_audio": "Qwen2AudioForConditionalGeneration",
}


def token(config, kind):
    names = [f"{kind}_token_{end}" for end in ("id", "index")]
    return next((v for n in names if isinstance(v := getattr(config, n, None), int)), None)


def words(config):
    lowest = min(t for k in ("audio", "image", "video") if (t := token(config, k)) is not None)
    if lowest >= 151646:
        return BEFORE, AFTER
    ids = [5 + (7919 * (i + 1)) % (lowest - 15) for i in range(15)]
    return ids[:6], ids[6:]


def audio_rows(frames):
    return ((frames - 1) // 2 + 1 - 2) // 2 + 1


def patches(grid, vision, still):
    """[patches, values] of a moving pattern, in the order of the processors."""
    t, h, w = grid
    m, p, f = vision.spatial_merge_size, vision.patch_size, vision.temporal_patch_size
    channels = getattr(vision, "in_channels", None) or vision.in_chans
    y, x = np.arange(h * p)[:, None], np.arange(w * p)[None, :]
    plane = 3 * x + 5 * y + 40 * (x // 16 + y // 16)
    frame = np.zeros(t * f, int) if still else np.arange(t * f)
    level = plane + 64 * np.arange(channels)[:, None, None] + 32 * frame[:, None, None, None]
    v = ((level % 256) - 128).astype(np.float32) / np.float32(64)  # [frames, channels, y, x]
    v = v.reshape(t, f, channels, h // m, m, p, w // m, m, p).transpose(0, 3, 6, 4, 7, 2, 1, 5, 8)
    return torch.from_numpy(v.reshape(t * h * w, -1).copy())


def mel(frames, bins, columns):
    m, t = np.arange(bins)[:, None], np.arange(columns)[None, :]
    v = ((7 * m + 13 * t + (t // 8) * m) % 97) / np.float32(64) - np.float32(0.75)
    v = v.astype(np.float32)
    mask = (torch.arange(columns) < frames).long()
    return {"input_features": torch.from_numpy(v)[None], "feature_attention_mask": mask[None]}


def prompts(config):
    """Name and inputs of every prompt."""
    before, after = words(config)
    vision, sound = getattr(config, "vision_config", None), getattr(config, "audio_config", None)
    audio, image, video = (token(config, kind) for kind in ("audio", "image", "video"))

    def ids(*middle):
        return {"input_ids": torch.tensor([[*before, *middle, *after]])}

    def pictures(kind, grid):
        name = "pixel_values" if kind == "image" else "pixel_values_videos"
        pixels = patches(grid, vision, kind == "image")
        return {name: pixels, f"{kind}_grid_thw": torch.tensor([grid])}

    def rows(grid):
        return int(np.prod(grid)) // vision.spatial_merge_size**2

    yield "text", ids()
    if vision is not None:
        first, last = config.vision_start_token_id, config.vision_end_token_id
        seconds = "second_per_grid_ts" if sound is None else "video_second_per_grid"
        timed = {**pictures("video", VIDEO), seconds: torch.ones(1)}
        yield "image", {**ids(first, *[image] * rows(IMAGE), last), **pictures("image", IMAGE)}
        yield "video", {**ids(first, *[video] * rows(VIDEO), last), **timed}
    if sound is not None:
        begin = getattr(config, "audio_start_token_id", None) or audio + 1
        end = getattr(config, "audio_end_token_id", None) or audio + 2
        fixed = 2 * sound.max_source_positions if vision is None else None
        frames = min(SOUND, fixed or SOUND)
        features = mel(frames, sound.num_mel_bins, fixed or frames)
        yield "audio", {**ids(begin, *[audio] * audio_rows(frames), end), **features}
    if vision is not None and sound is not None:
        # Slices stand at the positions 0 and 25: in one chunk with the sound, or in two.
        width = int(config.position_id_per_seconds * config.seconds_per_chunk)
        cells, heard = rows(VIDEO), audio_rows(SOUNDTRACK)
        early = cells if width > 25 else cells // 2
        assert heard == 25 and width >= 25 and config.position_id_per_seconds == 25
        middle = [*[video] * early, *[audio] * heard, *[video] * (cells - early)]
        features = mel(SOUNDTRACK, sound.num_mel_bins, SOUNDTRACK)
        flag = {"use_audio_in_video": True}
        whole = ids(first, begin, *middle, end, last)
        yield "video-with-sound", {**whole, **timed, **features, **flag}


def facts(values, shape=None):
    flat = values.detach().float().reshape(-1).numpy()
    wide = flat.astype(np.float64)
    count = min(256, len(flat))
    # The shortest decimals that are these float32 values.
    strided = [float(str(flat[i * len(flat) // count])) for i in range(count)]
    shape = list(shape or values.shape)
    norm = float(np.sqrt((wide**2).sum()))
    return {"shape": shape, "norm": norm, "mean": float(wide.mean()), "strided": strided}


class Towers:
    """Catches the rows that the towers give."""

    def __init__(self, model):
        self.rows, self.lengths = {}, None
        owner = model.model if hasattr(model, "model") and hasattr(model.model, "visual") else model
        modules = {"visual": "vision", "audio_tower": "audio", "multi_modal_projector": "audio"}
        for module, tower in modules.items():
            if hasattr(owner, module):
                getattr(owner, module).register_forward_hook(self.catch(tower))

    def catch(self, tower):
        def hook(module, arguments, out):
            out = getattr(out, "last_hidden_state", out)
            # Qwen2-Audio's projector gives rows of padding as well.
            self.rows[tower] = out if out.dim() == 2 else out[0, : self.lengths]

        return hook


def run(model, inputs, towers):
    config = model.config
    dtype = next(model.parameters()).dtype
    features = ("pixel_values", "pixel_values_videos", "input_features")
    call = {k: v.to(dtype) if k in features else v for k, v in inputs.items()}
    call["attention_mask"] = torch.ones_like(call["input_ids"])
    towers.rows = {}
    if "feature_attention_mask" in call:
        towers.lengths = audio_rows(int(call["feature_attention_mask"].sum()))
    with torch.no_grad():
        out = model(**call, use_cache=False, output_hidden_states=True)
        banned = [t for k in ("audio", "image", "video") if (t := token(config, k)) is not None]
        model.generation_config.eos_token_id = None
        ids = model.generate(
            **call, max_new_tokens=16, do_sample=False, suppress_tokens=banned, pad_token_id=0,
            temperature=None, top_k=None, top_p=None, repetition_penalty=1.0,
        )[0, call["input_ids"].shape[1] :]  # fmt: skip
    heard = [name for name in ("vision", "audio") if name in towers.rows]
    tensors = {f"{name}_embeds": facts(towers.rows[name]) for name in heard}
    for i, hidden in enumerate(out.hidden_states):
        tensors[f"hidden_states.{i}"] = facts(hidden[0])
    last = out.logits[0, -1].float()
    tensors["logits"] = facts(last)
    best = last.topk(5)
    top = [[int(i), float(v)] for i, v in zip(best.indices, best.values)]
    return {"tensors": tensors, "top": top, "ids": ids.tolist()}


def lines(prompt, found):
    for name, t in found["tensors"].items():
        total = sum(v * ((7919 * i) % 101 / 50 - 1) for i, v in enumerate(t["strided"]))
        numbers = [t["norm"], t["mean"], *t["strided"][:3], total]
        shape = ", ".join(map(str, t["shape"]))
        yield f"{prompt} {name} [{shape}] " + " ".join(f"{v:.6e}" for v in numbers)
    yield f"{prompt} top " + " ".join(f"{i}:{v:.6e}" for i, v in found["top"])
    yield f"{prompt} ids " + " ".join(map(str, found["ids"]))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--out")
    options = parser.parse_args()
    with open(os.path.join(options.model, "config.json"), encoding="utf8") as file:
        kind = json.load(file)["model_type"]
    model = getattr(transformers, CLASSES[kind]).from_pretrained(
        options.model, dtype=getattr(torch, options.dtype), attn_implementation="eager"
    )
    model.eval()
    towers = Towers(model)
    program = f"transformers {transformers.__version__}"
    report = {"version": 1, "program": program, "dtype": options.dtype, "prompts": {}}
    for name, inputs in prompts(model.config):
        found = run(model, inputs, towers)
        report["prompts"][name] = found
        for line in lines(name, found):
            print(line, flush=True)
    if options.out:
        with open(options.out, "w", encoding="utf8") as file:
            json.dump(report, file)


if __name__ == "__main__":
    main()
