"""Holds a file of `aubade dump` against transformers: same inputs, all outputs, all gradients.

    python test/golden/dump/compare.py MODEL DUMP.safetensors [--limit 1e-5] [--grad-limit 1e-4]

Runs the checkpoint MODEL in f32 (eager attention, CPU) on the inputs in the dump and prints the
relative L2 distance of every tensor, then the worst. Ends with 1 when one is above its limit.
Padding is left out. transformers 4.57.6, torch, safetensors; no part of aubade itself.
"""

import argparse
import json
import os
import sys

import torch
import transformers
from safetensors import safe_open

KEYS = (
    "input_ids attention_mask position_ids pixel_values image_grid_thw pixel_values_videos "
    "video_grid_thw input_features feature_attention_mask labels"
).split()


def load(folder, dtype=torch.float32):
    with open(os.path.join(folder, "config.json"), encoding="utf8") as file:
        kind = json.load(file)["model_type"]
    classes = {
        "qwen2_5_omni": "Qwen2_5OmniThinkerForConditionalGeneration",
        "qwen2_5_omni_thinker": "Qwen2_5OmniThinkerForConditionalGeneration",
        "qwen2_5_vl": "Qwen2_5_VLForConditionalGeneration",
        "qwen2_audio": "Qwen2AudioForConditionalGeneration",
    }
    model = getattr(transformers, classes[kind]).from_pretrained(
        folder, dtype=dtype, attn_implementation="eager"
    )
    return kind, model.eval()


def plain(name):
    """One spelling for the names on disk and those of modules."""
    for old, new in (
        ("thinker.", ""),
        ("model.visual.", "visual."),
        ("model.language_model.", "model."),
        ("language_model.", ""),
    ):
        if name.startswith(old):
            name = new + name[len(old) :]
    return name


def audio_rows(length):
    return ((length - 1) // 2 + 1 - 2) // 2 + 1


class Towers:
    """Catches what the towers give."""

    def __init__(self, kind, model, inputs):
        self.pictures, self.sound, self.kind, self.inputs = [], None, kind, inputs
        owner = getattr(model, "model", model) if kind == "qwen2_5_vl" else model
        if hasattr(owner, "visual"):
            owner.visual.register_forward_hook(lambda m, a, out: self.pictures.append(out))
        sounding = "multi_modal_projector" if kind == "qwen2_audio" else "audio_tower"
        if hasattr(owner, sounding):
            getattr(owner, sounding).register_forward_hook(self.hear)

    def hear(self, module, arguments, out):
        if self.kind == "qwen2_audio":
            lengths = self.inputs["feature_attention_mask"].sum(-1).tolist()
            out = torch.cat([clip[: audio_rows(n)] for clip, n in zip(out, lengths)])
        self.sound = getattr(out, "last_hidden_state", out)

    def named(self):
        names = {"image": "pixel_values", "video": "pixel_values_videos"}
        kinds = [kind for kind, name in names.items() if name in self.inputs]
        found = {f"{k}_embeds": out for k, out in zip(kinds, self.pictures)}
        return found | ({} if self.sound is None else {"audio_embeds": self.sound})


def forward(kind, model, inputs, **more):
    if kind == "qwen2_audio" and "input_features" not in inputs:
        inputs = {k: v for k, v in inputs.items() if k != "feature_attention_mask"}
    return model(**inputs, use_cache=False, **more)


def greedy(kind, model, inputs, count, banned, length):
    """Greedy ids without a cache after the first `length` tokens of a single row."""
    ids, positions = inputs["input_ids"][:, :length], inputs["position_ids"][..., :length]
    fixed = {k: v for k, v in inputs.items() if k not in ("labels", "attention_mask")}
    found, margins = [], []
    for _ in range(count):
        own = {"input_ids": ids, "position_ids": positions}
        call = {**fixed, **own, "attention_mask": torch.ones_like(ids)}
        with torch.no_grad():
            logits = forward(kind, model, call).logits[0, -1].float()
        logits[banned] = -torch.inf
        best = logits.topk(2)
        found.append(best.indices[0].item())
        margins.append((best.values[0] - best.values[1]).item())
        ids = torch.cat([ids, best.indices[:1][None]], 1)
        following = (positions.amax() + 1).expand(*positions.shape[:-1], 1)
        positions = torch.cat([positions, following], -1)
    return found, margins


def suppressed(facts, rows):
    """Rows of the vocabulary that the dump says it never takes: placeholders, and those without a token."""
    said = json.loads(facts["suppressed"])
    return sorted({*said["ids"], *range(said["from"], rows)})


def distance(got, want):
    want = want.double()
    error = (got.double() - want).norm()
    return (error / want.norm().clamp(min=1e-300)).item() if want.norm() > 0 else error.item()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("dump")
    parser.add_argument("--limit", type=float, default=1e-5)
    parser.add_argument("--grad-limit", type=float, default=1e-4)
    options = parser.parse_args()
    kind, model = load(options.model)
    with safe_open(options.dump, "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}
        facts = file.metadata()
    inputs = {k: tensors[k] for k in KEYS if k in tensors}
    towers = Towers(kind, model, inputs)
    out = forward(kind, model, inputs, output_hidden_states=True)
    wanted = {f"hidden_states.{i}": h for i, h in enumerate(out.hidden_states)}
    wanted |= {"logits": out.logits} | towers.named()
    if "loss" in tensors:
        wanted["loss"] = out.loss
        out.loss.backward()
        found = [(n, p.grad) for n, p in model.named_parameters() if p.grad is not None]
        wanted |= {f"grad.{plain(name)}": gradient for name, gradient in found}
    mask = inputs["attention_mask"].bool()
    worst = {"outputs": (0.0, "-"), "gradients": (0.0, "-")}
    failed = False
    compared = set()
    for name, got in tensors.items():
        key = f"grad.{plain(name[5:])}" if name.startswith("grad.") else name
        if key not in wanted:
            continue
        compared.add(key)
        want = wanted[key].detach()
        if key.startswith("hidden_states.") or key == "logits":
            got, want = got[mask], want[mask]
        error = distance(got.reshape(want.shape), want)
        group = "gradients" if key.startswith("grad.") else "outputs"
        worst[group] = max(worst[group], (error, name))
        failed |= error > (options.grad_limit if group == "gradients" else options.limit)
        if group == "outputs":
            print(f"{name:20} {str(list(got.shape)):20} {error:.2e}")
    missing = sorted(set(wanted) - compared)
    if missing:
        failed = True
        print("not in the dump:", " ".join(missing))
    if "generated_ids" in tensors and len(mask) == 1:
        length = json.loads(facts["prompt_length"])[0]
        got = tensors["generated_ids"][0].tolist()
        banned = suppressed(facts, out.logits.shape[-1])
        want, margins = greedy(kind, model, inputs, len(got), banned, length)
        same = got == want
        failed |= not same
        said = "equal" if same else f"differ: {got} instead of {want}"
        print("generated_ids", said, f"(least margin {min(margins):.1e})")
    for group, (error, name) in worst.items():
        if name != "-":
            print(f"worst of {group}: {error:.2e} {name}")
    print("differs" if failed else "ok", f"({len(compared)} tensors compared)")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
