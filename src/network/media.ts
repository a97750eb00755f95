/** Temporal slices, rows and columns of a picture or video, in patches before merging. */
export type PatchGrid = readonly [t: number, h: number, w: number];

/** A log-mel spectrogram of one clip. */
export interface MelClip {
  /**
   * [melBins, columns] f32, mel band by mel band: the clip's frames and those after its end that the
   * tower sees.
   */
  data: Float32Array;
  /** Frames of the clip itself. */
  frames: number;
}

/** The media of a prompt as tensors: what its towers see. */
export interface MediaTensors {
  /** [N, patchDim] f32: all pictures and videos in the order of the conversation. */
  patches: Float32Array;
  /** One grid per picture or video, in the same order. */
  grids: readonly PatchGrid[];
  /** One clip per sound or soundtrack, in the order of the conversation. */
  mel: readonly MelClip[];
}

/** The tokens of a prompt as the decoder sees them; S tokens. */
export interface PromptTokens {
  /** [S] token ids with every placeholder expanded. */
  inputIds: Uint32Array<ArrayBuffer>;
  /** [3, S] positions: temporal, height, width row. */
  positions: Int32Array<ArrayBuffer>;
  /** Position of the first generated token on all three axes: largest position and one. */
  nextPos: number;
  /** Index in the sequence of every vision feature row, in the order of the features. */
  visionRows: Uint32Array<ArrayBuffer>;
  /** Index in the sequence of every audio feature row, in the order of the features. */
  audioRows: Uint32Array<ArrayBuffer>;
}
