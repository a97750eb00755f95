"""LoRA goldens from PEFT on towers and decoders of ../vl/tiny-a and ../qwen2-audio/tiny-a.

Writes, per family, adapter/ as PEFT saves it and lora.safetensors (f32, CPU, eager attention). Run
after the scripts that make those checkpoints.
"""

import json
import os
import sys

import peft
import torch
from peft import LoraConfig, get_peft_model
from safetensors import safe_open
from safetensors.torch import save_file

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path[:0] = [os.path.dirname(HERE)]
import common  # noqa: E402

# Regular expressions over module paths of transformers: some names stand in towers and decoder.
VL = (r"model\.visual\.blocks\.\d+\.(attn\.qkv|mlp\.gate_proj)|model\.visual\.merger\.mlp\.0"
      r"|model\.language_model\.layers\.\d+\.self_attn\.(q_proj|v_proj)")
AUDIO = (r"audio_tower\.layers\.\d+\.(self_attn\.q_proj|fc1)|multi_modal_projector\.linear"
         r"|language_model\.model\.layers\.\d+\.(self_attn\.q_proj|mlp\.down_proj)")


def short(name):
    """The tensor's name in the adapter's file."""
    return name.replace(".default.", ".")


def family(folder, model, case, batch, targets, seed, **options):
    model = get_peft_model(model, LoraConfig(
        r=3, lora_alpha=6, lora_dropout=0.0, bias="none", target_modules=targets,
        task_type="CAUSAL_LM", base_model_name_or_path="tiny-a", **options))
    with torch.no_grad():
        with model.disable_adapter():
            base_logits = model(**batch, use_cache=False).logits[0]
    named = {n: p for n, p in model.named_parameters() if "lora_" in n}
    assert all(p.requires_grad == (n in named) for n, p in model.named_parameters())
    gen = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in sorted(named.items()):
            scale = 0.15 if "lora_A" in name else 0.2
            p.copy_(scale * torch.randn(p.shape, generator=gen))
    adapter = os.path.join(HERE, folder, "adapter")
    model.save_pretrained(adapter)
    os.remove(os.path.join(adapter, "README.md"))
    path = os.path.join(adapter, "adapter_config.json")
    with open(path) as f:
        config = json.load(f)
    config["base_model_name_or_path"] = "tiny-a"
    with open(path, "w") as f:
        json.dump(config, f, indent=2, sort_keys=True)
        f.write("\n")
    os.chmod(os.path.join(adapter, "adapter_model.safetensors"), 0o644)
    with safe_open(os.path.join(adapter, "adapter_model.safetensors"), "pt") as f:
        assert set(f.keys()) == {short(n) for n in named}

    model.eval()
    out = model(**batch, use_cache=False)
    out.loss.backward()
    store = dict(case.inputs(), logits=out.logits[0], loss=out.loss.reshape(1))
    for name, p in named.items():
        store["grad." + short(name)] = p.grad.clone()
    model.merge_adapter()
    with torch.no_grad():
        store["merged_logits"] = model(**batch, use_cache=False).logits[0]
    model.unmerge_adapter()
    rel = lambda x, y: float((x - y).norm() / y.norm())
    print(f"{folder}: {len(named)} tensors, loss {out.loss.item():.6f}, logits moved by "
          f"{rel(store['logits'], base_logits):.3f}, merged against unmerged "
          f"{rel(store['merged_logits'], store['logits']):.1e}")
    return model, named, store


def main():
    assert peft.__version__ == "0.21.2", peft.__version__
    vl = common.script("vl", "make_goldens")
    audio = common.script("qwen2-audio", "make_goldens")
    for folder, module, name, kwargs, targets, seed, options in (
            ("vl", vl, "image-and-video", lambda m, c: vl.forward_kwargs(c), VL, 199, {}),
            ("qwen2-audio", audio, "two-clips", audio.forward_kwargs, AUDIO, 299,
             dict(use_rslora=True))):
        model = module.load("tiny-a")
        case = module.built(model, name)
        batch = kwargs(model, case)
        model, named, store = family(folder, model, case, batch, targets, seed, **options)
        # Merging and unmerging leaves rounding errors in the base: train a fresh one.
        model = peft.PeftModel.from_pretrained(
            module.load("tiny-a"), os.path.join(HERE, folder, "adapter"), is_trainable=True)
        named = {short(n): p for n, p in model.named_parameters() if "lora_" in n}
        steps = common.adamw(
            dict(sorted(named.items())), lambda: model(**batch, use_cache=False).loss, 3, named)
        store.update({k: v for k, v in steps.items() if not k.startswith("step1.")})
        path = os.path.join(HERE, folder, "lora.safetensors")
        versions = f"peft {peft.__version__}, torch {torch.__version__}, tiny-a"
        save_file({k: v.detach().clone().contiguous() for k, v in store.items()}, path,
                  metadata={"source": versions})
        os.chmod(path, 0o644)


if __name__ == "__main__":
    main()
