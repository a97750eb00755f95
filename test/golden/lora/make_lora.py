"""LoRA goldens from PEFT on the text decoder of ../omni/tiny-a (f32, CPU, eager attention).

Writes adapter/ as PEFT saves it, and lora-text.safetensors. Run after ../omni/make_goldens.py.
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
OMNI = os.path.join(HERE, "..", "omni")
sys.dont_write_bytecode = True
sys.path.insert(0, OMNI)
import make_goldens as omni  # noqa: E402

# A regular expression, because the audio tower has modules named q_proj and v_proj as well.
TARGETS = r"model\.layers\.\d+\.(self_attn\.(q_proj|v_proj)|mlp\.down_proj)"


def main():
    assert peft.__version__ == "0.21.2", peft.__version__
    with safe_open(os.path.join(OMNI, "tiny-a-text.safetensors"), "pt") as f:
        ids, labels = f.get_tensor("input_ids").long(), f.get_tensor("labels").long()
        base_logits = f.get_tensor("logits")
    model = get_peft_model(omni.load("tiny-a"), LoraConfig(
        r=4, lora_alpha=8, lora_dropout=0.0, bias="none", target_modules=TARGETS,
        task_type="CAUSAL_LM", base_model_name_or_path="tiny-a"))
    gen = torch.Generator().manual_seed(99)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if "lora_" in name:
                scale = 0.15 if "lora_A" in name else 0.2
                p.copy_(scale * torch.randn(p.shape, generator=gen))
    model.save_pretrained(os.path.join(HERE, "adapter"))
    os.remove(os.path.join(HERE, "adapter", "README.md"))
    path = os.path.join(HERE, "adapter", "adapter_config.json")
    with open(path) as f:
        config = json.load(f)
    config["base_model_name_or_path"] = "tiny-a"
    with open(path, "w") as f:
        json.dump(config, f, indent=2, sort_keys=True)
        f.write("\n")

    model.eval()
    batch = dict(input_ids=ids[None], labels=labels[None],
                 attention_mask=torch.ones_like(ids)[None])
    out = model(**batch, use_cache=False)
    out.loss.backward()
    store = dict(input_ids=ids.to(torch.int32), labels=labels.to(torch.int32),
                 logits=out.logits[0].detach(), loss=out.loss.detach().reshape(1))
    for name, p in model.named_parameters():
        assert p.requires_grad == ("lora_" in name)
        if p.requires_grad:
            store["grad." + name.replace(".default.", ".")] = p.grad.clone()
    print("adapter tensors", len(store) - 4, "loss", out.loss.item(), "logits moved by",
          float((store["logits"] - base_logits).norm() / base_logits.norm()))
    merged = model.merge_and_unload()
    with torch.no_grad():
        store["merged_logits"] = merged(**batch, use_cache=False).logits[0]
    print("merged against unmerged, relative L2",
          float((store["merged_logits"] - store["logits"]).norm() / store["logits"].norm()))
    save_file({k: v.contiguous() for k, v in store.items()},
              os.path.join(HERE, "lora-text.safetensors"),
              metadata={"source": f"peft {peft.__version__}, torch {torch.__version__}, tiny-a"})


if __name__ == "__main__":
    main()
