"""Loads what aubade exported with transformers 4.57.6 and peft, and compares logits with the goldens.

    python test/golden/roundtrip/check.py FOLDER

FOLDER holds the folders that test/checkpoint/export.gpu.test.ts writes: <family>-<dtype> and
<family>-merged (weights), <family>-adapter. One line of JSON a folder: the relative L2 distance of
the logits, and what `output_loading_info` says is missing, unexpected or mismatched.
"""

import json
import os
import sys

import torch
from peft import PeftModel
from safetensors import safe_open
from transformers import (Qwen2_5_VLForConditionalGeneration,
                          Qwen2_5OmniThinkerForConditionalGeneration,
                          Qwen2AudioForConditionalGeneration)

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path[:0] = [os.path.dirname(HERE)]
import common  # noqa: E402

CLASSES = dict(omni=Qwen2_5OmniThinkerForConditionalGeneration,
               vl=Qwen2_5_VLForConditionalGeneration)
CLASSES["qwen2-audio"] = Qwen2AudioForConditionalGeneration
PROMPTS = dict(omni="text", vl="image-and-video")
PROMPTS["qwen2-audio"] = "two-clips"


def batch(family, model):
    """The prompt's inputs, as the golden scripts make them."""
    if family == "omni":
        with safe_open(golden("omni/tiny-a-text"), "pt") as f:
            ids = f.get_tensor("input_ids").long()[None]
        return dict(input_ids=ids, attention_mask=torch.ones_like(ids))
    module = common.script(family, "make_goldens")
    case = module.built(model, PROMPTS[family])
    kwargs = module.forward_kwargs(case) if family == "vl" else module.forward_kwargs(model, case)
    return {k: v for k, v in kwargs.items() if k != "labels"}


def golden(path):
    return os.path.join(os.path.dirname(HERE), path + ".safetensors")


def tensor(path, name):
    with safe_open(golden(path), "pt") as f:
        return f.get_tensor(name)


def wanted(family, kind):
    """The golden logits, and how many of the last rows they are."""
    if kind not in ("adapter", "merged"):
        return tensor(f"{family}/tiny-a-{PROMPTS[family]}", "logits")
    name = "lora/lora-text" if family == "omni" else f"lora/{family}/lora"
    return tensor(name, "logits" if kind == "adapter" else "merged_logits")


def check(folder, name):
    family, kind = name.rsplit("-", 1)
    path = os.path.join(folder, name)
    base = os.path.join(os.path.dirname(HERE), family, "tiny-a")
    model, info = CLASSES[family].from_pretrained(
        base if kind == "adapter" else path, dtype=torch.float32, attn_implementation="eager",
        output_loading_info=True)
    problems = {k: sorted(map(str, v)) for k, v in info.items() if v}
    model.eval()
    inputs = batch(family, model)
    if kind == "adapter":
        model = PeftModel.from_pretrained(model, path)
        with safe_open(os.path.join(path, "adapter_model.safetensors"), "pt") as f:
            stored = set(f.keys())
        loaded = {n.replace(".default.", ".") for n, _ in model.named_parameters() if "lora_" in n}
        if stored != loaded:
            problems["adapters"] = sorted(stored ^ loaded)
    with torch.no_grad():
        logits = model(**inputs, use_cache=False).logits[0]
    want = wanted(family, kind)
    logits = logits[-len(want):]
    error = float((logits - want).norm() / want.norm())
    print(json.dumps(dict(name=name, error=error, problems=problems)), flush=True)


if __name__ == "__main__":
    for entry in sorted(os.listdir(sys.argv[1])):
        check(sys.argv[1], entry)
