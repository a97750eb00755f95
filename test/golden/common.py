"""What the golden scripts of Qwen2.5-VL and Qwen2-Audio share; formats as in omni/make_goldens.py.

Importing it sets torch as that script does: one thread, no oneDNN, deterministic kernels.
"""

import copy
import importlib.util
import json
import math
import os
import sys

import torch
import transformers
from safetensors.torch import save_file

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True


def script(*path):
    """A golden script as a module; several have the same file name."""
    spec = importlib.util.spec_from_file_location("_".join(path), os.path.join(HERE, *path) + ".py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


omni = script("omni", "make_goldens")
bf16_randn, pixel_pool, turn, words = omni.bf16_randn, omni.pixel_pool, omni.turn, omni.words
summary, POOL_ROWS, IGNORE = omni.summary, omni.POOL_ROWS, omni.IGNORE
assert transformers.__version__ == "4.57.6", transformers.__version__

i32 = lambda x: torch.as_tensor(x, dtype=torch.int32).contiguous()
nothing = lambda name: False


def randomise(named, seed, embedding=0.7):
    """Random bf16 values: no bias is 0, no norm is 1, attention is far from uniform."""
    gen = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in sorted(named.items()):
            z = torch.randn(p.shape, generator=gen)
            if name == "model.embed_tokens.weight":
                z = embedding * z
            elif name == "lm_head.weight" or name.endswith("bias"):
                z = 0.25 * z
            elif "embed_positions" in name:
                z = 0.5 * z
            elif p.dim() == 1:
                z = 1 + 0.25 * z
            else:
                sharp = any(s in name for s in ("q_proj", "k_proj", ".attn.qkv"))
                z = (1.6 if sharp else 1.0) * z / math.sqrt(p[0].numel())
            p.copy_(z.to(torch.bfloat16).float())


def gradients(named, full):
    """Every parameter's gradient: in full where `full(name)`, else its summary."""
    out = {}
    for name, p in named.items():
        if p.grad is None:
            continue
        if p.numel() <= 67 or full(name):
            out["grad." + name] = p.grad.detach().clone().contiguous()
        else:
            out["grad_summary." + name] = summary(p.grad)
    return out


def write(path, tensors, checkpoint):
    # One metadata key: with several, safetensors writes them in an order that varies.
    versions = f"transformers {transformers.__version__}, torch {torch.__version__}"
    tensors = {k: v.detach().clone().contiguous() for k, v in tensors.items()}
    save_file(tensors, path, metadata={"source": f"{versions}, {checkpoint}"})
    os.chmod(path, 0o644)
    loss = f"  loss {float(tensors['loss'][0]):.6f}" if "loss" in tensors else ""
    print(f"{os.path.basename(path):36s} {os.path.getsize(path) / 1024:8.1f} KiB{loss}")


def write_json(path, value):
    with open(path, "w") as f:
        json.dump(value, f, indent=2)
        f.write("\n")


def write_weights(folder, tensors):
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, "model.safetensors")
    save_file({k: v.detach().to(torch.bfloat16).contiguous() for k, v in sorted(tensors.items())},
              path, metadata={"format": "pt"})
    os.chmod(path, 0o644)


def row(tensors, i):
    """A sequence of a batch: the tensors of a case with the row's number behind each name."""
    return {f"{name}.{i}": value for name, value in tensors.items()}


def left_padded(cases, pad):
    """Ids, labels and mask of cases [1,S_i], padded on the left to the longest."""
    longest = max(c.ids.shape[1] for c in cases)
    fill = lambda x, value: torch.nn.functional.pad(x, (longest - x.shape[1], 0), value=value)
    return (torch.cat([fill(c.ids, pad) for c in cases]),
            torch.cat([fill(c.labels, IGNORE) for c in cases]),
            torch.cat([fill(torch.ones_like(c.ids), 0) for c in cases]))


def adamw(named, forward, steps, full, eps=1e-8):
    """Steps of the AdamW of omni's sft-text over these parameters; `forward` returns the loss.

    With eps 1e-8 the first update is the sign of a gradient: one weight of 80,000 whose gradient is
    below the rounding of f32 (vl: 4.8e-7 where its neighbours have 0.07) turns its step round, which
    shows as 1e-5 of the next loss. Runs over whole models take 1e-6.
    """
    params = list(named.values())
    opt = torch.optim.AdamW(params, lr=1e-3, betas=(0.9, 0.95), eps=eps, weight_decay=0.01,
                            foreach=False, fused=False)
    losses, norms, store = [], [], {}
    for step in range(1, steps + 1):
        opt.zero_grad(set_to_none=True)
        loss = forward()
        loss.backward()
        norms.append(torch.nn.utils.clip_grad_norm_(params, 1.0, foreach=False))
        losses.append(loss.detach())
        opt.step()
        if step in (1, steps):
            for n, p in named.items():
                kind = "" if n in full or p.numel() <= 67 else "_summary"
                value = summary(p.detach()) if kind else p.detach().clone()
                store[f"step{step}{kind}.{n}"] = value
    store["losses"], store["grad_norms"] = torch.stack(losses), torch.stack(norms)
    print("   losses", [round(float(x), 6) for x in losses],
          "norms", [round(float(x), 4) for x in norms])
    return store


def noise(model, kwargs):
    """Relative L2 distance between the f32 pass and the same pass in f64, printed (see omni)."""
    if not os.environ.get("NOISE"):
        return

    def collect(m, cast):
        m.zero_grad(set_to_none=True)
        kw = {k: cast(v) if torch.is_tensor(v) and v.is_floating_point() else v
              for k, v in kwargs.items()}
        out = m(**kw, use_cache=False)
        out.loss.backward()
        grads = {n: p.grad.double() for n, p in m.named_parameters() if p.grad is not None}
        return out.logits.detach().double(), out.loss.detach().double(), grads

    lo = collect(model, lambda v: v)
    f32, to_float = torch.float32, torch.Tensor.float
    wide = copy.deepcopy(model).double()
    try:
        torch.float32, torch.Tensor.float = torch.float64, torch.Tensor.double
        hi = collect(wide, lambda v: v.double())
    finally:
        torch.float32, torch.Tensor.float = f32, to_float
    rel = lambda x, y: float((x - y).norm() / y.norm())
    worst = sorted(((rel(g, hi[2][n]), n) for n, g in lo[2].items()), reverse=True)
    print(f"   f32 against f64: logits {rel(lo[0], hi[0]):.1e}, loss {abs(lo[1] - hi[1]):.1e}, "
          f"gradients: worst {worst[0][0]:.1e} ({worst[0][1]}), "
          f"median {worst[len(worst) // 2][0]:.1e}")
