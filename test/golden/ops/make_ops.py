"""Goldens of single operations from torch in float64, written to ops.json with full precision."""

import json
import math
import os

import torch
import torch.nn.functional as F

HERE = os.path.dirname(os.path.abspath(__file__))
GEN = torch.Generator().manual_seed(7)
torch.backends.mkldnn.enabled = False


def f32(*shape, scale=1.0):
    """Random values that f32 holds exactly, as float64."""
    return (scale * torch.randn(shape, generator=GEN)).float().double()


def nums(t):
    return t.detach().reshape(-1).tolist()


def grads(y, dy, **inputs):
    out = torch.autograd.grad(y, list(inputs.values()), dy)
    return {"d" + k: nums(g) for k, g in zip(inputs, out)}


def gelu():
    """Exact GELU, x (1 + erf(x / sqrt 2)) / 2, and its derivative."""
    rare = torch.tensor([-1e-4, -1e-8, 0.0, 1e-8, 1e-4, 40.0, -40.0])
    x = torch.cat([torch.linspace(-9, 9, 73), rare]).float().double().requires_grad_()
    y = F.gelu(x)
    return dict(x=nums(x), y=nums(y), erf=nums(torch.erf(x)), **grads(y, torch.ones_like(y), x=x))


def silu():
    x = torch.linspace(-20, 20, 41).double().requires_grad_()
    y = F.silu(x)
    return dict(x=nums(x), y=nums(y), **grads(y, torch.ones_like(y), x=x))


def layer_norm():
    x, w, b, dy = f32(5, 48, scale=2) + 0.5, f32(48), f32(48), f32(5, 48)
    for t in (x, w, b):
        t.requires_grad_()
    y = F.layer_norm(x, (48,), w, b, 1e-5)
    return dict(rows=5, width=48, eps=1e-5, x=nums(x), w=nums(w), b=nums(b), y=nums(y), dy=nums(dy),
                **grads(y, dy, x=x, w=w, b=b))


def rms_norm():
    x, w, dy = f32(5, 40, scale=3), f32(40), f32(5, 40)
    x.requires_grad_()
    w.requires_grad_()
    y = x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6) * w
    return dict(rows=5, width=40, eps=1e-6, x=nums(x), w=nums(w), y=nums(y), dy=nums(dy),
                **grads(y, dy, x=x, w=w))


def conv_stem():
    """Two convolutions of width 3, stride 1 then 2, GELU: [cin,L] -> [cout,(L-1)//2+1]."""
    out = []
    for length in (1, 2, 9, 10):
        x, w1, b1 = f32(6, length), f32(8, 6, 3, scale=0.3), f32(8)
        w2, b2 = f32(8, 8, 3, scale=0.3), f32(8)
        for t in (x, w1, b1, w2, b2):
            t.requires_grad_()
        hidden = F.gelu(F.conv1d(x[None], w1, b1, padding=1))
        y = F.gelu(F.conv1d(hidden, w2, b2, stride=2, padding=1))[0]
        dy = f32(*y.shape)
        out.append(dict(cin=6, cout=8, length=length, outLength=y.shape[1], x=nums(x), w1=nums(w1),
                        b1=nums(b1), w2=nums(w2), b2=nums(b2), y=nums(y), dy=nums(dy),
                        **grads(y, dy, x=x, w1=w1, b1=b1, w2=w2, b2=b2)))
    return out


def adamw():
    """Four steps of one tensor; gradients given, one of them exactly zero in places."""
    w = f32(12).requires_grad_()
    opt = torch.optim.AdamW([w], lr=1e-2, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.1)
    out = dict(lr=1e-2, beta1=0.9, beta2=0.95, eps=1e-8, weightDecay=0.1, start=nums(w), steps=[])
    for step in range(4):
        g = f32(12, scale=10.0 ** -step)
        g[step] = 0
        w.grad = g.clone()
        opt.step()
        state = opt.state[w]
        out["steps"].append(dict(gradient=nums(g), weight=nums(w), m=nums(state["exp_avg"]),
                                 v=nums(state["exp_avg_sq"])))
    return out


def clip_grad_norm():
    """torch scales by min(1, limit / (norm + 1e-6))."""
    out = []
    for scale, limit in ((2.0, 1.0), (0.01, 1.0), (1e3, 0.5)):
        params = [torch.zeros(n, dtype=torch.float64, requires_grad=True) for n in (5, 7)]
        for p in params:
            p.grad = f32(p.numel(), scale=scale)
        before = [nums(p.grad) for p in params]
        norm = torch.nn.utils.clip_grad_norm_(params, limit)
        out.append(dict(limit=limit, gradients=before, norm=float(norm),
                        clipped=[nums(p.grad) for p in params]))
    return out


def cross_entropy():
    """Rows with ignored targets (-100), mean over the others."""
    z = f32(6, 11, scale=4).requires_grad_()
    target = torch.tensor([3, -100, 0, 10, -100, 7])
    loss = F.cross_entropy(z, target)
    return dict(rows=6, classes=11, logits=nums(z), target=target.tolist(), loss=loss.item(),
                logProbs=nums(F.log_softmax(z, -1)), **grads(loss, torch.ones_like(loss), logits=z))


def attention():
    """Causal attention with 4 query heads on 2 kv heads of 6, scale 1/sqrt(6); [S,heads,dim]."""
    s, nh, nkv, d = 7, 4, 2, 6
    q, k, v = (f32(s, n, d).requires_grad_() for n in (nh, nkv, nkv))
    kk, vv = k.repeat_interleave(nh // nkv, 1), v.repeat_interleave(nh // nkv, 1)
    scores = torch.einsum("ihd,jhd->hij", q, kk) / math.sqrt(d)
    scores = scores.masked_fill(torch.ones(s, s).triu(1).bool(), -math.inf)
    y = torch.einsum("hij,jhd->ihd", scores.softmax(-1), vv)
    dy = f32(s, nh, d)
    return dict(length=s, heads=nh, kvHeads=nkv, dim=d, q=nums(q), k=nums(k), v=nums(v), y=nums(y),
                dy=nums(dy), **grads(y, dy, q=q, k=k, v=v))


def main():
    cases = (gelu, silu, layer_norm, rms_norm, conv_stem, adamw, clip_grad_norm, cross_entropy,
             attention)
    out = {f.__name__: f() for f in cases}
    path = os.path.join(HERE, "ops.json")
    with open(path, "w") as f:
        lines = [f'"{k}":{json.dumps(v, separators=(",", ":"))}' for k, v in out.items()]
        f.write("{\n" + ",\n".join(lines) + "\n}\n")
    print(os.path.getsize(path), "bytes")


if __name__ == "__main__":
    main()
