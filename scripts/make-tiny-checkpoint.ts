/**
 * Writes the checkpoint folder of the tiny model, all but its trained weights: configuration,
 * tokenizer, chat template, preprocessing, generation defaults. Every byte follows from this file
 * and from the word list of the tiny task.
 *
 *   npx tsx scripts/make-tiny-checkpoint.ts [FOLDER [SEED]]
 *
 * FOLDER is assets/tiny unless given. With SEED it also writes random initial weights.
 */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { SPACED_WORDS, TAGS } from "../src/datasets/tiny/words.ts";
import { writeSafetensors } from "../src/checkpoint/safetensors-writer.ts";
import { parseModelConfig } from "../src/families/registry.ts";
import { initialWeights } from "../src/checkpoint/init.ts";
import { OMNI_CHAT_TEMPLATE } from "../src/text/built-in-templates.ts";
import { trainBpe } from "./train-bpe.ts";

/** Special tokens of the family that the thinker can meet, in the family's order. */
const SPECIAL_TOKENS = (
  "<|endoftext|> <|im_start|> <|im_end|> <|AUDIO|> <|audio_bos|> <|audio_eos|> " +
  "<|vision_bos|> <|vision_eos|> <|vision_pad|> <|IMAGE|> <|VIDEO|>"
).split(" ");
/** Tags of the answer: one token each, but text, so that decoding keeps them. */
const ANSWER_TAGS = [TAGS.think, TAGS.endThink, TAGS.answer, TAGS.endAnswer];

/** The split pattern of every Qwen2.5 tokenizer. */
const SPLIT_PATTERN =
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*" +
  "|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

/** Rows of embedding and head come in multiples of this. */
const ROW_MULTIPLE = 64;

const bpe = trainBpe([...SPACED_WORDS.map((word) => ` ${word}`), "user", "assistant", "system"]);
const addedTokens = [...SPECIAL_TOKENS, ...ANSWER_TAGS].map((content, index) => ({
  id: bpe.tokens.length + index,
  content,
  single_word: false,
  lstrip: false,
  rstrip: false,
  normalized: false,
  special: SPECIAL_TOKENS.includes(content),
}));

function idOf(token: string): number {
  const added = addedTokens.find(({ content }) => content === token);
  const id = added?.id ?? bpe.tokens.indexOf(token);
  if (id < 0) throw new Error(`the tiny tokenizer has no token ${JSON.stringify(token)}`);
  return id;
}

function tokenizerFile(): object {
  const byteLevel = {
    type: "ByteLevel",
    add_prefix_space: false,
    trim_offsets: false,
    use_regex: false,
  };
  const split = { type: "Split", pattern: { Regex: SPLIT_PATTERN }, behavior: "Isolated" };
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: addedTokens,
    normalizer: { type: "NFC" },
    pre_tokenizer: { type: "Sequence", pretokenizers: [{ ...split, invert: false }, byteLevel] },
    post_processor: byteLevel,
    decoder: byteLevel,
    model: {
      type: "BPE",
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: "",
      end_of_word_suffix: "",
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab: Object.fromEntries(bpe.tokens.map((token, id) => [token, id])),
      merges: bpe.merges.map((parts) => parts.join(" ")),
    },
  };
}

/** The family's template without the default system turn, which would add ten tokens. */
function chatTemplate(): string {
  const parts = OMNI_CHAT_TEMPLATE.split(/\{% if loop\.first and .*?\{% endif %\}/s);
  if (parts.length !== 2) throw new Error("the Omni chat template has no default system turn");
  return parts.join("");
}

function tokenizerConfig(): object {
  const { single_word, lstrip, rstrip, normalized } = addedTokens[0]!;
  return {
    added_tokens_decoder: Object.fromEntries(
      addedTokens.map(({ id, content, special }) => [
        id,
        { content, lstrip, normalized, rstrip, single_word, special },
      ]),
    ),
    additional_special_tokens: SPECIAL_TOKENS.slice(1),
    add_bos_token: false,
    add_prefix_space: false,
    bos_token: null,
    chat_template: chatTemplate(),
    clean_up_tokenization_spaces: false,
    eos_token: "<|im_end|>",
    errors: "replace",
    extra_special_tokens: {
      audio_bos_token: "<|audio_bos|>",
      audio_eos_token: "<|audio_eos|>",
      audio_token: "<|AUDIO|>",
      image_token: "<|IMAGE|>",
      video_token: "<|VIDEO|>",
      vision_bos_token: "<|vision_bos|>",
      vision_eos_token: "<|vision_eos|>",
    },
    model_max_length: 4096,
    pad_token: "<|endoftext|>",
    processor_class: "Qwen2_5OmniProcessor",
    split_special_tokens: false,
    tokenizer_class: "Qwen2Tokenizer",
    unk_token: null,
  };
}

function modelConfig(): object {
  const rows = ROW_MULTIPLE * Math.ceil((bpe.tokens.length + addedTokens.length) / ROW_MULTIPLE);
  const width = 64;
  return {
    architectures: ["Qwen2_5OmniModel"],
    enable_audio_output: false,
    enable_talker: false,
    model_type: "qwen2_5_omni",
    thinker_config: {
      architectures: ["Qwen2_5OmniThinkerForConditionalGeneration"],
      audio_config: {
        activation_function: "gelu",
        d_model: 48,
        encoder_attention_heads: 3,
        encoder_ffn_dim: 192,
        encoder_layers: 2,
        max_source_positions: 1500,
        model_type: "qwen2_5_omni_audio_encoder",
        n_window: 100,
        num_hidden_layers: 2,
        num_mel_bins: 128,
        output_dim: width,
        scale_embedding: false,
      },
      audio_end_token_id: idOf("<|audio_eos|>"),
      audio_start_token_id: idOf("<|audio_bos|>"),
      audio_token_index: idOf("<|AUDIO|>"),
      bos_token_id: idOf("<|im_start|>"),
      eos_token_id: idOf("<|im_end|>"),
      image_token_index: idOf("<|IMAGE|>"),
      model_type: "qwen2_5_omni_thinker",
      pad_token_id: idOf("<|endoftext|>"),
      position_id_per_seconds: 25,
      seconds_per_chunk: 1,
      text_config: {
        attention_dropout: 0,
        hidden_act: "silu",
        hidden_size: width,
        intermediate_size: 192,
        max_position_embeddings: 4096,
        model_type: "qwen2_5_omni_text",
        num_attention_heads: 2,
        num_hidden_layers: 4,
        num_key_value_heads: 1,
        rms_norm_eps: 1e-6,
        rope_scaling: { mrope_section: [8, 4, 4], rope_type: "default", type: "default" },
        rope_theta: 10000,
        tie_word_embeddings: false,
        use_sliding_window: false,
        vocab_size: rows,
      },
      tie_word_embeddings: false,
      user_token_id: idOf("user"),
      video_token_index: idOf("<|VIDEO|>"),
      vision_config: {
        depth: 2,
        fullatt_block_indexes: [1],
        hidden_act: "silu",
        hidden_size: 32,
        in_channels: 3,
        intermediate_size: 96,
        model_type: "qwen2_5_omni_vision_encoder",
        num_heads: 2,
        out_hidden_size: width,
        patch_size: 14,
        spatial_merge_size: 2,
        temporal_patch_size: 2,
        tokens_per_second: 25,
        window_size: 112,
      },
      vision_end_token_id: idOf("<|vision_eos|>"),
      vision_start_token_id: idOf("<|vision_bos|>"),
      vision_token_id: idOf("<|vision_pad|>"),
    },
    torch_dtype: "float32",
  };
}

/** Preprocessing of the family; the smallest picture is the task's own, so none is scaled up. */
const PREPROCESSOR_CONFIG = {
  chunk_length: 300,
  dither: 0,
  do_resize: true,
  feature_extractor_type: "WhisperFeatureExtractor",
  feature_size: 128,
  hop_length: 160,
  image_mean: [0.48145466, 0.4578275, 0.40821073],
  image_processor_type: "Qwen2VLImageProcessor",
  image_std: [0.26862954, 0.26130258, 0.27577711],
  max_pixels: 12845056,
  merge_size: 2,
  min_pixels: 56 * 56,
  n_fft: 400,
  n_samples: 4800000,
  nb_max_frames: 30000,
  padding_side: "right",
  padding_value: 0,
  patch_size: 14,
  processor_class: "Qwen2_5OmniProcessor",
  return_attention_mask: true,
  sampling_rate: 16000,
  temporal_patch_size: 2,
};

/** Video frames of the tiny task are smaller than those of films. */
const VIDEO_PREPROCESSOR_CONFIG = {
  do_resize: true,
  merge_size: 2,
  patch_size: 14,
  size: { longest_edge: 768 * 28 * 28, shortest_edge: 56 * 56 },
  temporal_patch_size: 2,
  video_processor_type: "Qwen2VLVideoProcessor",
};

const GENERATION_CONFIG = {
  do_sample: false,
  eos_token_id: idOf("<|im_end|>"),
  max_new_tokens: 9,
  pad_token_id: idOf("<|endoftext|>"),
};

const [folder = "assets/tiny", seed] = process.argv.slice(2);
await mkdir(folder, { recursive: true });
const files = {
  "config.json": modelConfig(),
  "generation_config.json": GENERATION_CONFIG,
  "preprocessor_config.json": PREPROCESSOR_CONFIG,
  "video_preprocessor_config.json": VIDEO_PREPROCESSOR_CONFIG,
  "tokenizer.json": tokenizerFile(),
  "tokenizer_config.json": tokenizerConfig(),
};
for (const [name, content] of Object.entries(files)) {
  await writeFile(join(folder, name), `${JSON.stringify(content, null, 2)}\n`);
}
if (seed !== undefined) {
  const config = parseModelConfig(JSON.stringify(modelConfig()));
  const tensors = [...initialWeights(config, Number(seed))].map(([name, { shape, data }]) => ({
    name,
    dtype: "F32" as const,
    shape,
    data,
  }));
  await writeSafetensors(join(folder, "model.safetensors"), tensors, { format: "pt" });
}
