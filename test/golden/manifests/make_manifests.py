"""config.json and tensor manifests of the released checkpoints, from transformers 4.57.6.

For each size: writes a config.json laid out as the released one, builds the transformers model that
this very file describes on the meta device (no memory, no weights), and writes the names and shapes
of its tensors under the names that the released checkpoint stores. README.md says what each file
holds. Run from anywhere:

    python make_manifests.py
"""

import json
import os
import re

import torch
import transformers
from transformers import (
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5OmniConfig,
    Qwen2_5OmniThinkerForConditionalGeneration,
    Qwen2AudioConfig,
    Qwen2AudioForConditionalGeneration,
)

HERE = os.path.dirname(os.path.abspath(__file__))

# Widths of the text decoder: hidden, layers, heads, key-value heads, feed-forward, vocabulary.
TEXT = {
    "3b": (2048, 36, 16, 2, 11008, 151936),
    "7b": (3584, 28, 28, 4, 18944, 152064),
    "32b": (5120, 64, 40, 8, 27648, 152064),
    "72b": (8192, 80, 64, 8, 29568, 152064),
}

# Number of tensors and of values that each checkpoint stores.
TOTALS = {
    "omni-3b": (1442, 4_703_464_448),
    "omni-7b": (1346, 8_931_813_888),
    "vl-3b": (824, 3_754_622_976),
    "vl-7b": (729, 8_292_166_656),
    "vl-32b": (1161, 33_452_718_336),
    "vl-72b": (1353, 73_410_777_344),
    "qwen2-audio-7b": (876, 8_397_094_912),
}

HUB_NAMES = {
    "omni-3b": "Qwen2.5-Omni-3B",
    "omni-7b": "Qwen2.5-Omni-7B",
    "vl-3b": "Qwen2.5-VL-3B-Instruct",
    "vl-7b": "Qwen2.5-VL-7B-Instruct",
    "vl-32b": "Qwen2.5-VL-32B-Instruct",
    "vl-72b": "Qwen2.5-VL-72B-Instruct",
    "qwen2-audio-7b": "Qwen2-Audio-7B-Instruct",
}

FULL_ATTENTION = [7, 15, 23, 31]


# ---------------------------------------------------------------------------------------------
# Configurations
# ---------------------------------------------------------------------------------------------


def omni_config(size):
    hidden, layers, heads, kv, ffn, vocab = TEXT[size]
    audio = dict(
        activation_dropout=0.0, activation_function="gelu", attention_dropout=0.0, d_model=1280,
        dropout=0.0, encoder_attention_heads=20, encoder_ffn_dim=5120, encoder_layerdrop=0.0,
        encoder_layers=32, init_std=0.02, initializer_range=0.02, max_source_positions=1500,
        model_type="qwen2_5_omni_audio_encoder", n_window=100, num_hidden_layers=32,
        num_mel_bins=128, output_dim=hidden, scale_embedding=False,
    )
    text = dict(
        attention_dropout=0.0, hidden_act="silu", hidden_size=hidden, init_std=0.02,
        initializer_range=0.02, intermediate_size=ffn, max_position_embeddings=32768,
        max_window_layers=28, model_type="qwen2_5_omni_text", num_attention_heads=heads,
        num_hidden_layers=layers, num_key_value_heads=kv, rms_norm_eps=1e-06,
        rope_scaling=dict(mrope_section=[16, 24, 24], rope_type="default", type="default"),
        rope_theta=1000000.0, sliding_window=32768, use_cache=True, use_sliding_window=False,
        vocab_size=vocab,
    )
    vision = dict(
        depth=32, embed_dim=1280, fullatt_block_indexes=FULL_ATTENTION, hidden_act="silu",
        hidden_size=1280, in_channels=3, in_chans=3, init_std=0.02, initializer_range=0.02,
        intermediate_size=3420, model_type="qwen2_5_omni_vision_encoder", num_heads=16,
        out_hidden_size=hidden, patch_size=14, spatial_merge_size=2, spatial_patch_size=14,
        temporal_patch_size=2, tokens_per_second=25, window_size=112,
    )
    # The speech half: only enough that a reader has to step over it.
    talker = dict(
        architectures=["Qwen2OmniTalkerForConditionalGeneration"], audio_end_token_id=151648,
        audio_start_token_id=151647, audio_token_index=151646, embedding_size=hidden,
        hidden_act="silu", hidden_size=896, image_token_index=151655,
        model_type="qwen2_5_omni_talker", num_hidden_layers=24, position_id_per_seconds=25,
        rope_scaling=dict(mrope_section=[16, 24, 24], rope_type="default", type="default"),
        rope_theta=1000000.0, seconds_per_chunk=2, video_token_index=151656, vocab_size=8448,
    )
    token2wav = dict(
        bigvgan_config=dict(model_type="qwen2_5_omni_bigvgan"),
        dit_config=dict(model_type="qwen2_5_omni_dit"), model_type="qwen2_5_omni_token2wav",
    )
    thinker = dict(
        architectures=["Qwen2OmniNaViTThinkerForConditionalGeneration"], audio_config=audio,
        audio_end_token_id=151648, audio_start_token_id=151647, audio_token_index=151646,
        bos_token_id=151644, eos_token_id=151645, ignore_index=-100, image_token_index=151655,
        init_std=0.02, model_type="qwen2_5_omni_thinker", pad_token_id=151643,
        position_id_per_seconds=25, seconds_per_chunk=2, text_config=text,
        torch_dtype="bfloat16", user_token_id=872, video_token_index=151656,
        vision_config=vision, vision_end_token_id=151653, vision_start_token_id=151652,
        vision_token_id=151654,
    )
    return dict(
        architectures=["Qwen2_5OmniModel"], enable_audio_output=True, enable_talker=True,
        model_type="qwen2_5_omni", talker_config=talker, thinker_config=thinker,
        token2wav_config=token2wav, torch_dtype="bfloat16",
        transformers_version="4.50.0.dev0",
    )


def vl_config(size):
    """Flat: the keys of the decoder are at the top."""
    hidden, layers, heads, kv, ffn, vocab = TEXT[size]
    vision = dict(
        depth=32, hidden_act="silu", hidden_size=1280,
        intermediate_size=3456 if size in ("32b", "72b") else 3420, num_heads=16, in_chans=3,
        out_hidden_size=hidden, patch_size=14, spatial_merge_size=2, spatial_patch_size=14,
        window_size=112, fullatt_block_indexes=FULL_ATTENTION, tokens_per_second=2,
        temporal_patch_size=2,
    )
    return dict(
        architectures=["Qwen2_5_VLForConditionalGeneration"], attention_dropout=0.0,
        bos_token_id=151643, eos_token_id=151645, vision_start_token_id=151652,
        vision_end_token_id=151653, vision_token_id=151654, image_token_id=151655,
        video_token_id=151656, hidden_act="silu", hidden_size=hidden, initializer_range=0.02,
        intermediate_size=ffn, max_position_embeddings=128000,
        max_window_layers=70 if size == "3b" else layers, model_type="qwen2_5_vl",
        num_attention_heads=heads, num_hidden_layers=layers, num_key_value_heads=kv,
        rms_norm_eps=1e-06, rope_theta=1000000.0, sliding_window=32768,
        tie_word_embeddings=size == "3b", torch_dtype="bfloat16",
        transformers_version="4.41.2", use_cache=True, use_sliding_window=False,
        vision_config=vision, rope_scaling=dict(type="mrope", mrope_section=[16, 24, 24]),
        vocab_size=vocab,
    )


def qwen2_audio_config():
    """Sparse: hidden_size, the number of layers and of heads are the defaults of Qwen2Config."""
    return dict(
        architectures=["Qwen2AudioForConditionalGeneration"],
        audio_config=dict(
            model_type="qwen2_audio_encoder", num_mel_bins=128, encoder_layers=32,
            encoder_attention_heads=20, encoder_ffn_dim=5120, encoder_layerdrop=0.0,
            d_model=1280, dropout=0.0, attention_dropout=0.0, activation_function="gelu",
            activation_dropout=0.0, scale_embedding=False, init_std=0.02,
            max_source_positions=1500,
        ),
        audio_token_index=151646, ignore_index=-100, model_type="qwen2_audio",
        text_config=dict(
            bos_token_id=151643, eos_token_id=151645, intermediate_size=11008,
            max_position_embeddings=8192, model_type="qwen2", rms_norm_eps=1e-05,
            rope_theta=10000, sliding_window=32768, torch_dtype="bfloat16", use_mrope=False,
            vocab_size=156032,
        ),
        torch_dtype="bfloat16", transformers_version="4.38.1", vocab_size=156032,
    )


# ---------------------------------------------------------------------------------------------
# Spellings of the names
# ---------------------------------------------------------------------------------------------

# Per family and spelling: prefixes as the hub stores them, and as that spelling does. The first
# prefix that a name starts with is replaced.
SPELLINGS = {
    "qwen2-5-omni": {"thinker alone (save_pretrained of the thinker class)": [["thinker.", ""]]},
    "qwen2-5-vl": {
        "module paths of transformers 4.52 and later": [
            ["visual.", "model.visual."],
            ["model.", "model.language_model."],
            ["lm_head.", "lm_head."],
        ],
    },
    "qwen2-audio": {
        "module paths of transformers 5": [
            ["audio_tower.", "model.audio_tower."],
            ["multi_modal_projector.", "model.multi_modal_projector."],
            ["language_model.model.", "model.language_model."],
            ["language_model.lm_head.", "lm_head."],
        ],
    },
}


def respell(name, rules):
    for hub, other in rules:
        if name.startswith(hub):
            return other + name[len(hub):]
    raise KeyError(name)


def hub_names(module_shapes, rules):
    """Names of the module tree to hub names: the inverse of respell, longest match first."""
    inverse = sorted(([other, hub] for hub, other in rules), key=lambda r: -len(r[0]))
    out = {respell(name, inverse): shape for name, shape in module_shapes.items()}
    assert {respell(name, rules) for name in out} == set(module_shapes)
    return out


# ---------------------------------------------------------------------------------------------
# Manifests
# ---------------------------------------------------------------------------------------------


def shapes(model):
    return {name: list(t.shape) for name, t in model.state_dict().items()}


def tensors(size, config):
    """Hub name to shape, of the model that `config` (as read from config.json) describes."""
    with torch.device("meta"):
        if size.startswith("omni"):
            thinker = Qwen2_5OmniConfig.from_dict(config).thinker_config
            found = shapes(Qwen2_5OmniThinkerForConditionalGeneration(thinker))
            return hub_names(found, next(iter(SPELLINGS["qwen2-5-omni"].values())))
        if size.startswith("vl"):
            model = Qwen2_5_VLForConditionalGeneration(Qwen2_5_VLConfig.from_dict(config))
            found = hub_names(shapes(model), next(iter(SPELLINGS["qwen2-5-vl"].values())))
            if config["tie_word_embeddings"]:
                del found["lm_head.weight"]
            return found
        return shapes(Qwen2AudioForConditionalGeneration(Qwen2AudioConfig.from_dict(config)))


def collapse(found):
    """One entry per run of layers; `{}` stands for 0 ... count-1. Lossless: see expand."""
    groups = {}
    for name, shape in found.items():
        pattern, hits = re.subn(r"\.(layers|blocks)\.(\d+)\.", r".\1.{}.", name)
        assert hits <= 1 and "{}" not in name
        entry = groups.setdefault(pattern, {"shape": shape, "count": 0})
        assert entry["shape"] == shape
        entry["count"] += 1
    return [
        {"pattern": pattern, **({"count": e["count"]} if "{}" in pattern else {}),
         "shape": e["shape"]}
        for pattern, e in groups.items()
    ]


def expand(entries):
    out = {}
    for e in entries:
        for i in range(e.get("count", 1)):
            out[e["pattern"].replace("{}", str(i))] = e["shape"]
    return out


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as f:
        f.write(text + "\n")
    return os.path.getsize(path)


def main():
    total_bytes = 0
    for size, (want_tensors, want_values) in TOTALS.items():
        family, width = size.split("-")[0], size.split("-")[-1]
        make = {"omni": omni_config, "vl": vl_config}.get(family)
        config = make(width) if make else qwen2_audio_config()
        path = os.path.join(HERE, size, "config.json")
        total_bytes += write(path, json.dumps(config, indent=1))
        with open(path) as f:
            found = tensors(size, json.load(f))
        values = sum(torch.Size(s).numel() for s in found.values())
        assert (len(found), values) == (want_tensors, want_values), (size, len(found), values)
        entries = collapse(found)
        assert expand(entries) == found
        lines = ",\n".join(" " + json.dumps(e) for e in entries)
        head = f'"model": "{HUB_NAMES[size]}", "transformers": "{transformers.__version__}"'
        text = '{%s, "tensors": [\n%s\n]}' % (head, lines)
        total_bytes += write(os.path.join(HERE, size, "tensors.json"), text)
        print(f"{size:15s} {len(found):5d} tensors {values:15,d} values")
    total_bytes += write(os.path.join(HERE, "spellings.json"), json.dumps(SPELLINGS, indent=1))
    print(f"{total_bytes / 1024:.1f} KiB")


main()
