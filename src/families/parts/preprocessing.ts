import type { ConfigReader } from "../../io/config-reader.ts";
import type { PixelLimits, Preprocessing } from "../../prompt/preprocessing.ts";

/** Limits of pictures and of all frames of a video in qwen-omni-utils and qwen-vl-utils. */
export const ASKED: Preprocessing["asked"] = {
  image: { minPixels: 3136, maxPixels: 12_845_056 },
  video: { minPixels: 100_352, maxPixels: 602_112, totalPixels: 90_316_800 },
};

/** Limits of the official image processor where a file states none. */
const IMAGE_LIMITS: PixelLimits = { minPixels: 3136, maxPixels: 1_003_520 };

/** Parses the settings of pictures in `preprocessor_config.json`, which all families share. */
export function parsePictures(main: ConfigReader): Pick<Preprocessing, "image" | "mean" | "std"> {
  main.only("do_resize", true);
  main.only("do_rescale", true);
  main.only("do_normalize", true);
  return {
    image: parseLimits(main, IMAGE_LIMITS),
    mean: channels(main, "image_mean", [0.48145466, 0.4578275, 0.40821073]),
    std: channels(main, "image_std", [0.26862954, 0.26130258, 0.27577711]),
  };
}

/**
 * Samples after which sound is cut.
 *
 * @param seconds what the family's class cuts at when the file says nothing.
 */
export function parseSound(main: ConfigReader, seconds: number): number {
  main.only("sampling_rate", 16000);
  main.only("hop_length", 160);
  main.only("n_fft", 400);
  return main.size("n_samples", main.size("chunk_length", seconds) * 16000);
}

/** Pixel limits: older files say `min_pixels`, newer ones `size.shortest_edge`, and mean the same. */
export function parseLimits(file: ConfigReader, fallback: PixelLimits): PixelLimits {
  const size = file.section("size");
  const read = (key: string, newer: string, otherwise: number) =>
    file.has(key) ? file.size(key) : size.size(newer, otherwise);
  const minPixels = read("min_pixels", "shortest_edge", fallback.minPixels);
  const maxPixels = read("max_pixels", "longest_edge", Math.max(fallback.maxPixels, minPixels));
  if (maxPixels < minPixels) throw file.error("max_pixels", maxPixels, `at least ${minPixels}`);
  return { minPixels, maxPixels };
}

/** Returns a number above 0. */
export function positive(file: ConfigReader, key: string, fallback: number): number {
  const value = file.number(key, fallback);
  if (value > 0) return value;
  throw file.error(key, value, "a number above 0");
}

function channels(file: ConfigReader, key: string, fallback: number[]): number[] {
  const values = file.numbers(key, fallback);
  if (values.length === 3) return values;
  throw file.error(key, values, "one number for each of three channels");
}
