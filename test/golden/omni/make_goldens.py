"""Golden files for the Qwen2.5-Omni thinker, from transformers 4.57.6 (eager attention, f32, CPU).

Writes tiny random checkpoints in the Hugging Face layout and one safetensors file per case, next to
this file. README.md says what each file holds. Run from anywhere:

    python make_goldens.py            # everything
    python make_goldens.py text image # only these cases (checkpoints are reused)
"""

import copy
import json
import math
import os
import sys
from types import SimpleNamespace

import numpy as np
import torch
import transformers
from safetensors.torch import save_file
from transformers import (
    Qwen2_5OmniThinkerConfig,
    Qwen2_5OmniThinkerForConditionalGeneration,
)
from transformers.models.qwen2_5_omni.processing_qwen2_5_omni import Qwen2_5OmniProcessor

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
        vision_config=dict(patch_size=14, temporal_patch_size=2, spatial_merge_size=2,
                           in_channels=3, hidden_act="silu", tokens_per_second=25, **vision),
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
    """Weights large enough that attention is far from uniform; no bias is 0, no norm is 1."""
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
                query_or_key = any(s in name for s in ("q_proj", "k_proj", ".attn.q", ".attn.k"))
                gain = 1.6 if query_or_key else 1.0
                z = gain * z / math.sqrt(fan_in)
            p.copy_(z.to(torch.bfloat16).float())


def load(name, tie=False):
    """The saved checkpoint in f32 with eager attention; `tie` makes the head the embedding."""
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


POOL_ROWS = 120


def pixel_pool():
    return bf16_randn((POOL_ROWS, 1176), 77)


def mel_clip(length, seed):
    return (0.5 * bf16_randn((128, length), 1000 + seed).float()).to(torch.bfloat16)


# ---------------------------------------------------------------------------------------------
# Token layout and positions, written from docs/models.md: audio towers, positions
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
        """get_rope_index where transformers can do it; the rule of docs/models.md for mixed clips."""
        if self.mixed:
            return self.spec_positions
        kw = self.kwargs()
        lens = kw["feature_attention_mask"].sum(1) if self.clips else None
        pos, _ = model.get_rope_index(kw["input_ids"], self.image_grid, self.video_grid,
                                      kw["attention_mask"], self.use_av, lens,
                                      torch.tensor(self.seconds) if self.seconds else None)
        assert torch.equal(pos, self.spec_positions), "docs/models.md disagrees with get_rope_index"
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


def write(name, tensors, checkpoint):
    # One metadata key: with several, safetensors writes them in an order that varies.
    versions = f"transformers {transformers.__version__}, torch {torch.__version__}"
    meta = {"source": f"{versions}, {checkpoint}"}
    path = os.path.join(HERE, name + ".safetensors")
    tensors = {k: v.detach().clone().contiguous() for k, v in tensors.items()}
    save_file(tensors, path, metadata=meta)
    os.chmod(path, 0o644)
    loss = f"  loss {float(tensors['loss'][0]):.6f}" if "loss" in tensors else ""
    print(f"{name:28s} {os.path.getsize(path) / 1024:8.1f} KiB{loss}")


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
visual_full = lambda name, p: name.startswith("visual.")
audio_full = lambda name, p: name.startswith("audio_tower.")
# The other cases cover the towers' and the MLPs' matrices in full; attention feels the positions.
vectors_and_attention = lambda name, p: p.dim() == 1 or (
    name.startswith("model.") and (".self_attn." in name or "embed_tokens" in name))


# ---------------------------------------------------------------------------------------------
# Cases of tiny-a
# ---------------------------------------------------------------------------------------------

A = SPECIALS_A
B = SPECIALS_B


def built(model, name):
    """The conversations by name, so that the greedy cases can share them."""
    if name == "text":
        return Case(model, A, turn(A, 1, 5, [], 6, 12), 1)
    if name == "image":
        return Case(model, A, turn(A, 4, 3, [("image", (1, 10, 12))], 4, 12), 2)
    if name == "two-images":
        media = [("image", (1, 4, 4)), words(90, 2), ("image", (1, 6, 10))]
        return Case(model, A, turn(A, 7, 3, media, 4, 12), 3)
    if name == "video":
        return Case(model, A, turn(A, 10, 3, [("video", (3, 4, 6), 1.0)], 4, 12), 4)
    if name == "audio":
        media = [("audio", 130), words(91, 2), ("audio", 3)]
        return Case(model, A, turn(A, 13, 3, media, 4, 12), 5)
    if name == "audio-edges":
        media = [("audio", 50), ("audio", 51), ("audio", 4), ("audio", 99)]
        return Case(model, A, turn(A, 16, 3, media, 4, 12), 6)
    if name == "audio-and-video":
        media = [("video", (2, 4, 4), 1.0), ("audio", 60)]
        return Case(model, A, turn(A, 19, 3, media, 4, 12), 7)
    if name == "av":
        return Case(model, A, turn(A, 22, 3, [("av", (3, 4, 4), 1.0, 220)], 4, 12), 8)
    if name == "av-slow":
        return Case(model, A, turn(A, 25, 3, [("av", (2, 4, 4), 2.0, 48)], 4, 12), 9)
    if name == "av-fast":
        return Case(model, A, turn(A, 28, 3, [("av", (3, 4, 6), 0.5, 90)], 4, 12), 10)
    if name == "mixed":
        media = [("av", (2, 4, 4), 1.0, 70), words(92, 2), ("video", (2, 2, 4), 1.0)]
        return Case(model, A, turn(A, 31, 3, media, 4, 12), 11)
    raise KeyError(name)


FULL = {"text": everything, "image": visual_full, "audio": audio_full, "av": vectors_and_attention}
SINGLE = ["text", "image", "two-images", "video", "audio", "audio-edges", "audio-and-video", "av",
          "av-slow", "av-fast", "mixed"]


def single(name):
    def go(a, b):
        case = built(a, name)
        write("tiny-a-" + name, run(a, case, FULL.get(name, nothing)), checkpoint="tiny-a")
        noise(a, case)
    return go


def two_text_batch(sp, seeds=(40, 43)):
    """Two sequences of unequal length, right-padded; the last 12 tokens of each are labelled."""
    seqs = [[t for seg in turn(sp, seeds[0], 4, [], 5, 12) for t in seg],
            [t for seg in turn(sp, seeds[1], 2, [], 1, 12) for t in seg]]
    longest = max(map(len, seqs))
    ids = torch.full((2, longest), sp["pad"])
    labels = torch.full((2, longest), IGNORE)
    mask = torch.zeros(2, longest, dtype=torch.long)
    for i, s in enumerate(seqs):
        ids[i, : len(s)] = torch.tensor(s)
        labels[i, len(s) - 12 : len(s)] = torch.tensor(s[-12:])
        mask[i, : len(s)] = 1
    return seqs, ids, labels, mask


def case_two_texts(a, b):
    seqs, ids, labels, mask = two_text_batch(A)
    a.zero_grad(set_to_none=True)
    out = a(input_ids=ids, attention_mask=mask, labels=labels, use_cache=False,
            output_hidden_states=True)
    out.loss.backward()
    store = dict(loss=out.loss.detach().reshape(1))
    for i, s in enumerate(seqs):
        n = len(s)
        alone = a(input_ids=ids[i : i + 1, :n], attention_mask=mask[i : i + 1, :n]).logits[0]
        assert torch.allclose(alone, out.logits[i, :n], atol=2e-5)
        store[f"input_ids.{i}"] = ids[i, :n].to(torch.int32)
        store[f"labels.{i}"] = labels[i, :n].to(torch.int32)
        store[f"position_ids.{i}"] = torch.arange(n, dtype=torch.int32).expand(3, -1)
        store[f"logits.{i}"] = out.logits[i, :n]
    store.update(gradients(a, nothing))
    write("tiny-a-two-texts", store, checkpoint="tiny-a")


def case_batch(a, b):
    """Prompts of unequal length, padded on the left, with the gradients of their joint mean loss.

    In the first one a silent video stands before a video with sound: see tiny-a-mixed.
    """
    media = [("video", (2, 2, 4), 1.0), words(94, 1), ("av", (2, 4, 4), 1.0, 70)]
    cases = [Case(a, A, turn(A, 34, 3, media, 4, 12), 12), built(a, "text"), built(a, "audio"),
             built(a, "av-slow")]
    longest = max(c.ids.shape[1] for c in cases)
    fill = lambda x, value: torch.nn.functional.pad(x, (longest - x.shape[-1], 0), value=value)
    ids = torch.cat([fill(c.ids, A["pad"]) for c in cases])
    labels = torch.cat([fill(c.labels, IGNORE) for c in cases])
    mask = torch.cat([fill(torch.ones_like(c.ids), 0) for c in cases])
    # Positions of padding are 1 in transformers; nothing attends to it.
    positions = torch.cat([fill(c.reference_positions(a), 1) for c in cases], dim=1)
    clips = [clip.float() for c in cases for clip in c.clips]
    frames = max(clip.shape[1] for clip in clips)
    pool = pixel_pool().float()
    videos = [c for c in cases if c.video_grid is not None]
    a.zero_grad(set_to_none=True)
    out = a(input_ids=ids, attention_mask=mask, position_ids=positions, labels=labels,
            pixel_values_videos=torch.cat([pool[slice(*c.video_range)] for c in videos]),
            video_grid_thw=torch.cat([c.video_grid for c in videos]),
            input_features=torch.stack([torch.nn.functional.pad(c, (0, frames - c.shape[1]))
                                        for c in clips]),
            feature_attention_mask=torch.stack([(torch.arange(frames) < c.shape[1]).long()
                                                for c in clips]), use_cache=False)
    out.loss.backward()
    store = dict(loss=out.loss.detach().reshape(1),
                 padded_length=torch.tensor([longest], dtype=torch.int32))
    for i, case in enumerate(cases):
        n = case.ids.shape[1]
        alone = dict(case.kwargs(), position_ids=positions[:, i : i + 1, -n:])
        with torch.no_grad():
            logits = a(**alone, use_cache=False).logits[0]
        assert torch.allclose(logits, out.logits[i, -n:], atol=5e-5)
        rows = dict(case.inputs(), position_ids=positions[:, i, -n:].to(torch.int32),
                    logits=out.logits[i, -n:])
        store.update({f"{name}.{i}": value for name, value in rows.items()})
    store.update(gradients(a, nothing))
    write("tiny-a-batch", store, checkpoint="tiny-a")


SFT_FULL = ["model.embed_tokens.weight", "model.layers.0.input_layernorm.weight",
            "model.layers.0.mlp.down_proj.weight", "model.layers.1.self_attn.q_proj.weight",
            "model.layers.1.self_attn.q_proj.bias", "model.layers.2.self_attn.k_proj.bias",
            "model.norm.weight"]


def case_sft(a, b):
    """Five AdamW steps on the two-texts batch; only model.* and lm_head.* are in the optimizer."""
    model = load("tiny-a")
    _, ids, labels, mask = two_text_batch(A)
    params = {n: p for n, p in model.named_parameters() if n.startswith(("model.", "lm_head."))}
    opt = torch.optim.AdamW(params.values(), lr=1e-3, betas=(0.9, 0.95), eps=1e-8,
                            weight_decay=0.01, foreach=False, fused=False)
    losses, norms, store = [], [], {}
    for step in range(1, 6):
        opt.zero_grad(set_to_none=True)
        loss = model(input_ids=ids, attention_mask=mask, labels=labels, use_cache=False).loss
        loss.backward()
        norms.append(torch.nn.utils.clip_grad_norm_(params.values(), 1.0, foreach=False))
        losses.append(loss.detach())
        opt.step()
        if step in (1, 5):
            for n, p in params.items():
                if n in SFT_FULL:
                    store[f"step{step}.{n}"] = p.detach().clone()
                else:
                    store[f"step{step}_summary.{n}"] = summary(p.detach())
    store["losses"], store["grad_norms"] = torch.stack(losses), torch.stack(norms)
    for i in range(2):
        n = int(mask[i].sum())
        store[f"input_ids.{i}"] = ids[i, :n].to(torch.int32)
        store[f"labels.{i}"] = labels[i, :n].to(torch.int32)
    write("sft-text", store, checkpoint="tiny-a")
    print("   losses", store["losses"].tolist(), "norms", store["grad_norms"].tolist())


def case_sft_av(a, b):
    """Three AdamW steps on the clip with sound: of the decoder alone, and of everything."""
    sys.path.insert(0, os.path.dirname(HERE))
    import common
    for name, trained in (("sft-av", ("model.", "lm_head.")), ("sft-av-all", ("",))):
        model = load("tiny-a")
        case = built(model, "av")
        named = {n: p for n, p in sorted(model.named_parameters()) if n.startswith(trained)}
        forward = lambda: model(**case.kwargs(), labels=case.labels, use_cache=False).loss
        store = common.adamw(named, forward, 3, ["model.layers.1.self_attn.q_proj.weight"], eps=1e-6)
        positions = case.reference_positions(model)[:, 0].to(torch.int32).contiguous()
        write(name, dict(store, position_ids=positions, **case.inputs()), checkpoint="tiny-a")


def greedy(model, case, steps, banned):
    """Greedy ids from generate(), checked against full recomputation with the positions that generation takes."""
    model.generation_config.eos_token_id = None
    model.generation_config.pad_token_id = 0
    model.rope_deltas = None
    prompt = case.ids.shape[1]
    kw = case.kwargs()
    with torch.no_grad():
        ids = model.generate(**kw, max_new_tokens=steps, do_sample=False, suppress_tokens=banned)
        tokens = ids[0, prompt:]
        assert len(tokens) == steps
        pos = case.reference_positions(model)
        nxt = int(pos.max()) + 1
        tail = torch.arange(nxt, nxt + steps).expand(3, 1, -1)
        kw.update(input_ids=ids, attention_mask=torch.ones_like(ids),
                  position_ids=torch.cat([pos, tail], dim=2))
        logits = model(**kw, use_cache=False).logits[0, prompt - 1 : -1]
    logits[:, banned] = -math.inf
    top = logits.topk(2, dim=1)
    assert torch.equal(top.indices[:, 0], tokens), "generate() and full recomputation disagree"
    return tokens, top.values[:, 0] - top.values[:, 1], nxt


def case_greedy(a, b):
    """32 greedy ids after the prompt (the conversation without its labelled answer)."""
    store = {}
    for name in ("text", "image", "av"):
        case = built(a, name)
        keep = case.ids.shape[1] - 12
        case.ids, case.spec_positions = case.ids[:, :keep], case.spec_positions[:, :, :keep]
        tokens, margin, nxt = greedy(a, case, 32, [A["audio"], A["image"], A["video"]])
        store[f"{name}.prompt_length"] = torch.tensor([keep], dtype=torch.int32)
        store[f"{name}.next_position"] = torch.tensor([nxt], dtype=torch.int32)
        store[f"{name}.tokens"] = tokens.to(torch.int32)
        store[f"{name}.margins"] = margin
        print(f"   greedy {name}: least margin {float(margin.min()):.4f}", tokens.tolist())
    write("tiny-a-greedy", store, checkpoint="tiny-a")


# ---------------------------------------------------------------------------------------------
# Cases of tiny-b
# ---------------------------------------------------------------------------------------------


def tiny_task_case(model):
    """96 tokens of prompt and 9 of completion, laid out as the tiny task's see/hear questions."""
    segments = [[B["im_start"], B["user"], 10], ("av", (4, 4, 4), 0.5, 200), words(50, 6),
                words(51, 12), [B["im_end"], 10, B["im_start"], 61, 10],
                words(52, 8) + [B["im_end"]]]
    return Case(model, B, segments, 20, n_labels=9)


def case_b_av(a, b):
    case = tiny_task_case(b)
    store = run(b, case, nothing)
    assert case.ids.shape[1] == 105
    runs = case.ids[0].tolist()
    v, s = B["video"], B["audio"]
    assert runs[5:71] == [v] * 8 + [s] * 25 + [v] * 8 + [s] * 25
    prompt = tiny_task_case(b)
    prompt.ids, prompt.spec_positions = prompt.ids[:, :96], prompt.spec_positions[:, :, :96]
    tokens, margin, nxt = greedy(b, prompt, 9, [B["audio"], B["image"], B["video"]])
    store.update(greedy_tokens=tokens.to(torch.int32), greedy_margins=margin,
                 next_position=torch.tensor([nxt], dtype=torch.int32))
    write("tiny-b-av", store, checkpoint="tiny-b")
    noise(b, case)


def case_b_text(a, b):
    case = Case(b, B, turn(B, 60, 5, [], 6, 12), 21)
    write("tiny-b-text", run(b, case, nothing), checkpoint="tiny-b")


def case_b_tied(a, b):
    """tiny-b with lm_head dropped: logits from the embedding, whose gradient is the sum of both."""
    model = load("tiny-b", tie=True)
    case = Case(model, B, turn(B, 60, 5, [], 6, 12), 21)
    full = lambda name, p: name == "model.embed_tokens.weight"
    store = run(model, case, full)
    assert "grad.lm_head.weight" not in store and "grad_summary.lm_head.weight" not in store
    write("tiny-b-tied-text", store, checkpoint="tiny-b without lm_head.weight")


# ---------------------------------------------------------------------------------------------
# Layouts, positions, windows
# ---------------------------------------------------------------------------------------------


def case_positions(a, b):
    """Conversations as segments with the ids and positions of the processor and get_rope_index."""
    P = Qwen2_5OmniProcessor
    names = dict(image="<|IMAGE|>", audio="<|AUDIO|>", video="<|VIDEO|>",
                 vision_bos="<|vision_bos|>", vision_eos="<|vision_eos|>",
                 audio_bos="<|audio_bos|>", audio_eos="<|audio_eos|>")
    fake = SimpleNamespace(image_processor=SimpleNamespace(merge_size=2),
                           video_processor=SimpleNamespace(merge_size=2),
                           **{k + "_token": v for k, v in names.items()})
    fake.get_chunked_index = lambda *args: P.get_chunked_index(fake, *args)
    fixed = [
        [[1], ("av", (3, 4, 4), 1.0, 260), [2]], [[1], ("av", (2, 4, 4), 1.0, 520), [2]],
        [[1], ("av", (6, 4, 4), 1.0, 160), [2]], [[1], ("av", (3, 4, 4), 4.0, 1200), [2]],
        [[1], ("av", (3, 2, 4), 1.0, 260), [2]], [[1], ("av", (2, 2, 4), 1.0, 40), [2]],
        [[1, 2], ("video", (3, 2, 4), 1.0), [3]], [[1, 2], ("video", (4, 4, 4), 0.5), [3]],
        [[1], ("image", (1, 4, 6)), [2, 3], ("image", (1, 10, 2)), [4]],
        [[1], ("audio", 3), ("image", (1, 4, 4)), [2], ("video", (2, 4, 2), 2.0), ("audio", 77),
         [3]],
        [[1], ("av", (2, 4, 4), 1.0, 70), [2], ("image", (1, 6, 4)), ("audio", 30), [3],
         ("av", (4, 2, 4), 0.5, 170), [4]],
    ]
    rng = np.random.default_rng(5)
    seconds = [0.25, 0.5, 0.75, 1.0, 1.0, 1.5, 2.0, 4.6875]
    grid = lambda t: (int(t), int(2 * rng.integers(1, 4)), int(2 * rng.integers(1, 4)))
    total = 400 if os.environ.get("FUZZ") else 24
    for _ in range(total):
        av, segs = bool(rng.integers(2)), [words(int(rng.integers(1e6)), int(rng.integers(1, 4)))]
        for _ in range(int(rng.integers(1, 4))):
            kind = ["image", "audio", "av" if av else "video"][int(rng.integers(3))]
            if kind == "image":
                segs.append(("image", grid(1)))
            elif kind == "audio":
                segs.append(("audio", int(rng.integers(3, 120))))
            else:
                s = seconds[int(rng.integers(len(seconds)))]
                extra = (int(rng.integers(3, 300)),) if av else ()
                segs.append((kind, grid(rng.integers(1, 5)), s, *extra))
            segs.append(words(int(rng.integers(1e6)), int(rng.integers(1, 3))))
        fixed.append(segs)
    rows = []
    for k, segs in enumerate(fixed):
        model = b if k % 3 == 2 and k > 10 else a
        spc, sp = model.config.seconds_per_chunk, A if model is a else B
        case = Case.__new__(Case)
        ids, pos = layout(segs, sp, spc)
        media = [s for s in segs if not isinstance(s, list)]
        text = "".join(f"<{t}>" for seg in segs[:1] for t in seg)
        for seg in segs[1:]:
            if isinstance(seg, list):
                text += "".join(f"<{t}>" for t in seg)
            elif seg[0] == "audio":
                text += names["audio_bos"] + names["audio"] + names["audio_eos"]
            else:
                tag = "image" if seg[0] == "image" else "video"
                text += names["vision_bos"] + names[tag] + names["vision_eos"]
        images = [torch.tensor(s[1]) for s in media if s[0] == "image"]
        videos = [torch.tensor(s[1]) for s in media if s[0] in ("video", "av")]
        secs = [s[2] for s in media if s[0] in ("video", "av")]
        lens = [s[-1] for s in media if s[0] in ("audio", "av")]
        use_av = any(s[0] == "av" for s in media)
        out = P.replace_multimodal_special_tokens(
            fake, [text], iter([audio_tokens(n) for n in lens]), iter(images), iter(videos),
            video_second_per_grid=iter(secs), use_audio_in_video=use_av,
            position_id_per_seconds=25, seconds_per_chunk=float(spc))[0]
        for key, name in names.items():
            out = out.replace(name, f"<{sp[key]}>")
        assert out == "".join(f"<{t}>" for t in ids), "docs/models.md disagrees with the processor"
        t = torch.tensor([ids])
        want, delta = model.get_rope_index(
            t, torch.stack(images) if images else None, torch.stack(videos) if videos else None,
            torch.ones_like(t), use_av, torch.tensor(lens) if lens else None,
            torch.tensor(secs) if secs else None)
        assert want[:, 0].tolist() == pos, "docs/models.md disagrees with get_rope_index"
        assert int(delta) == max(map(max, pos)) + 1 - len(ids)
        rows.append(dict(checkpoint="tiny-a" if model is a else "tiny-b", seconds_per_chunk=spc,
                         segments=[dict(kind="text", ids=s) if isinstance(s, list) else
                                   dict(kind=s[0], grid=s[1] if s[0] != "audio" else None,
                                        seconds_per_grid=s[2] if s[0] in ("av", "video") else None,
                                        frames=s[-1] if s[0] in ("audio", "av") else None)
                                   for s in segs],
                         input_ids=ids, position_ids=pos, next_position=max(map(max, pos)) + 1))
    print(f"   {len(rows)} layouts agree with the processor and get_rope_index")
    dump("positions.json", rows[:35])


def case_windows(a, b):
    """Window order and segment boundaries of several grids, for windows of 2 and of 4 cells."""
    rows = []
    for model in (a, b):
        for grids in ([(1, 10, 12)], [(2, 6, 10)], [(1, 4, 4), (1, 10, 8)], [(3, 2, 2), (1, 18, 6)],
                      [(1, 8, 8)], [(1, 16, 24)]):
            g = torch.tensor(grids)
            index, bounds = model.visual.get_window_index(g)
            bounds = torch.unique_consecutive(torch.tensor(bounds)).tolist()
            slices = torch.repeat_interleave(g[:, 1] * g[:, 2], g[:, 0]).cumsum(0).tolist()
            rows.append(dict(window_size=model.config.vision_config.window_size, grids=grids,
                             window_index=index.tolist(), window_bounds=bounds,
                             slice_bounds=[0] + slices))
    dump("windows.json", rows)


def dump(name, rows):
    with open(os.path.join(HERE, name), "w") as f:
        f.write("[\n" + ",\n".join(json.dumps(r, separators=(",", ":")) for r in rows) + "\n]\n")
    print(f"{name:28s} {os.path.getsize(os.path.join(HERE, name)) / 1024:8.1f} KiB")


# ---------------------------------------------------------------------------------------------
# How far f32 is from the truth
# ---------------------------------------------------------------------------------------------

def noise(model, case):
    """Largest relative L2 distance between the f32 pass and the same pass in f64, printed.

    transformers asks for float32 by name in norms, softmax and rotary tables; the names are pointed
    at float64 for the length of the pass. Rotary frequencies stay the f32-rounded ones.
    """
    if not os.environ.get("NOISE"):
        return
    def collect(m, cast):
        m.zero_grad(set_to_none=True)
        kw = {k: cast(v) if torch.is_tensor(v) and v.is_floating_point() else v
              for k, v in case.kwargs().items()}
        kw["position_ids"] = case.spec_positions
        out = m(**kw, labels=case.labels, use_cache=False)
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


CASES = {name: single(name) for name in SINGLE}
CASES.update({"two-texts": case_two_texts, "batch": case_batch, "sft": case_sft, "sft-av": case_sft_av,
              "greedy": case_greedy, "b-av": case_b_av, "b-text": case_b_text, "b-tied": case_b_tied,
              "positions": case_positions, "windows": case_windows})


def main():
    wanted = sys.argv[1:] or list(CASES)
    assert transformers.__version__ == "4.57.6", transformers.__version__
    a, b = load("tiny-a"), load("tiny-b")
    save_file({"pixels": pixel_pool()}, os.path.join(HERE, "media.safetensors"))
    for name in wanted:
        CASES[name](a, b)


if __name__ == "__main__":
    main()
