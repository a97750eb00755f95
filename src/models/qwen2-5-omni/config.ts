import { ConfigReader } from "../config-reader.ts";

/** Shape of the text decoder. */
export interface OmniTextConfig {
  /** Rows of the embedding and of the head; may exceed the tokenizer's size. */
  vocabSize: number;
  hiddenSize: number;
  intermediateSize: number;
  layers: number;
  heads: number;
  kvHeads: number;
  headDim: number;
  rmsNormEps: number;
  ropeTheta: number;
  /** Rotary frequencies that follow the temporal, height and width position; sums to headDim/2. */
  mropeSection: [temporal: number, height: number, width: number];
  /** Longest sequence that the model was trained for, in positions. */
  maxPositions: number;
}

/** Shape of the vision tower. */
export interface OmniVisionConfig {
  depth: number;
  hiddenSize: number;
  heads: number;
  headDim: number;
  intermediateSize: number;
  outHiddenSize: number;
  inChannels: number;
  /** Pixels along the side of a patch. */
  patchSize: number;
  /** Frames in a patch. */
  temporalPatchSize: number;
  /** Patches along the side of a merge cell. */
  mergeSize: number;
  /** Pixels along the side of an attention window. */
  windowSize: number;
  /** Blocks that attend over a whole temporal slice; the others attend inside windows. */
  fullAttentionBlocks: number[];
  /** Values in a patch: inChannels * temporalPatchSize * patchSize^2. */
  patchDim: number;
}

/** Shape of the audio tower. */
export interface OmniAudioConfig {
  melBins: number;
  width: number;
  heads: number;
  headDim: number;
  layers: number;
  ffnSize: number;
  /** Half the length of an attention chunk, in mel frames. */
  nWindow: number;
  /** Mel frames in a chunk: 2 * nWindow. */
  chunkFrames: number;
  outputDim: number;
}

/** Token ids that the configuration names. */
export interface OmniTokens {
  audio: number;
  image: number;
  video: number;
  audioStart: number;
  audioEnd: number;
  /** Absent from some files; the tokenizer knows it as well. */
  visionStart: number | undefined;
  visionEnd: number | undefined;
  pad: number | undefined;
  bos: number | undefined;
  eos: number | undefined;
}

/** The thinker of a Qwen2.5-Omni checkpoint, as its `config.json` describes it. */
export interface OmniConfig {
  text: OmniTextConfig;
  vision: OmniVisionConfig;
  audio: OmniAudioConfig;
  tokens: OmniTokens;
  /** Temporal positions per second of video or audio. */
  positionIdPerSeconds: number;
  /** Seconds of a chunk when video and its audio are interleaved. */
  secondsPerChunk: number;
  /** The head is the embedding when the checkpoint stores no head of its own. */
  tieWordEmbeddings: boolean;
}

/**
 * Parses a `config.json` of a whole Qwen2.5-Omni model or of its bare thinker.
 *
 * Keys that a file leaves out take the defaults of the transformers classes.
 *
 * @throws {CheckpointError} `bad-config` that names the key and the value.
 * Source: transformers 4.57.6, configuration_qwen2_5_omni.py.
 */
export function parseOmniConfig(text: string, file = "config.json"): OmniConfig {
  const top = ConfigReader.parse(text, file);
  const thinker = top.has("thinker_config") ? top.section("thinker_config") : top;
  thinker.only("model_type", "qwen2_5_omni_thinker");
  const textConfig = thinker.section("text_config");
  const config: OmniConfig = {
    text: parseText(textConfig),
    vision: parseVision(thinker.section("vision_config")),
    audio: parseAudio(thinker.section("audio_config")),
    tokens: parseTokens(thinker, textConfig),
    positionIdPerSeconds: thinker.size("position_id_per_seconds", 25),
    secondsPerChunk: thinker.number("seconds_per_chunk", 2),
    tieWordEmbeddings: [thinker, textConfig].some((s) => s.boolean("tie_word_embeddings", false)),
  };
  if (config.positionIdPerSeconds * config.secondsPerChunk < 1) {
    throw thinker.error("seconds_per_chunk", config.secondsPerChunk, "one position a chunk");
  }
  for (const [key, width] of [
    ["vision_config.out_hidden_size", config.vision.outHiddenSize],
    ["audio_config.output_dim", config.audio.outputDim],
  ] as const) {
    if (width === config.text.hiddenSize) continue;
    throw thinker.error(key, width, `text_config.hidden_size, ${config.text.hiddenSize},`);
  }
  return config;
}

function parseText(section: ConfigReader): OmniTextConfig {
  section.only("hidden_act", "silu");
  section.only("use_sliding_window", false);
  const hiddenSize = section.size("hidden_size", 3584);
  const heads = section.size("num_attention_heads", 28);
  const kvHeads = section.size("num_key_value_heads", 4);
  const headDim = section.size("head_dim", hiddenSize / heads);
  if (heads % kvHeads !== 0) {
    throw section.error("num_key_value_heads", kvHeads, `a divisor of ${heads} heads`);
  }
  // Re-saves by transformers 5 move rope_theta into rope_parameters.
  const rope = section.section(section.either("rope_scaling", "rope_parameters"));
  rope.only(rope.either("rope_type", "type"), "default", "mrope");
  const mropeSection = rope.integers("mrope_section");
  const frequencies = mropeSection.reduce((sum, count) => sum + count, 0);
  if (mropeSection.length !== 3 || 2 * frequencies !== headDim) {
    throw rope.error("mrope_section", mropeSection, `three counts that sum to ${headDim / 2}`);
  }
  return {
    vocabSize: section.size("vocab_size", 152064),
    hiddenSize,
    intermediateSize: section.size("intermediate_size", 18944),
    layers: section.size("num_hidden_layers", 28),
    heads,
    kvHeads,
    headDim,
    rmsNormEps: section.number("rms_norm_eps", 1e-6),
    ropeTheta: (rope.has("rope_theta") ? rope : section).number("rope_theta", 1e6),
    mropeSection: mropeSection as [number, number, number],
    maxPositions: section.size("max_position_embeddings", 32768),
  };
}

function parseVision(section: ConfigReader): OmniVisionConfig {
  section.only("hidden_act", "silu");
  const hiddenSize = section.size("hidden_size", 3584);
  const heads = section.size("num_heads", 16);
  const depth = section.size("depth", 32);
  const patchSize = section.size("patch_size", 14);
  const temporalPatchSize = section.size("temporal_patch_size", 2);
  const inChannels = section.size(section.either("in_channels", "in_chans"), 3);
  const mergeSize = section.size("spatial_merge_size", 2);
  const windowSize = section.size("window_size", 112);
  const fullAttentionBlocks = section.integers("fullatt_block_indexes", [7, 15, 23, 31]);
  if (hiddenSize % (4 * heads) !== 0) {
    throw section.error("hidden_size", hiddenSize, `a multiple of 4 * ${heads} heads`);
  }
  if (windowSize % (patchSize * mergeSize) !== 0) {
    throw section.error("window_size", windowSize, `a multiple of ${patchSize * mergeSize}`);
  }
  return {
    depth,
    hiddenSize,
    heads,
    headDim: hiddenSize / heads,
    intermediateSize: section.size("intermediate_size", 3420),
    outHiddenSize: section.size("out_hidden_size", 3584),
    inChannels,
    patchSize,
    temporalPatchSize,
    mergeSize,
    windowSize,
    fullAttentionBlocks,
    patchDim: inChannels * temporalPatchSize * patchSize ** 2,
  };
}

function parseAudio(section: ConfigReader): OmniAudioConfig {
  section.only("activation_function", "gelu");
  section.only("scale_embedding", false);
  const width = section.size("d_model", 1280);
  const heads = section.size("encoder_attention_heads", 20);
  const nWindow = section.size("n_window", 100);
  if (width % (2 * heads) !== 0) {
    throw section.error("d_model", width, `a multiple of 2 * ${heads} heads`);
  }
  if (nWindow > section.size("max_source_positions", 1500)) {
    throw section.error("n_window", nWindow, "at most max_source_positions");
  }
  return {
    melBins: section.size("num_mel_bins", 128),
    width,
    heads,
    headDim: width / heads,
    layers: section.size("encoder_layers", 32),
    ffnSize: section.size("encoder_ffn_dim", 5120),
    nWindow,
    chunkFrames: 2 * nWindow,
    outputDim: section.size("output_dim", 3584),
  };
}

function parseTokens(thinker: ConfigReader, text: ConfigReader): OmniTokens {
  const id = (key: string) => thinker.optionalInteger(key) ?? text.optionalInteger(key);
  // transformers 5 writes audio_token_id where 4 writes audio_token_index.
  const placeholder = (kind: string, fallback: number) =>
    thinker.integer(thinker.either(`${kind}_token_index`, `${kind}_token_id`), fallback);
  return {
    audio: placeholder("audio", 151646),
    image: placeholder("image", 151655),
    video: placeholder("video", 151656),
    audioStart: thinker.integer("audio_start_token_id", 151647),
    audioEnd: thinker.integer("audio_end_token_id", 151648),
    visionStart: id("vision_start_token_id"),
    visionEnd: id("vision_end_token_id"),
    pad: id("pad_token_id"),
    bos: id("bos_token_id"),
    eos: id("eos_token_id"),
  };
}
