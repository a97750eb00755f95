"""Golden files for Qwen2.5-VL, from transformers 4.57.6 (eager attention, f32, CPU).

Writes two tiny random checkpoints and one safetensors file a case; README.md says what each holds.

    python test/golden/vl/make_goldens.py             # everything
    python test/golden/vl/make_goldens.py text image  # these cases (checkpoints are reused)
    NOISE=1 python ...                                # also the distance of each f32 pass from f64
"""

import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path[:0] = [HERE, os.path.dirname(HERE)]
import common  # noqa: E402
import make_positions  # noqa: E402
import torch  # noqa: E402
from common import i32, nothing, turn, words  # noqa: E402
from safetensors import safe_open  # noqa: E402
from safetensors.torch import save_file  # noqa: E402
from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration  # noqa: E402

A = dict(pad=140, im_start=141, im_end=142, vision_start=146, vision_end=147, vision_pad=148,
         image=149, video=150)
B = {k: v - 30 for k, v in A.items()}
SPECIALS = {"tiny-a": A, "tiny-b": B}
TOP = dict(architectures=["Qwen2_5_VLForConditionalGeneration"], model_type="qwen2_5_vl")


def ids_of(sp):
    return dict(bos_token_id=sp["im_start"], eos_token_id=sp["im_end"],
                vision_start_token_id=sp["vision_start"], vision_end_token_id=sp["vision_end"],
                vision_token_id=sp["vision_pad"], image_token_id=sp["image"],
                video_token_id=sp["video"])


def config_a():
    """Flat, with the keys of the released VL-7B file."""
    return dict(
        **TOP, **ids_of(A), attention_dropout=0.0, hidden_act="silu", hidden_size=64,
        initializer_range=0.02, intermediate_size=100, max_position_embeddings=4096,
        max_window_layers=28, num_attention_heads=4, num_hidden_layers=3, num_key_value_heads=2,
        rms_norm_eps=1e-6, rope_theta=1000000.0, sliding_window=32768, tie_word_embeddings=False,
        torch_dtype="bfloat16", transformers_version="4.41.2", use_cache=True,
        use_sliding_window=False,
        vision_config=dict(depth=4, hidden_act="silu", hidden_size=48, intermediate_size=76,
                           num_heads=2, in_chans=3, out_hidden_size=64, patch_size=14,
                           spatial_merge_size=2, spatial_patch_size=14, window_size=56,
                           fullatt_block_indexes=[1, 3], tokens_per_second=2,
                           temporal_patch_size=2),
        rope_scaling=dict(type="mrope", mrope_section=[2, 3, 3]), vocab_size=160)


def config_b():
    """Nested, as later versions save it again; tied, and the flag stands at the top level alone."""
    return dict(
        **TOP, **ids_of(B), dtype="bfloat16", pad_token_id=B["pad"], tie_word_embeddings=True,
        transformers_version="4.57.6",
        text_config=dict(attention_dropout=0.0, hidden_act="silu", hidden_size=64,
                         initializer_range=0.02, intermediate_size=136,
                         layer_types=["full_attention"] * 2, max_position_embeddings=4096,
                         max_window_layers=70, model_type="qwen2_5_vl_text", num_attention_heads=2,
                         num_hidden_layers=2, num_key_value_heads=1, rms_norm_eps=1e-5,
                         rope_scaling=dict(mrope_section=[8, 4, 4], rope_type="default",
                                           type="default"),
                         rope_theta=10000.0, sliding_window=None, use_cache=True,
                         use_sliding_window=False, vocab_size=128),
        vision_config=dict(depth=2, fullatt_block_indexes=[0], hidden_act="silu", hidden_size=32,
                           in_channels=3, initializer_range=0.02, intermediate_size=92,
                           model_type="qwen2_5_vl", num_heads=2, out_hidden_size=64, patch_size=14,
                           spatial_merge_size=2, temporal_patch_size=2, tokens_per_second=4,
                           window_size=112))


def hub_name(path):
    """The hub's name (and this project's) of a module path of transformers 4.57.6."""
    if path.startswith("model.visual."):
        return path[len("model."):]
    return path.replace("model.language_model.", "model.", 1)


def parameters(model):
    return {hub_name(n): p for n, p in model.named_parameters()}


def load(name):
    """The checkpoint in f32 with eager attention; made where it does not exist."""
    folder = os.path.join(HERE, name)
    config = {"tiny-a": config_a, "tiny-b": config_b}[name]
    tied = config()["tie_word_embeddings"]
    parsed = Qwen2_5_VLConfig(**config(), attn_implementation="eager")
    # The nested section's default hides the flag of the top level in this version.
    parsed.text_config.tie_word_embeddings = tied
    model = Qwen2_5_VLForConditionalGeneration(parsed)
    assert (model.lm_head.weight is model.model.language_model.embed_tokens.weight) == tied
    path = os.path.join(folder, "model.safetensors")
    if not os.path.exists(path):
        # A tied head needs small embeddings, or the likelihoods are all near 0 or 1.
        common.randomise(parameters(model), {"tiny-a": 2341, "tiny-b": 3412}[name],
                         embedding=0.3 if tied else 0.7)
        state = {n: p for n, p in model.named_parameters()}
        common.write_weights(folder, parameters(model) if name == "tiny-a" else state)
        common.write_json(os.path.join(folder, "config.json"), config())
    again = Qwen2_5_VLForConditionalGeneration.from_pretrained(
        folder, config=parsed, dtype=torch.float32, attn_implementation="eager",
        output_loading_info=True)
    model, info = again
    assert not any(info[k] for k in ("missing_keys", "unexpected_keys", "mismatched_keys")), info
    with safe_open(path, "pt") as f:
        stored = {hub_name(k): f.get_tensor(k).float() for k in f.keys()}
    named = parameters(model)
    assert stored.keys() == named.keys() and all(torch.equal(stored[k], named[k]) for k in stored)
    for part in (model, model.model.language_model, model.visual):
        assert part.config._attn_implementation == "eager"
    return model.eval()


class Case:
    """One conversation; pixels are taken from the pool from row `start` on, images first."""

    def __init__(self, model, sp, segments, n_labels=12, start=0):
        per_second = model.config.vision_config.tokens_per_second
        ids, pos = make_positions.layout(segments, sp, per_second)
        assert make_positions.reference(segments, ids, sp, per_second)[0] == pos
        self.ids = torch.tensor([ids])
        self.positions = torch.tensor(pos).unsqueeze(1)
        self.labels = self.ids.clone()
        self.labels[:, : len(ids) - n_labels] = common.IGNORE
        media = [s for s in segments if not isinstance(s, list)]
        grids = lambda kind: torch.tensor([s[1] for s in media if s[0] == kind])
        self.image_grid, self.video_grid = grids("image"), grids("video")
        self.seconds = [float(s[2]) for s in media if s[0] == "video"]
        count = lambda g: int(g.prod(1).sum()) if len(g) else 0
        middle = start + count(self.image_grid)
        self.image_range = (start, middle)
        self.video_range = (middle, middle + count(self.video_grid))
        assert self.video_range[1] <= common.POOL_ROWS

    def prompt(self, n_labels=12):
        """The conversation without its labelled answer."""
        keep = self.ids.shape[1] - n_labels
        self.ids, self.labels = self.ids[:, :keep], self.labels[:, :keep]
        self.positions = self.positions[:, :, :keep]
        return self

    def inputs(self):
        """The input tensors as stored."""
        out = dict(input_ids=i32(self.ids[0]), labels=i32(self.labels[0]),
                   position_ids=i32(self.positions[:, 0]))
        if len(self.image_grid):
            out.update(image_grid_thw=i32(self.image_grid), image_pixel_range=i32(self.image_range))
        if len(self.video_grid):
            out.update(video_grid_thw=i32(self.video_grid), video_pixel_range=i32(self.video_range),
                       video_second_per_grid=torch.tensor(self.seconds),
                       video_has_audio=i32([0] * len(self.seconds)))
        return out


def media_kwargs(cases):
    """Pixels and grids of several conversations, in their order."""
    pool, out = common.pixel_pool().float(), {}
    for kind, suffix in (("image", ""), ("video", "_videos")):
        grids = [getattr(c, kind + "_grid") for c in cases if len(getattr(c, kind + "_grid"))]
        if grids:
            ranges = [getattr(c, kind + "_range") for c in cases]
            out["pixel_values" + suffix] = torch.cat([pool[slice(*r)] for r in ranges])
            out[kind + "_grid_thw"] = torch.cat(grids)
    return out


def forward_kwargs(case):
    return dict(input_ids=case.ids, attention_mask=torch.ones_like(case.ids),
                position_ids=case.positions, labels=case.labels, **media_kwargs([case]))


def run(model, case, full):
    """Forward and backward of one case; returns the tensors to store."""
    model.zero_grad(set_to_none=True)
    store, handles, towers = {}, [], []
    for i, layer in enumerate(model.model.language_model.layers):
        handles.append(layer.register_forward_hook(
            lambda m, a, o, i=i: store.__setitem__(f"hidden.{i}", o[0][0].detach())))
    handles.append(model.visual.register_forward_hook(lambda m, a, o: towers.append(o.detach())))
    out = model(**forward_kwargs(case), use_cache=False)
    out.loss.backward()
    for handle in handles:
        handle.remove()
    for kind in ("image", "video"):
        if len(getattr(case, kind + "_grid")):
            store[kind + "_embeds"] = towers.pop(0)
    store.update(case.inputs(), logits=out.logits[0].detach(), loss=out.loss.detach().reshape(1))
    store.update(common.gradients(parameters(model), full))
    return store


def built(model, name, **options):
    """The conversations by name."""
    sp = A if model.config.image_token_id == A["image"] else B
    make = lambda seed, before, media, after: Case(
        model, sp, turn(sp, seed, before, media, after, 12), **options)
    if name == "text":
        return make(1, 5, [], 6)
    if name == "image":
        return make(4, 3, [("image", (1, 10, 12))], 4)
    if name == "two-images":
        return make(7, 3, [("image", (1, 4, 4)), words(90, 2), ("image", (1, 6, 10))], 4)
    if name == "video":
        return make(10, 3, [("video", (3, 4, 6), 1.0)], 4)
    if name == "video-fps1":
        return make(13, 2, [("video", (3, 4, 4), 2.0)], 4)
    if name == "video-fps05":
        return make(16, 2, [("video", (4, 2, 4), 4.0)], 3)
    if name == "video-fraction":
        media = [("video", (4, 4, 4), 0.75), words(93, 1), ("video", (3, 2, 2), 1.1085)]
        return make(19, 2, media, 3)
    if name == "image-and-video":
        return make(22, 3, [("image", (1, 6, 4)), words(91, 2), ("video", (3, 6, 4), 2.0)], 4)
    raise KeyError(name)


SINGLE = ["text", "image", "two-images", "video", "video-fps1", "video-fps05", "video-fraction",
          "image-and-video"]


def write(name, store, checkpoint):
    common.write(os.path.join(HERE, name + ".safetensors"), store, checkpoint)


# Left out for size: the patches (omni's tiny-a-image has a gradient of that shape), middle layers.
MIDDLE = ("visual.patch_embed.", "visual.blocks.1.", "visual.blocks.2.", "model.layers.1.")
most = lambda name: not name.startswith(MIDDLE)


def single(name):
    def go(a, b):
        case = built(a, name)
        store = run(a, case, most if name == "image-and-video" else nothing)
        write("tiny-a-" + name, store, "tiny-a")
        common.noise(a, forward_kwargs(case))
    return go


def batch(model, cases, sp):
    """Several conversations, padded on the left, with the gradients of their joint mean loss."""
    ids, labels, mask = common.left_padded(cases, sp["pad"])
    # Positions of padding are 1 in transformers; nothing attends to it.
    positions = torch.ones(3, *ids.shape, dtype=torch.long)
    for i, case in enumerate(cases):
        positions[:, i, ids.shape[1] - case.ids.shape[1]:] = case.positions[:, 0]
    model.zero_grad(set_to_none=True)
    out = model(input_ids=ids, attention_mask=mask, position_ids=positions, labels=labels,
                **media_kwargs(cases), use_cache=False)
    out.loss.backward()
    store = dict(loss=out.loss.detach().reshape(1), padded_length=i32([ids.shape[1]]))
    for i, case in enumerate(cases):
        logits = out.logits[i, -case.ids.shape[1]:].detach()
        with torch.no_grad():
            alone = model(**forward_kwargs(case), use_cache=False).logits[0]
        assert torch.allclose(alone, logits, atol=5e-5), float((alone - logits).abs().max())
        store.update(common.row(dict(case.inputs(), logits=logits), i))
    store.update(common.gradients(parameters(model), nothing))
    return store


def case_two_texts(a, b):
    cases = [Case(a, A, turn(A, 40, 4, [], 5, 12)), Case(a, A, turn(A, 43, 2, [], 1, 12))]
    write("tiny-a-two-texts", batch(a, cases, A), "tiny-a")


def case_batch(a, b):
    cases = [built(a, "image-and-video"), built(a, "text")]
    cases.append(Case(a, A, turn(A, 50, 1, [("video", (2, 4, 2), 1.0)], 2, 12), start=60))
    cases.append(Case(a, A, turn(A, 53, 2, [("image", (1, 4, 6))], 1, 12), start=90))
    write("tiny-a-batch", batch(a, cases, A), "tiny-a")


def greedy(model, case, steps, banned):
    """Greedy ids by full recomputation; equal to generate() where s is whole (no cast to int64)."""
    nxt = int(case.positions.max()) + 1
    kw = forward_kwargs(case)
    del kw["labels"]
    ids, positions, margins = case.ids, case.positions, []
    for step in range(steps):
        kw.update(input_ids=ids, attention_mask=torch.ones_like(ids), position_ids=positions)
        with torch.no_grad():
            logits = model(**kw, use_cache=False).logits[0, -1]
        logits[banned] = -torch.inf
        top = logits.topk(2)
        margins.append(top.values[0] - top.values[1])
        ids = torch.cat([ids, top.indices[:1].reshape(1, 1)], dim=1)
        positions = torch.cat([positions, torch.full((3, 1, 1), nxt + step)], dim=2)
    tokens = ids[0, case.ids.shape[1]:]
    if all(s == int(s) for s in case.seconds):
        model.generation_config.eos_token_id = None
        model.generation_config.pad_token_id = 0
        model.model.rope_deltas = None
        seconds = dict(second_per_grid_ts=torch.tensor(case.seconds)) if case.seconds else {}
        out = model.generate(input_ids=case.ids, attention_mask=torch.ones_like(case.ids),
                             **media_kwargs([case]), **seconds, max_new_tokens=steps,
                             do_sample=False, suppress_tokens=banned)
        assert torch.equal(out[0, case.ids.shape[1]:], tokens), "generate() disagrees"
    return tokens, torch.stack(margins), nxt


def case_greedy(a, b):
    for name, model in (("tiny-a", a), ("tiny-b", b)):
        sp, store = SPECIALS[name], {}
        for key in ("text", "image-and-video", "video-fraction"):
            case = built(model, key).prompt()
            tokens, margin, nxt = greedy(model, case, 32, [sp["image"], sp["video"]])
            store.update({f"{key}.{n}": v for n, v in case.inputs().items() if n != "labels"})
            store[f"{key}.prompt_length"] = i32([case.ids.shape[1]])
            store[f"{key}.next_position"] = i32([nxt])
            store[f"{key}.tokens"], store[f"{key}.margins"] = i32(tokens), margin
            least = float(margin.min())
            print(f"   greedy {name} {key}: least margin {least:.4f}", tokens.tolist())
        write(f"{name}-greedy", store, name)


SFT_FULL = {"sft-video": ["model.layers.1.self_attn.q_proj.weight"],
            "sft-video-all": ["visual.blocks.0.attn.proj.weight"]}


def case_sft(a, b):
    """Three AdamW steps on the video prompt: of the decoder alone, and of everything."""
    for name, trained in (("sft-video", ("model.", "lm_head.")), ("sft-video-all", ("",))):
        model = load("tiny-a")
        case = built(model, "video-fps1")
        named = {n: p for n, p in sorted(parameters(model).items()) if n.startswith(trained)}
        store = common.adamw(
            named, lambda: model(**forward_kwargs(case), use_cache=False).loss, 3, SFT_FULL[name], eps=1e-6)
        write(name, dict(store, **case.inputs()), "tiny-a")


def case_b(name):
    def go(a, b):
        case = built(b, name)
        full = lambda n: name == "text" and n == "model.embed_tokens.weight"
        store = run(b, case, full)
        assert not any("lm_head" in k for k in store)
        write("tiny-b-" + name, store, "tiny-b")
        common.noise(b, forward_kwargs(case))
    return go


CASES = {name: single(name) for name in SINGLE}
CASES.update({"two-texts": case_two_texts, "batch": case_batch, "greedy": case_greedy,
              "sft": case_sft, "b-text": case_b("text"),
              "b-image-and-video": case_b("image-and-video"),
              "b-video-fraction": case_b("video-fraction")})


def main():
    a, b = load("tiny-a"), load("tiny-b")
    pool = os.path.join(HERE, "media.safetensors")
    save_file({"pixels": common.pixel_pool()}, pool)
    os.chmod(pool, 0o644)
    for name in sys.argv[1:] or CASES:
        CASES[name](a, b)


if __name__ == "__main__":
    main()
