import { ConfigReader } from "../config-reader.ts";

/** Limits of a picture in pixels, both inclusive. */
export interface PixelLimits {
  minPixels: number;
  maxPixels: number;
}

/** How media become tensors, as a checkpoint's preprocessor files describe it. */
export interface ProcessorConfig {
  image: PixelLimits;
  /** Limits of a frame, and pixels of all frames of a video together. */
  video: PixelLimits & { totalPixels: number };
  /** Frames per second that positions assume; a temporal slice lasts temporalPatchSize / fps. */
  fps: number;
  /** Per channel, in 0..1. */
  mean: number[];
  std: number[];
  /** Samples at 16 kHz after which sound is cut. */
  maxSamples: number;
}

/** The texts of a checkpoint's preprocessor files. */
export interface ProcessorConfigFiles {
  /** `preprocessor_config.json`. */
  preprocessor?: string | undefined;
  /** `video_preprocessor_config.json`. */
  video?: string | undefined;
}

/**
 * Parses the preprocessor files of a checkpoint; what they leave out takes the Omni defaults.
 *
 * `preprocessor_config.json` speaks of pictures and sound. The limits that it sets for pictures do
 * not hold for video frames: the official processor puts its own there, and so does this one.
 *
 * @throws {CheckpointError} `bad-config` that names the key and the value.
 * Source: transformers 4.57.6, Qwen2_5OmniProcessorKwargs; qwen-omni-utils f8bf58c.
 */
export function parseProcessorConfig(files: ProcessorConfigFiles = {}): ProcessorConfig {
  const main = ConfigReader.parse(files.preprocessor ?? "{}", "preprocessor_config.json");
  const video = ConfigReader.parse(files.video ?? "{}", "video_preprocessor_config.json");
  main.only("feature_size", 128);
  main.only("sampling_rate", 16000);
  main.only("hop_length", 160);
  main.only("n_fft", 400);
  const seconds = main.size("chunk_length", 300);
  return {
    image: limits(main, { minPixels: 3136, maxPixels: 12_845_056 }),
    video: {
      ...limits(video, { minPixels: 100_352, maxPixels: 602_112 }),
      totalPixels: video.size("total_pixels", 90_316_800),
    },
    fps: positive(video, "fps", 2),
    mean: channels(main, "image_mean", [0.48145466, 0.4578275, 0.40821073]),
    std: channels(main, "image_std", [0.26862954, 0.26130258, 0.27577711]),
    maxSamples: main.size("n_samples", seconds * 16000),
  };
}

/** Older files say `min_pixels`, newer ones `size.shortest_edge`, and mean the same. */
function limits(file: ConfigReader, fallback: PixelLimits): PixelLimits {
  const size = file.section("size");
  const read = (key: string, newer: string, otherwise: number) =>
    file.has(key) ? file.size(key) : size.size(newer, otherwise);
  const minPixels = read("min_pixels", "shortest_edge", fallback.minPixels);
  const maxPixels = read("max_pixels", "longest_edge", Math.max(fallback.maxPixels, minPixels));
  if (maxPixels < minPixels) throw file.error("max_pixels", maxPixels, `at least ${minPixels}`);
  return { minPixels, maxPixels };
}

function positive(file: ConfigReader, key: string, fallback: number): number {
  const value = file.number(key, fallback);
  if (value > 0) return value;
  throw file.error(key, value, "a number above 0");
}

function channels(file: ConfigReader, key: string, fallback: number[]): number[] {
  const values = file.numbers(key, fallback);
  if (values.length === 3) return values;
  throw file.error(key, values, "one number for each of three channels");
}
