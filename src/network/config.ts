import type { ConfigReader } from "../io/config-reader.ts";
import type { Family } from "../families/family.ts";

/** Shape of the text decoder. */
export interface TextConfig {
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
  /**
   * Rotary frequencies that follow the temporal, height and width position; sums to headDim/2. A
   * model with plain positions has them all on the first axis.
   */
  mropeSection: readonly [temporal: number, height: number, width: number];
  /** Longest sequence that the model was trained for, in positions. */
  maxPositions: number;
}

/** Shape of the vision tower. */
export interface VisionConfig {
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
  fullAttentionBlocks: readonly number[];
  /** Values in a patch: inChannels * temporalPatchSize * patchSize^2. */
  patchDim: number;
}

/** Shape of an audio tower. */
export interface AudioConfig {
  melBins: number;
  width: number;
  heads: number;
  headDim: number;
  layers: number;
  ffnSize: number;
  /** Mel frames that are processed together: attention and convolutions never leave a chunk. */
  chunkFrames: number;
  /** Mel frames after the end of a clip that its last rows depend on. */
  tailFrames: number;
  /** Most mel frames of a clip. */
  maxFrames: number;
  /** True when the rows' positions are a table of the checkpoint, false for sinusoids. */
  storedPositions: boolean;
  outputDim: number;
}

/** Token ids that the configuration names. */
export interface ConfiguredTokens {
  audio?: number | undefined;
  image?: number | undefined;
  video?: number | undefined;
  audioStart?: number | undefined;
  audioEnd?: number | undefined;
  visionStart?: number | undefined;
  visionEnd?: number | undefined;
  pad?: number | undefined;
  eos?: number | undefined;
}

/** A model of any family, as its `config.json` describes it. */
export interface ModelConfig {
  family: Family;
  text: TextConfig;
  /** Absent when the family takes no pictures. */
  vision?: VisionConfig;
  /** Absent when the family takes no sound. */
  audio?: AudioConfig;
  tokens: ConfiguredTokens;
  /** Temporal positions per second of video. */
  positionIdPerSeconds: number;
  /** Seconds of a chunk when video and its audio are interleaved. */
  secondsPerChunk: number;
  /** The head is the embedding when the checkpoint stores no head of its own. */
  tieWordEmbeddings: boolean;
}

/** Values of the transformers class for keys that a file leaves out. */
export interface TextDefaults {
  vocabSize: number;
  hiddenSize: number;
  intermediateSize: number;
  layers: number;
  heads: number;
  /** As many as heads when left out. */
  kvHeads?: number;
  rmsNormEps: number;
  ropeTheta: number;
  maxPositions: number;
  /** False for a family with plain positions. */
  mrope: boolean;
}

/**
 * Parses the section of a text decoder.
 *
 * Rotary settings may be keys of the section, of `rope_scaling`, or (transformers 5) of
 * `rope_parameters`; `mrope` and `default` mean plain frequencies.
 */
export function parseText(section: ConfigReader, defaults: TextDefaults): TextConfig {
  section.only("hidden_act", "silu");
  section.only("use_sliding_window", false);
  const hiddenSize = section.size("hidden_size", defaults.hiddenSize);
  const heads = section.size("num_attention_heads", defaults.heads);
  const kvHeads = section.size("num_key_value_heads", defaults.kvHeads ?? heads);
  const headDim = section.size("head_dim", hiddenSize / heads);
  if (heads % kvHeads !== 0) {
    throw section.error("num_key_value_heads", kvHeads, `a divisor of ${heads} heads`);
  }
  const rope = section.section(section.either("rope_scaling", "rope_parameters"));
  rope.only(rope.either("rope_type", "type"), "default", "mrope");
  return {
    vocabSize: section.size("vocab_size", defaults.vocabSize),
    hiddenSize,
    intermediateSize: section.size("intermediate_size", defaults.intermediateSize),
    layers: section.size("num_hidden_layers", defaults.layers),
    heads,
    kvHeads,
    headDim,
    rmsNormEps: section.number("rms_norm_eps", defaults.rmsNormEps),
    ropeTheta: (rope.has("rope_theta") ? rope : section).number("rope_theta", defaults.ropeTheta),
    mropeSection: defaults.mrope ? parseMrope(rope, headDim) : [headDim / 2, 0, 0],
    maxPositions: section.size("max_position_embeddings", defaults.maxPositions),
  };
}

function parseMrope(rope: ConfigReader, headDim: number): [number, number, number] {
  const counts = rope.integers("mrope_section");
  const frequencies = counts.reduce((sum, count) => sum + count, 0);
  if (counts.length !== 3 || 2 * frequencies !== headDim) {
    throw rope.error("mrope_section", counts, `three counts that sum to ${headDim / 2}`);
  }
  return counts as [number, number, number];
}

/** Parses the section of a vision tower; what it leaves out takes the defaults of transformers. */
export function parseVision(section: ConfigReader): VisionConfig {
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

/** The keys that the audio towers of all families have in common. */
export function parseWhisper(
  section: ConfigReader,
): Pick<AudioConfig, "melBins" | "width" | "heads" | "headDim" | "layers" | "ffnSize"> {
  section.only("activation_function", "gelu");
  section.only("scale_embedding", false);
  const width = section.size("d_model", 1280);
  const heads = section.size("encoder_attention_heads", 20);
  if (width % (2 * heads) !== 0) {
    throw section.error("d_model", width, `a multiple of 2 * ${heads} heads`);
  }
  return {
    melBins: section.size("num_mel_bins", 128),
    width,
    heads,
    headDim: width / heads,
    layers: section.size("encoder_layers", 32),
    ffnSize: section.size("encoder_ffn_dim", 5120),
  };
}

/** Checks that a tower's rows are as wide as the decoder's. */
export function checkWidth(file: ConfigReader, key: string, width: number, text: TextConfig): void {
  if (width === text.hiddenSize) return;
  throw file.error(key, width, `the decoder's hidden_size, ${text.hiddenSize},`);
}
