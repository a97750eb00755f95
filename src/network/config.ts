import type { AudioTower, VisionTower } from "./tower.ts";

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
   * [headDim / 2] the position that each rotary frequency follows: 0 temporal, 1 height, 2 width. A
   * model with plain positions has them all on the first axis.
   */
  rotaryAxes: readonly number[];
  /** True when queries, keys and values are projected with a bias. */
  attentionBias: boolean;
  /** True when every head of queries and keys goes through an RMSNorm before it is rotated. */
  qkNorm: boolean;
  /** Maximum length of a sequence that the model was trained for, in positions. */
  maxPositions: number;
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

/** A model of any family: a decoder, and the towers that its media go through. */
export interface ModelConfig {
  /** The family as its makers write it, for messages. */
  name: string;
  text: TextConfig;
  /** Absent when the family takes no pictures. */
  vision?: VisionTower;
  /** Absent when the family takes no sound. */
  audio?: AudioTower;
  tokens: ConfiguredTokens;
  /** The head is the embedding when the checkpoint stores no head of its own. */
  tieWordEmbeddings: boolean;
}
