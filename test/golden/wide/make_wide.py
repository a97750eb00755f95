"""Goldens of the three families at their real widths, two layers a part, from transformers 4.57.6.

The weights are hashes of their names (wide_values.py), so nothing large is stored: this script fills
a transformers model with them (bf16 values in float32, eager attention, CPU, one thread), and
test/helpers/wide-checkpoint.ts writes the same checkpoint for the code under test. README.md says
what the files hold. Run from anywhere, one model at a time (7 GB of memory for omni-7b):

    python make_wide.py                 # all three
    python make_wide.py vl-3b           # some
"""

import json
import math
import os
import sys
import time

import numpy as np
import torch
import transformers
from safetensors.torch import save_file
from transformers import (
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5OmniConfig,
    Qwen2_5OmniThinkerForConditionalGeneration,
    Qwen2AudioConfig,
    Qwen2AudioForConditionalGeneration,
)
from transformers.modeling_utils import no_init_weights

from wide_values import HERE, RECIPE, fill, wide_input

MANIFESTS = os.path.join(os.path.dirname(HERE), "manifests")
STRIDE, LOGIT_STRIDE, LOGIT_ROWS, TOP, GREEDY = 97, 31, 2, 8, 8

# Another order of summation is enough to change the last bits of these files.
torch.backends.mkldnn.enabled = False
torch.use_deterministic_algorithms(True)
torch.set_num_threads(1)


# ---------------------------------------------------------------------------------------------
# Configuration and weights
# ---------------------------------------------------------------------------------------------


def wide_config(name):
    """The released config.json with the overrides of recipe.json."""
    with open(os.path.join(MANIFESTS, name, "config.json")) as f:
        config = json.load(f)
    for path, value in RECIPE["overrides"][name].items():
        *sections, key = path.split(".")
        at = config
        for section in sections:
            at = at[section]
        at[key] = value
    return config


def wide_tensors(name):
    """Hub name to shape: the manifest, cut to two layers a part."""
    with open(os.path.join(MANIFESTS, name, "tensors.json")) as f:
        entries = json.load(f)["tensors"]
    out = {}
    for e in entries:
        for i in range(min(e.get("count", 1), RECIPE["layers"])):
            out[e["pattern"].replace("{}", str(i))] = e["shape"]
    return out


def float32(config):
    """The configuration without the type that each part would be built in."""
    if not isinstance(config, dict):
        return config
    return {k: float32(v) for k, v in config.items() if k != "torch_dtype"}


def empty_model(name):
    """The transformers model in float32 with eager attention, its weights not set."""
    config = float32(wide_config(name))
    if name == "omni-7b":
        cls = Qwen2_5OmniThinkerForConditionalGeneration
        config = Qwen2_5OmniConfig.from_dict(config).thinker_config
    elif name == "vl-3b":
        cls, config = Qwen2_5_VLForConditionalGeneration, Qwen2_5_VLConfig.from_dict(config)
    else:
        cls, config = Qwen2AudioForConditionalGeneration, Qwen2AudioConfig.from_dict(config)
    with no_init_weights():
        model = cls._from_config(config, attn_implementation="eager", dtype=torch.float32)
    model.tie_weights()
    for module in model.modules():
        if hasattr(module, "config"):
            assert module.config._attn_implementation == "eager", type(module)
    return model.eval()


def to_hub(name, module_path):
    if name == "omni-7b":
        return "thinker." + module_path
    if name == "vl-3b":
        return module_path.replace("model.language_model.", "model.").replace(
            "model.visual.", "visual.")
    return module_path


def fill_model(name, model):
    """Sets every weight; returns the checksums by hub name."""
    want, sums = wide_tensors(name), {}
    for path, p in model.named_parameters():
        hub = to_hub(name, path)
        assert list(p.shape) == want[hub] and p.dtype == torch.float32, hub
        sums[hub] = fill(hub, want[hub], p.data.numpy().reshape(-1))
    assert set(sums) == set(want), set(want) ^ set(sums)
    return sums


# ---------------------------------------------------------------------------------------------
# Prompts
# ---------------------------------------------------------------------------------------------


def words(seed, n):
    return np.random.default_rng(seed).integers(1000, 100000, n).tolist()


def audio_tokens(frames):
    return ((frames - 1) // 2 + 1 - 2) // 2 + 1


class Prompt:
    """One conversation with its media; pixels hold all images, then all videos."""

    def __init__(self, name, seed):
        im_start, im_end, newline, user, assistant = 151644, 151645, 198, 872, 77091
        vision_bos, vision_eos, image, video = 151652, 151653, 151655, 151656
        audio, audio_bos, audio_eos = 151646, 151647, 151648
        self.image_grid = self.video_grid = self.mel = None
        ids = [im_start, user, newline]
        if name != "qwen2-audio-7b":
            self.image_grid, self.video_grid = [[1, 6, 10]], [[2, 4, 4]]
            ids += [vision_bos] + [image] * 15 + [vision_eos] + words(seed, 2)
            ids += [vision_bos] + [video] * 8 + [vision_eos]
            pixels = torch.from_numpy(wide_input("input.pixels", [60 + 32, 1176]))
            self.pixels, self.video_pixels = pixels[:60], pixels[60:]
        self.banned = [image, video]
        if name != "vl-3b":
            # Mel frames that are given, and those that belong to the clip.
            self.frames = (100, 100) if name == "omni-7b" else (3000, 131)
            self.mel = torch.from_numpy(wide_input("input.mel", [128, self.frames[0]]))
            ids += [audio_bos] + [audio] * audio_tokens(self.frames[1]) + [audio_eos]
            self.banned = [audio] if name == "qwen2-audio-7b" else [audio, image, video]
        ids += words(seed + 1, 5) + [im_end, newline, im_start, assistant, newline]
        self.ids = torch.tensor([ids])

    def kwargs(self, name):
        out = dict(input_ids=self.ids, attention_mask=torch.ones_like(self.ids))
        if self.image_grid:
            out.update(pixel_values=self.pixels, image_grid_thw=torch.tensor(self.image_grid),
                       pixel_values_videos=self.video_pixels,
                       video_grid_thw=torch.tensor(self.video_grid))
            key = "video_second_per_grid" if name == "omni-7b" else "second_per_grid_ts"
            out[key] = torch.tensor([1.0])
        if self.mel is not None:
            mask = torch.zeros(1, self.frames[0], dtype=torch.long)
            mask[:, : self.frames[1]] = 1
            out.update(input_features=self.mel[None], feature_attention_mask=mask)
        if name == "omni-7b":
            out["use_audio_in_video"] = False
        return out

    def positions(self, name, model):
        """[3, 1, S]; for Qwen2-Audio three equal rows."""
        image, video = torch.tensor(self.image_grid or []), torch.tensor(self.video_grid or [])
        mask = torch.ones_like(self.ids)
        if name == "omni-7b":
            lengths = torch.tensor([self.frames[1]])
            return model.get_rope_index(self.ids, image, video, mask, False, lengths,
                                        torch.tensor([1.0]))[0]
        if name == "vl-3b":
            return model.model.get_rope_index(self.ids, image, video, torch.tensor([1.0]), mask)[0]
        return torch.arange(self.ids.shape[1]).expand(3, 1, -1)


# ---------------------------------------------------------------------------------------------
# Running
# ---------------------------------------------------------------------------------------------


def record(model, name, prompt):
    """A pass over the prompt; returns the outputs by name, whole."""
    store, handles, calls = {}, [], []
    hook = lambda module, key, pick: handles.append(module.register_forward_hook(
        lambda m, a, o: store.__setitem__(key, pick(o).detach().clone())))
    decoder = {"omni-7b": lambda: model.model, "vl-3b": lambda: model.model.language_model,
               "qwen2-audio-7b": lambda: model.language_model.model}[name]()
    for i, layer in enumerate(decoder.layers):
        hook(layer, f"hidden.{i}", lambda o: (o[0] if isinstance(o, tuple) else o)[0])
    if name == "omni-7b":
        hook(model.audio_tower, "audio_embeds", lambda o: o.last_hidden_state)
    if name == "qwen2-audio-7b":
        n = audio_tokens(prompt.frames[1])
        hook(model.multi_modal_projector, "audio_embeds", lambda o: o[0, :n])
    else:
        handles.append(model.visual.register_forward_hook(
            lambda m, a, o: calls.append(o.detach().clone())))
    logits = model(**prompt.kwargs(name), use_cache=False).logits[0]
    for h in handles:
        h.remove()
    if calls:
        store["image_embeds"], store["video_embeds"] = calls
    for key, x in store.items():
        assert x.dim() == 2 and x.isfinite().all(), key
        print(f"   {key:14s} {list(x.shape)} rms {float(x.square().mean().sqrt()):.3f} "
              f"max {float(x.abs().max()):.1f}")
    store["logits"] = logits[-LOGIT_ROWS:].detach().clone()
    print(f"   logits rms {float(store['logits'].square().mean().sqrt()):.3f}")
    return store


def greedy(model, name, prompt, positions):
    """Ids from generate() with a cache, equal to those of one pass over everything."""
    model.generation_config.eos_token_id = None
    model.generation_config.pad_token_id = 0
    kw, length = prompt.kwargs(name), prompt.ids.shape[1]
    ids = model.generate(**kw, max_new_tokens=GREEDY, do_sample=False,
                         suppress_tokens=prompt.banned)
    tokens = ids[0, length:]
    start = int(positions.max()) + 1
    kw.update(input_ids=ids, attention_mask=torch.ones_like(ids))
    if name != "qwen2-audio-7b":
        tail = torch.arange(start, start + GREEDY).expand(3, 1, -1)
        kw["position_ids"] = torch.cat([positions, tail], dim=2)
    logits = model(**kw, use_cache=False).logits[0, length - 1 : -1]
    logits[:, prompt.banned] = -math.inf
    top = logits.topk(2, dim=1)
    assert torch.equal(top.indices[:, 0], tokens), "generate() and one pass disagree"
    return tokens.tolist(), (top.values[:, 0] - top.values[:, 1]).tolist(), start


# Seeds of the text between the media, picked for greedy margins above 0.1.
SEEDS = {"omni-7b": 10, "vl-3b": 5, "qwen2-audio-7b": 3}


def make(name):
    began = time.time()
    model = empty_model(name)
    sums = fill_model(name, model)
    values = sum(p.numel() for p in model.parameters())
    print(f"{name}: {len(sums)} tensors, {values:,} values, filled in {time.time() - began:.0f} s")
    seeds = [int(s) for s in os.environ.get("SEEDS", "").split(",") if s] or [SEEDS[name]]
    for seed in seeds:
        prompt = Prompt(name, seed)
        positions = prompt.positions(name, model)
        tokens, margins, start = greedy(model, name, prompt, positions)
        print(f"   seed {seed}: least margin {min(margins):.3f}", tokens)
    outputs = record(model, name, prompt)
    stride = lambda key: LOGIT_STRIDE if key == "logits" else STRIDE
    samples = {k: x.reshape(-1)[:: stride(k)].clone() for k, x in outputs.items()}
    top = outputs["logits"].topk(TOP, dim=1)
    samples["top_values"] = top.values.contiguous()
    versions = f"transformers {transformers.__version__}, torch {torch.__version__.split('+')[0]}"
    path = os.path.join(HERE, name + ".safetensors")
    save_file(samples, path, metadata={"source": versions})
    os.chmod(path, 0o644)
    case = dict(
        source=versions, input_ids=prompt.ids[0].tolist(),
        position_ids=positions[:, 0].tolist(), next_position=start,
        image_grid_thw=prompt.image_grid or [], video_grid_thw=prompt.video_grid or [],
        video_second_per_grid=[1.0] if prompt.video_grid else [],
        mel=dict(frames=prompt.frames[0], valid=prompt.frames[1]) if prompt.mel is not None else None,
        suppressed=prompt.banned, greedy=tokens, greedy_margins=[round(m, 4) for m in margins],
        top_ids=top.indices.tolist(),
        outputs={k: dict(shape=list(x.shape), stride=stride(k), norm=float(x.double().norm()))
                 for k, x in outputs.items()},
        checksums=sums,
    )
    lines = ",\n".join(f' "{k}": {json.dumps(v)}' for k, v in case.items())
    with open(os.path.join(HERE, name + ".json"), "w") as f:
        f.write("{\n" + lines + "\n}\n")
    size = sum(os.path.getsize(os.path.join(HERE, name + e)) for e in (".json", ".safetensors"))
    print(f"   {size / 1024:.1f} KiB, {time.time() - began:.0f} s")


with torch.no_grad():
    for arg in sys.argv[1:] or list(RECIPE["overrides"]):
        make(arg)
