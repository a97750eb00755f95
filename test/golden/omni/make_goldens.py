"""Golden files for the Qwen2.5-Omni thinker, from transformers 4.57.6 (eager attention, f32, CPU).

Writes tiny random checkpoints in the Hugging Face layout and one safetensors file per case, next to
this file. README.md says what each file holds. Run from anywhere:

    python make_goldens.py            # everything
    python make_goldens.py text image # only these cases (checkpoints are reused)
"""

import json
import math
import os
import sys

import numpy as np
import torch
import transformers
from safetensors.torch import save_file
from transformers import (
    Qwen2_5OmniThinkerConfig,
    Qwen2_5OmniThinkerForConditionalGeneration,
)

HERE = os.path.dirname(os.path.abspath(__file__))
IGNORE = -100

# The kernels of oneDNN may pick another order of summation per shape; plain loops are steadier.
torch.backends.mkldnn.enabled = False
torch.use_deterministic_algorithms(True)
torch.set_num_threads(1)

SPECIALS_A = dict(pad=140, im_start=141, im_end=142, audio=143, audio_bos=144, audio_eos=145,
                  vision_bos=146, vision_eos=147, vision_pad=148, image=149, video=150, user=60)
SPECIALS_B = {k: (v if k == "user" else v - 30) for k, v in SPECIALS_A.items()}


# ---------------------------------------------------------------------------------------------
# Checkpoints
# ---------------------------------------------------------------------------------------------


def thinker_config(sp, text, vision, audio, seconds_per_chunk):
    """A thinker configuration with every id that the class reads."""
    return Qwen2_5OmniThinkerConfig(
        text_config=dict(hidden_act="silu", rms_norm_eps=1e-6, max_position_embeddings=4096,
                         use_sliding_window=False, tie_word_embeddings=False, **text),
        vision_config=dict(patch_size=14, temporal_patch_size=2, spatial_merge_size=2, in_channels=3,
                           hidden_act="silu", tokens_per_second=25, **vision),
        audio_config=dict(num_mel_bins=128, activation_function="gelu", max_source_positions=1500,
                          **audio),
        audio_token_index=sp["audio"], image_token_index=sp["image"],
        video_token_index=sp["video"], audio_start_token_id=sp["audio_bos"],
        audio_end_token_id=sp["audio_eos"], vision_start_token_id=sp["vision_bos"],
        vision_end_token_id=sp["vision_eos"], vision_token_id=sp["vision_pad"],
        user_token_id=sp["user"], pad_token_id=sp["pad"], bos_token_id=sp["im_start"],
        eos_token_id=sp["im_end"], position_id_per_seconds=25,
        seconds_per_chunk=seconds_per_chunk, tie_word_embeddings=False,
    )


def config_a():
    return thinker_config(
        SPECIALS_A,
        text=dict(vocab_size=160, hidden_size=64, intermediate_size=96, num_hidden_layers=3,
                  num_attention_heads=4, num_key_value_heads=2, rope_theta=1e6,
                  rope_scaling=dict(type="default", rope_type="default", mrope_section=[2, 3, 3])),
        vision=dict(depth=4, hidden_size=48, num_heads=2, intermediate_size=80, out_hidden_size=64,
                    window_size=56, fullatt_block_indexes=[1, 3]),
        audio=dict(d_model=48, encoder_attention_heads=3, encoder_layers=2, encoder_ffn_dim=96,
                   n_window=25, output_dim=64),
        seconds_per_chunk=2,
    )


def config_b():
    return thinker_config(
        SPECIALS_B,
        text=dict(vocab_size=128, hidden_size=64, intermediate_size=192, num_hidden_layers=4,
                  num_attention_heads=2, num_key_value_heads=1, rope_theta=1e4,
                  rope_scaling=dict(type="default", rope_type="default", mrope_section=[8, 4, 4])),
        vision=dict(depth=2, hidden_size=32, num_heads=2, intermediate_size=96, out_hidden_size=64,
                    window_size=112, fullatt_block_indexes=[0, 1]),
        audio=dict(d_model=48, encoder_attention_heads=3, encoder_layers=2, encoder_ffn_dim=192,
                   n_window=100, output_dim=64),
        seconds_per_chunk=1,
    )


def randomise(model, seed):
    """Weights large enough that attention is far from uniform; no zero bias, no norm weight of 1."""
    gen = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in model.named_parameters():
            z = torch.randn(p.shape, generator=gen)
            if name.endswith("embed_tokens.weight") or "audio_bos_eos_token" in name:
                z = 0.7 * z
            elif name == "lm_head.weight":
                z = 0.25 * z
            elif name.endswith("bias"):
                z = 0.25 * z
            elif p.dim() == 1:
                z = 1 + 0.25 * z
            else:
                fan_in = p[0].numel()
                gain = 1.6 if any(s in name for s in ("q_proj", "k_proj", ".attn.q", ".attn.k")) else 1.0
                z = gain * z / math.sqrt(fan_in)
            p.copy_(z.to(torch.bfloat16).float())


def load(name, tie=False):
    """The saved checkpoint in f32 with eager attention; `tie` drops the head and shares the embedding."""
    kw = dict(dtype=torch.float32, attn_implementation="eager")
    path = os.path.join(HERE, name)
    if not os.path.exists(os.path.join(path, "model.safetensors")):
        cfg = {"tiny-a": config_a, "tiny-b": config_b}[name]()
        model = Qwen2_5OmniThinkerForConditionalGeneration(cfg)
        randomise(model, {"tiny-a": 1234, "tiny-b": 4321}[name])
        model.to(torch.bfloat16).save_pretrained(path)
        os.remove(os.path.join(path, "generation_config.json"))
    model = Qwen2_5OmniThinkerForConditionalGeneration.from_pretrained(path, **kw)
    if tie:
        model.lm_head.weight = model.model.embed_tokens.weight
    for m in (model, model.model, model.visual, model.audio_tower):
        assert m.config._attn_implementation == "eager"
    assert model.dtype == torch.float32
    return model.eval()


# ---------------------------------------------------------------------------------------------
# Media: random numbers, exact in bf16
# ---------------------------------------------------------------------------------------------


def bf16_randn(shape, seed):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(torch.bfloat16)


POOL_ROWS = 160


def pixel_pool():
    return bf16_randn((POOL_ROWS, 1176), 77)


def mel_clip(length, seed):
    return (0.5 * bf16_randn((128, length), 1000 + seed).float()).to(torch.bfloat16)


# ---------------------------------------------------------------------------------------------
# Token layout and positions, written from model-spec sections E.1, G.2, G.3, G.4
# ---------------------------------------------------------------------------------------------


def audio_tokens(length):
    return ((length - 1) // 2 + 1 - 2) // 2 + 1


def split_chunks(values, width):
    """[start, end) ranges; the chunk counter advances at most once per element."""
    out, start, c = [], 0, 1
    for i, v in enumerate(values):
        if v >= c * width:
            out.append((start, i))
            start, c = i, c + 1
    out.append((start, len(values)))
    return out


def layout(segments, sp, seconds_per_chunk):
    """segments -> (ids, positions [3][S]); media are ("image", grid), ("video", grid, s),
    ("audio", L), ("av", grid, s, L), text is a list of ids."""
    ids, pos, nxt = [], [], 0

    def put(token, p):
        ids.append(token)
        pos.append(p)

    def text(token):
        nonlocal nxt
        put(token, (nxt, nxt, nxt))
        nxt += 1

    def grid_positions(grid, s, base):
        t, h, w = grid[0], grid[1] // 2, grid[2] // 2
        for i in range(t):
            tt = int(np.float32(np.float32(i) * np.float32(s)) * np.float32(25))
            for y in range(h):
                for x in range(w):
                    yield (base + tt, base + y, base + x)

    for seg in segments:
        if isinstance(seg, list):
            for token in seg:
                text(token)
        elif seg[0] == "audio":
            text(sp["audio_bos"])
            for _ in range(audio_tokens(seg[1])):
                text(sp["audio"])
            text(sp["audio_eos"])
        elif seg[0] in ("image", "video"):
            text(sp["vision_bos"])
            run = list(grid_positions(seg[1], seg[2] if seg[0] == "video" else 1.0, nxt))
            for p in run:
                put(sp[seg[0]], p)
            nxt = max(max(p) for p in run) + 1
            text(sp["vision_eos"])
        else:
            _, grid, s, length = seg
            put(sp["vision_bos"], (nxt,) * 3)
            put(sp["audio_bos"], (nxt,) * 3)
            base = nxt + 1
            video = list(grid_positions(grid, s, base))
            per_grid = grid[1] * grid[2] // 4
            values = [np.float64(i // per_grid) * s * 25 for i in range(len(video))]
            audio = [(base + i,) * 3 for i in range(audio_tokens(length))]
            width = int(25 * seconds_per_chunk)
            vs, as_ = split_chunks(values, width), split_chunks(range(len(audio)), width)
            last = None
            for j in range(max(len(vs), len(as_))):
                for ranges, run, token in ((vs, video, sp["video"]), (as_, audio, sp["audio"])):
                    if j < len(ranges):
                        last = run[ranges[j][0]:ranges[j][1]]
                        for p in last:
                            put(token, p)
            nxt = max(max(p) for p in last) + 1
            put(sp["audio_eos"], (nxt,) * 3)
            put(sp["vision_eos"], (nxt,) * 3)
            nxt += 1
    return ids, [[p[k] for p in pos] for k in range(3)]


# ---------------------------------------------------------------------------------------------
# Running a case
# ---------------------------------------------------------------------------------------------


class Case:
    """The inputs of one conversation, built from segments; media in the order of the segments."""

    def __init__(self, model, sp, segments, seed, n_labels=12):
        spc = model.config.seconds_per_chunk
        ids, pos = layout(segments, sp, spc)
        self.ids = torch.tensor([ids])
        self.spec_positions = torch.tensor(pos).unsqueeze(1)
        self.labels = self.ids.clone()
        self.labels[:, : len(ids) - n_labels] = IGNORE
        media = [s for s in segments if not isinstance(s, list)]
        images = [s[1] for s in media if s[0] == "image"]
        videos = [s[1] for s in media if s[0] in ("video", "av")]
        self.seconds = [float(s[2]) for s in media if s[0] in ("video", "av")]
        self.lengths = [s[-1] for s in media if s[0] in ("audio", "av")]
        self.av_flags = [int(s[0] == "av") for s in media if s[0] in ("video", "av")]
        self.use_av = any(self.av_flags)
        self.mixed = self.use_av and (not all(self.av_flags))
        self.clips = [mel_clip(n, seed * 10 + i) for i, n in enumerate(self.lengths)]
        self.image_grid = torch.tensor(images) if images else None
        self.video_grid = torch.tensor(videos) if videos else None
        count = lambda g: 0 if g is None else int(g.prod(1).sum())
        n_img, n_vid = count(self.image_grid), count(self.video_grid)
        assert n_img + n_vid <= POOL_ROWS
        self.image_range, self.video_range = (0, n_img), (n_img, n_img + n_vid)

    def kwargs(self):
        """Keyword arguments of the transformers forward call (batch of one)."""
        out = dict(input_ids=self.ids, attention_mask=torch.ones_like(self.ids))
        pool = pixel_pool().float()
        if self.image_grid is not None:
            out.update(pixel_values=pool[slice(*self.image_range)], image_grid_thw=self.image_grid)
        if self.video_grid is not None:
            out.update(pixel_values_videos=pool[slice(*self.video_range)],
                       video_grid_thw=self.video_grid,
                       video_second_per_grid=torch.tensor(self.seconds),
                       use_audio_in_video=self.use_av)
        if self.clips:
            longest = max(self.lengths)
            mel = torch.zeros(len(self.clips), 128, longest)
            mask = torch.zeros(len(self.clips), longest, dtype=torch.long)
            for i, clip in enumerate(self.clips):
                mel[i, :, : clip.shape[1]] = clip.float()
                mask[i, : clip.shape[1]] = 1
            out.update(input_features=mel, feature_attention_mask=mask)
        return out

    def reference_positions(self, model):
        """get_rope_index where transformers can do it; the spec's own rule for mixed clips."""
        if self.mixed:
            return self.spec_positions
        kw = self.kwargs()
        lens = kw["feature_attention_mask"].sum(1) if self.clips else None
        pos, _ = model.get_rope_index(kw["input_ids"], self.image_grid, self.video_grid,
                                      kw["attention_mask"], self.use_av, lens,
                                      torch.tensor(self.seconds) if self.seconds else None)
        assert torch.equal(pos, self.spec_positions), "spec section G disagrees with get_rope_index"
        return pos

    def inputs(self):
        """The input tensors as stored."""
        i32 = lambda x: torch.as_tensor(x, dtype=torch.int32).contiguous()
        out = dict(input_ids=i32(self.ids[0]), labels=i32(self.labels[0]))
        if self.image_grid is not None:
            out.update(image_grid_thw=i32(self.image_grid), image_pixel_range=i32(self.image_range))
        if self.video_grid is not None:
            out.update(video_grid_thw=i32(self.video_grid), video_pixel_range=i32(self.video_range),
                       video_second_per_grid=torch.tensor(self.seconds),
                       video_has_audio=i32(self.av_flags))
        for i, clip in enumerate(self.clips):
            out[f"input_features.{i}"] = clip.contiguous()
        return out


def summary(g):
    """[L2 norm, sum, weighted sum, first 64 values]; weights (7919 i mod 101)/50 - 1, f64 sums."""
    flat = g.reshape(-1).double()
    w = ((torch.arange(flat.numel(), dtype=torch.int64) * 7919) % 101).double() / 50 - 1
    head = torch.stack([flat.norm(), flat.sum(), (flat * w).sum()])
    return torch.cat([head, flat[:64]]).float()


def gradients(model, full):
    """Every parameter's gradient: in full where `full(name, p)`, else its summary."""
    out = {}
    for name, p in model.named_parameters():
        if p.grad is None:
            continue
        if p.numel() <= 67 or full(name, p):
            out["grad." + name] = p.grad.detach().clone().contiguous()
        else:
            out["grad_summary." + name] = summary(p.grad)
    return out


def run(model, case, full, logits_tail=None):
    """Forward and backward of one case; returns the tensors to store."""
    model.zero_grad(set_to_none=True)
    store, handles = {}, []
    for i, layer in enumerate(model.model.layers):
        handles.append(layer.register_forward_hook(
            lambda m, a, o, i=i: store.__setitem__(f"hidden.{i}", o[0][0].detach())))
    calls = []
    handles.append(model.visual.register_forward_hook(lambda m, a, o: calls.append(o.detach())))
    handles.append(model.audio_tower.register_forward_hook(
        lambda m, a, o: store.__setitem__("audio_embeds", o.last_hidden_state.detach())))
    pos = case.reference_positions(model)
    kw = case.kwargs()
    if case.mixed:
        kw["position_ids"] = pos
    out = model(**kw, labels=case.labels, use_cache=False)
    out.loss.backward()
    for h in handles:
        h.remove()
    if case.image_grid is not None:
        store["image_embeds"] = calls.pop(0)
    if case.video_grid is not None:
        store["video_embeds"] = calls.pop(0)
    store["logits"] = out.logits[0].detach()
    if logits_tail:
        store["logits"] = store["logits"][-logits_tail:]
    store["loss"] = out.loss.detach().reshape(1)
    store["position_ids"] = pos[:, 0].to(torch.int32)
    store.update(case.inputs())
    store.update(gradients(model, full))
    return {k: v.contiguous() for k, v in store.items()}


def write(name, tensors, **meta):
    meta = {"transformers": transformers.__version__, "torch": torch.__version__, **meta}
    path = os.path.join(HERE, name + ".safetensors")
    tensors = {k: v.detach().clone().contiguous() for k, v in tensors.items()}
    save_file(tensors, path, metadata={k: str(v) for k, v in meta.items()})
    loss = float(tensors["loss"][0]) if "loss" in tensors else float("nan")
    print(f"{name:28s} {os.path.getsize(path) / 1024:8.1f} KiB  loss {loss:.6f}")


def words(seed, n):
    """Ordinary token ids (below every special id)."""
    return torch.randint(0, 100, (n,), generator=torch.Generator().manual_seed(seed)).tolist()


def turn(sp, seed, n_before, media, n_after, n_answer):
    """<|im_start|>user-like framing around the media, then an answer that is labelled."""
    return ([[sp["im_start"], *words(seed, n_before)]] + media
            + [words(seed + 1, n_after) + [sp["im_end"], sp["im_start"]]]
            + [words(seed + 2, n_answer - 1) + [sp["im_end"]]])


everything = lambda name, p: True
nothing = lambda name, p: False


def case_text(a, b):
    c = Case(a, SPECIALS_A, turn(SPECIALS_A, 1, 5, [], 6, 12), 1)
    write("tiny-a-text", run(a, c, everything), checkpoint="tiny-a")


CASES = dict(text=case_text)


def main():
    wanted = sys.argv[1:] or list(CASES)
    assert transformers.__version__ == "4.57.6", transformers.__version__
    a, b = load("tiny-a"), load("tiny-b")
    save_file({"pixels": pixel_pool()}, os.path.join(HERE, "media.safetensors"))
    for name in wanted:
        CASES[name](a, b)


if __name__ == "__main__":
    main()
