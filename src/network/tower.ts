import { Extent } from "../graph/extent.ts";
import type { Tensor } from "../graph/graph.ts";
import type { Feed } from "./feed.ts";
import type { MediaTensors } from "./media.ts";
import type { Scope } from "./scope.ts";

/** A part of a model that makes feature rows of media, for the places of their placeholders. */
export interface Tower {
  /** The extent of its feature rows, see {@link featureExtent}. */
  readonly rows: Extent;
  /** Tensors of features besides the first: tensor i is added to what decoder layer i gives out. */
  readonly deep: number;
  /**
   * Traces the tower with its inputs.
   *
   * @param into storages for the tensors it gives, where these outlive the pass.
   * @returns 1 + `deep` tensors [rows, hiddenSize] f32; the first stands in for embeddings.
   */
  trace(scope: Scope, into?: readonly Tensor[]): Tensor[];
  /** Makes what the host feeds the inputs for the media of prompts, in their order. */
  feed(prompts: readonly MediaTensors[]): Feed;
}

/** How pictures become patches and feature rows. */
export interface PictureShape {
  inChannels: number;
  /** Pixels along the side of a patch. */
  patchSize: number;
  /** Frames in a patch. */
  temporalPatchSize: number;
  /** Patches along the side of a merge cell, which becomes one feature row. */
  mergeSize: number;
  /** Values in a patch: inChannels * temporalPatchSize * patchSize^2. */
  patchDim: number;
}

/** A tower for pictures and videos. */
export interface VisionTower extends PictureShape, Tower {}

/** How sound becomes mel frames and feature rows. */
export interface SoundShape {
  melBins: number;
  /** Minimum and maximum of the mel frames of a clip. */
  minFrames: number;
  maxFrames: number;
  /** Columns of the log-mel that the tower takes of a clip of `frames` mel frames. */
  columns(frames: number): number;
  /** Feature rows, and so placeholders, of a clip of `frames` mel frames. */
  tokens(frames: number): number;
}

/** A tower for sound. */
export interface AudioTower extends SoundShape, Tower {}

/** The extents of feature rows, by what they are of: feeds and decoder agree on these names. */
const FEATURE_EXTENTS = { vision: "cells", audio: "audioFeatures" } as const;

/**
 * Returns the extent of a tower's feature rows.
 *
 * @param widestRowBytes maximum of the bytes that any tensor of the tower holds for a feature row.
 */
export function featureExtent(kind: keyof typeof FEATURE_EXTENTS, widestRowBytes: number): Extent {
  return new Extent(FEATURE_EXTENTS[kind], widestRowBytes);
}
