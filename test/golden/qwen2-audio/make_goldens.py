"""Golden files for Qwen2-Audio, from transformers 4.57.6 (eager attention, f32, CPU).

Writes two tiny random checkpoints and one safetensors file a case; README.md says what each holds.

    python test/golden/qwen2-audio/make_goldens.py             # everything
    python test/golden/qwen2-audio/make_goldens.py text audio  # these (checkpoints are reused)
    NOISE=1 python ...                                         # also the distance from f64
"""

import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path[:0] = [os.path.dirname(HERE)]
import common  # noqa: E402
import torch  # noqa: E402
from common import bf16_randn, i32, nothing, turn, words  # noqa: E402
from safetensors import safe_open  # noqa: E402
from transformers import Qwen2AudioConfig, Qwen2AudioForConditionalGeneration  # noqa: E402

A = dict(pad=140, im_start=141, im_end=142, audio=143, audio_bos=144, audio_eos=145)
B = {k: v - 30 for k, v in A.items()}
SPECIALS = {"tiny-a": A, "tiny-b": B}


def config(sp, text, audio):
    """The keys of the released file; `text_config` is sparse and the class fills in the rest."""
    return dict(
        architectures=["Qwen2AudioForConditionalGeneration"],
        audio_config=dict(activation_dropout=0.0, activation_function="gelu", attention_dropout=0.0,
                          dropout=0.0, encoder_layerdrop=0.0, initializer_range=0.02,
                          model_type="qwen2_audio_encoder", scale_embedding=False, **audio),
        audio_token_index=sp["audio"], ignore_index=-100, model_type="qwen2_audio",
        text_config=dict(bos_token_id=sp["im_start"], eos_token_id=sp["im_end"], model_type="qwen2",
                         sliding_window=32768, use_mrope=False, **text),
        torch_dtype="bfloat16", transformers_version="4.38.1", vocab_size=text["vocab_size"])


def config_a():
    return config(
        A, dict(vocab_size=160, hidden_size=64, num_hidden_layers=3, num_attention_heads=4,
                num_key_value_heads=4, intermediate_size=100, max_position_embeddings=4096,
                rms_norm_eps=1e-5, rope_theta=10000),
        dict(d_model=48, encoder_attention_heads=3, encoder_ffn_dim=100, encoder_layers=2,
             num_mel_bins=16, max_source_positions=60))


def config_b():
    return config(
        B, dict(vocab_size=128, hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
                num_key_value_heads=2, intermediate_size=64),
        dict(d_model=32, encoder_attention_heads=2, encoder_ffn_dim=64, encoder_layers=2,
             num_mel_bins=8, max_source_positions=1500))


def short_name(path):
    """This project's name of a stored tensor: the decoder's names as in the other families."""
    return path.removeprefix("language_model.")


def parameters(model):
    return {short_name(n): p for n, p in model.named_parameters()}


def v5_name(path):
    """The name of a stored tensor under the module paths of transformers 5."""
    if path == "language_model.lm_head.weight":
        return "lm_head.weight"
    return "model." + path.replace("language_model.model.", "language_model.")


def load(name):
    """The checkpoint in f32 with eager attention; made where it does not exist."""
    folder = os.path.join(HERE, name)
    made = {"tiny-a": config_a, "tiny-b": config_b}[name]()
    path = os.path.join(folder, "model.safetensors")
    if not os.path.exists(path):
        os.makedirs(folder, exist_ok=True)
        common.write_json(os.path.join(folder, "config.json"), made)
        model = Qwen2AudioForConditionalGeneration(Qwen2AudioConfig.from_pretrained(folder))
        common.randomise(parameters(model), {"tiny-a": 5341, "tiny-b": 5412}[name])
        common.write_weights(folder, dict(model.named_parameters()))
        if name == "tiny-a":
            common.write_json(os.path.join(folder, "v5-names.json"),
                              {n: v5_name(n) for n in sorted(dict(model.named_parameters()))})
    model, info = Qwen2AudioForConditionalGeneration.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager", output_loading_info=True)
    assert not any(info[k] for k in ("missing_keys", "unexpected_keys", "mismatched_keys")), info
    with safe_open(path, "pt") as f:
        for stored in f.keys():
            assert torch.equal(f.get_tensor(stored).float(), model.get_parameter(stored))
    text = model.language_model.config
    assert (text.hidden_act, text.tie_word_embeddings) == ("silu", False)
    assert text.rope_theta == 10000 and text.rms_norm_eps == (1e-5 if name == "tiny-a" else 1e-6)
    for part in (model, model.language_model, model.audio_tower):
        assert part.config._attn_implementation == "eager"
    return model.eval()


def rows_of(length):
    """Audio tokens of a clip of `length` valid frames."""
    return ((length - 1) // 2 + 1 - 2) // 2 + 1


class Case:
    """One conversation of ids and ("audio", L); features are random behind the clip's end too."""

    def __init__(self, model, sp, segments, seed, n_labels=12):
        ids = []
        for seg in segments:
            ids += seg if isinstance(seg, list) else (
                [sp["audio_bos"]] + [sp["audio"]] * rows_of(seg[1]) + [sp["audio_eos"]])
        audio = model.config.audio_config
        self.ids = torch.tensor([ids])
        self.labels = self.ids.clone()
        self.labels[:, : len(ids) - n_labels] = common.IGNORE
        self.lengths = [seg[1] for seg in segments if not isinstance(seg, list)]
        shape = (audio.num_mel_bins, 2 * audio.max_source_positions)
        assert all(3 <= n <= shape[1] for n in self.lengths)
        self.clips = [(0.5 * bf16_randn(shape, 2000 + 10 * seed + i).float()).to(torch.bfloat16)
                      for i in range(len(self.lengths))]

    def prompt(self, n_labels=12):
        """The conversation without its labelled answer."""
        keep = self.ids.shape[1] - n_labels
        self.ids, self.labels = self.ids[:, :keep], self.labels[:, :keep]
        return self

    def inputs(self):
        """The input tensors as stored."""
        size = self.ids.shape[1]
        out = dict(input_ids=i32(self.ids[0]), labels=i32(self.labels[0]),
                   position_ids=torch.arange(size, dtype=torch.int32).expand(3, -1))
        if self.clips:
            out["feature_lengths"] = i32(self.lengths)
        for i, clip in enumerate(self.clips):
            out[f"input_features.{i}"] = clip
        return out


def audio_kwargs(cases, model):
    """Features and their mask of several conversations, in their order."""
    clips = [clip.float() for c in cases for clip in c.clips]
    if not clips:
        return {}
    features = torch.stack(clips)
    lengths = torch.tensor([n for c in cases for n in c.lengths])
    mask = (torch.arange(features.shape[2])[None] < lengths[:, None]).long()
    return dict(input_features=features, feature_attention_mask=mask)


def forward_kwargs(model, case):
    sound = model.config.audio_token_index
    is_sound = case.ids[0] == sound
    # Two placeholders side by side tell transformers that the placeholders are expanded already.
    assert not case.clips or bool((is_sound[1:] & is_sound[:-1]).any())
    return dict(input_ids=case.ids, attention_mask=torch.ones_like(case.ids), labels=case.labels,
                position_ids=torch.arange(case.ids.shape[1])[None], **audio_kwargs([case], model))


def run(model, case, full, logits_tail=None):
    """Forward and backward of one case; returns the tensors to store."""
    model.zero_grad(set_to_none=True)
    store, handles = {}, []
    first = lambda o: (o[0] if isinstance(o, tuple) else o).detach()
    for i, layer in enumerate(model.language_model.model.layers):
        handles.append(layer.register_forward_hook(
            lambda m, a, o, i=i: store.__setitem__(f"hidden.{i}", first(o)[0])))
    handles.append(model.multi_modal_projector.register_forward_hook(
        lambda m, a, o: store.__setitem__("audio_embeds", torch.cat(
            [o[i, : rows_of(n)].detach() for i, n in enumerate(case.lengths)]))))
    out = model(**forward_kwargs(model, case), use_cache=False)
    out.loss.backward()
    for handle in handles:
        handle.remove()
    logits = out.logits[0].detach()
    if logits_tail:
        store["logits_tail"] = logits[-logits_tail:]
        store = {k: v for k, v in store.items() if not k.startswith("hidden.")} | {
            "hidden_tail." + k.split(".")[1]: v[-logits_tail:]
            for k, v in store.items() if k.startswith("hidden.")}
    else:
        store["logits"] = logits
    store.update(case.inputs(), loss=out.loss.detach().reshape(1))
    grads = common.gradients(parameters(model), full)
    assert not any("embed_positions" in k for k in grads)
    store.update(grads)
    return store


def built(model, name):
    """The conversations by name."""
    sp = A if model.config.audio_token_index == A["audio"] else B
    make = lambda seed, before, media, after: Case(
        model, sp, turn(sp, seed, before, media, after, 12), seed)
    if name == "text":
        return make(1, 5, [], 6)
    if name == "audio":
        return make(4, 3, [("audio", 40)], 4)
    if name == "audio-odd":
        return make(7, 3, [("audio", 47), words(90, 1), ("audio", 45)], 3)
    if name == "audio-edges":
        media = [("audio", n) for n in (3, 4, 5, 7, 119, 118)]
        return make(10, 2, media, 3)
    if name == "audio-shortest":
        return make(13, 2, [("audio", 7)], 3)
    if name == "audio-full":
        return make(16, 2, [("audio", 120)], 3)
    if name == "two-clips":
        return make(19, 3, [("audio", 63), words(91, 3), ("audio", 26)], 4)
    if name == "long":
        return make(22, 2, [("audio", 3000)], 3)
    if name == "short-in-long":
        return make(25, 2, [("audio", 101)], 3)
    raise KeyError(name)


def write(name, store, checkpoint):
    common.write(os.path.join(HERE, name + ".safetensors"), store, checkpoint)


most = lambda name: not name.startswith("model.layers.1.")


def single(name, checkpoint="tiny-a", tail=None):
    def go(a, b):
        model = a if checkpoint == "tiny-a" else b
        case = built(model, name)
        full = most if name == "two-clips" else nothing
        write(f"{checkpoint}-{name}", run(model, case, full, tail), checkpoint)
        common.noise(model, forward_kwargs(model, case))
    return go


def batch(model, cases, sp):
    """Several conversations, padded on the left, with the gradients of their joint mean loss."""
    ids, labels, mask = common.left_padded(cases, sp["pad"])
    positions = (mask.cumsum(1) - 1).masked_fill(mask == 0, 1)
    model.zero_grad(set_to_none=True)
    out = model(input_ids=ids, attention_mask=mask, position_ids=positions, labels=labels,
                **audio_kwargs(cases, model), use_cache=False)
    out.loss.backward()
    store = dict(loss=out.loss.detach().reshape(1), padded_length=i32([ids.shape[1]]))
    for i, case in enumerate(cases):
        logits = out.logits[i, -case.ids.shape[1]:].detach()
        with torch.no_grad():
            alone = model(**forward_kwargs(model, case), use_cache=False).logits[0]
        assert torch.allclose(alone, logits, atol=5e-5), float((alone - logits).abs().max())
        store.update(common.row(dict(case.inputs(), logits=logits), i))
    store.update(common.gradients(parameters(model), nothing))
    return store


def case_two_texts(a, b):
    cases = [Case(a, A, turn(A, 40, 4, [], 5, 12), 0), Case(a, A, turn(A, 43, 2, [], 1, 12), 0)]
    write("tiny-a-two-texts", batch(a, cases, A), "tiny-a")


def case_batch(a, b):
    cases = [built(a, "two-clips"), built(a, "text"), built(a, "audio"), built(a, "audio-shortest")]
    write("tiny-a-batch", batch(a, cases, A), "tiny-a")


def greedy(model, case, steps, banned):
    """Greedy ids by full recomputation, equal to generate()."""
    kw = forward_kwargs(model, case)
    del kw["labels"]
    ids, margins = case.ids, []
    for _ in range(steps):
        kw.update(input_ids=ids, attention_mask=torch.ones_like(ids),
                  position_ids=torch.arange(ids.shape[1])[None])
        with torch.no_grad():
            logits = model(**kw, use_cache=False).logits[0, -1]
        logits[banned] = -torch.inf
        top = logits.topk(2)
        margins.append(top.values[0] - top.values[1])
        ids = torch.cat([ids, top.indices[:1].reshape(1, 1)], dim=1)
    tokens = ids[0, case.ids.shape[1]:]
    model.generation_config.eos_token_id = None
    model.generation_config.pad_token_id = 0
    out = model.generate(input_ids=case.ids, attention_mask=torch.ones_like(case.ids),
                         **audio_kwargs([case], model), max_new_tokens=steps, do_sample=False,
                         suppress_tokens=banned)
    assert torch.equal(out[0, case.ids.shape[1]:], tokens), "generate() disagrees"
    return tokens, torch.stack(margins)


def case_greedy(a, b):
    store = {}
    for key in ("text", "audio", "two-clips"):
        case = built(a, key).prompt()
        tokens, margin = greedy(a, case, 32, [A["audio"]])
        store.update({f"{key}.{n}": v for n, v in case.inputs().items() if n != "labels"})
        store[f"{key}.prompt_length"] = store[f"{key}.next_position"] = i32([case.ids.shape[1]])
        store[f"{key}.tokens"], store[f"{key}.margins"] = i32(tokens), margin
        print(f"   greedy {key}: least margin {float(margin.min()):.4f}", tokens.tolist())
    write("tiny-a-greedy", store, "tiny-a")


SFT_FULL = {"sft-audio": ["model.layers.1.self_attn.q_proj.weight"],
            "sft-audio-all": ["audio_tower.conv1.weight"]}


def case_sft(a, b):
    """Three AdamW steps on a clip: of the decoder alone, and of everything that is not frozen."""
    for name, trained in (("sft-audio", ("model.", "lm_head.")), ("sft-audio-all", ("",))):
        model = load("tiny-a")
        case = built(model, "audio")
        named = {n: p for n, p in sorted(parameters(model).items())
                 if n.startswith(trained) and p.requires_grad}
        assert "audio_tower.embed_positions.weight" not in named
        loss = lambda: model(**forward_kwargs(model, case), use_cache=False).loss
        store = common.adamw(named, loss, 3, SFT_FULL[name], eps=1e-6)
        write(name, dict(store, **case.inputs()), "tiny-a")


SINGLE = ["text", "audio", "audio-odd", "audio-edges", "audio-shortest", "audio-full", "two-clips"]
CASES = {name: single(name) for name in SINGLE}
CASES.update({"two-texts": case_two_texts, "batch": case_batch, "greedy": case_greedy,
              "sft": case_sft, "b-text": single("text", "tiny-b"),
              "b-long": single("long", "tiny-b", tail=20),
              "b-short-in-long": single("short-in-long", "tiny-b")})


def main():
    a, b = load("tiny-a"), load("tiny-b")
    for name in sys.argv[1:] or CASES:
        CASES[name](a, b)


if __name__ == "__main__":
    main()
