/** Limits of a picture in pixels, both inclusive. */
export interface PixelLimits {
  minPixels: number;
  maxPixels: number;
}

/** How media become tensors, as a checkpoint's preprocessor files describe it. */
export interface Preprocessing {
  /** Pixels along the side of a merge cell: the sides of pictures are multiples of it. */
  cell: number;
  /** Limits where a message states none: the defaults of qwen-omni-utils. */
  asked: { image: PixelLimits; video: PixelLimits & { totalPixels: number } };
  /** Limits of the processor itself, into which pictures are brought after that. */
  image: PixelLimits;
  video: PixelLimits;
  /**
   * Frames per second that positions assume, so that a temporal slice lasts temporalPatchSize / fps;
   * `sampled` takes those of the chosen frames.
   */
  fps: number | "sampled";
  /** Per channel, in 0..1. */
  mean: number[];
  std: number[];
  /** Samples at 16 kHz after which sound is cut. */
  maxSamples: number;
}

/** The texts of a checkpoint's preprocessor files. */
export interface PreprocessorFiles {
  /** `preprocessor_config.json`. */
  preprocessor?: string | undefined;
  /** `video_preprocessor_config.json`. */
  video?: string | undefined;
}
