/**
 * Another implementation as judge: @huggingface/transformers (JavaScript), which is no dependency of
 * the run path. It has no Qwen2.5-Omni processor, but the tokenizer, the feature extractor and the
 * image processor that one is made of.
 */
import { readFileSync } from "node:fs";
import {
  PreTrainedTokenizer,
  Qwen2VLImageProcessor,
  RawImage,
  WhisperFeatureExtractor,
} from "@huggingface/transformers";
import { describe, expect, it } from "vitest";
import { Random } from "../../src/core/random.ts";
import { logMel } from "../../src/signal/log-mel.ts";
import { patchify } from "../../src/signal/patchify.ts";
import { Tokenizer } from "../../src/text/tokenizer.ts";

const asset = (name: string) =>
  readFileSync(new URL(`../../assets/tiny/${name}`, import.meta.url), "utf8");

const PIECES = [
  "Which colour is shown first ?",
  " don't  WE'LL\n\n\tx",
  "12345 6.78",
  "<|im_start|>user\n",
  "<think> red</think>",
  "\u00e9\u00e8\u4e2d\u6587\ud83d\ude00 e\u0301",
  "   ",
  "a_b-c(d)[e]{f};",
];

describe("against @huggingface/transformers", () => {
  it("tokenizes and decodes 300 strings alike", () => {
    const theirs = new PreTrainedTokenizer(
      JSON.parse(asset("tokenizer.json")),
      JSON.parse(asset("tokenizer_config.json")),
    );
    const ours = Tokenizer.fromJson(asset("tokenizer.json"), asset("tokenizer_config.json"));
    const random = new Random(1, "data");
    for (let i = 0; i < 300; i++) {
      const parts = Array.from(
        { length: 1 + random.integer(5) },
        () => PIECES[random.integer(PIECES.length)]!,
      );
      const text = parts.join("");
      const ids = ours.encode(text);
      expect(ids, JSON.stringify(text)).toEqual(theirs.encode(text, { add_special_tokens: false }));
      const options = { skip_special_tokens: false, clean_up_tokenization_spaces: false };
      expect(ours.decode(ids, { skipSpecial: false })).toBe(theirs.decode(ids, options));
    }
  });

  it("gives the same log-mel", async () => {
    const extractor = new WhisperFeatureExtractor({
      feature_size: 128,
      n_fft: 400,
      hop_length: 160,
      n_samples: 480_000,
      nb_max_frames: 3000,
      sampling_rate: 16_000,
    });
    const random = new Random(2, "data");
    const samples = Float32Array.from(
      { length: 20_000 },
      (_, n) => 0.3 * Math.sin(n * 0.05) + random.normal(0, 0.01),
    );
    const { input_features: want } = await extractor(samples);
    const got = logMel(samples, { maxSamples: 480_000, padded: true });
    expect([got.numMels, got.frames]).toEqual([want.dims.at(-2), want.dims.at(-1)]);
    const data = want.data as Float32Array;
    let worst = 0;
    got.data.forEach((value, i) => (worst = Math.max(worst, Math.abs(value - data[i]!))));
    expect(worst).toBeLessThan(1e-4);
  });

  it("cuts a picture into the same patches", async () => {
    const [width, height] = [84, 56];
    const random = new Random(3, "data");
    const rgb = Uint8Array.from({ length: width * height * 3 }, () => random.integer(256));
    const processor = new Qwen2VLImageProcessor({
      ...{ patch_size: 14, temporal_patch_size: 2, merge_size: 2 },
      ...{ do_resize: true, do_rescale: true, do_normalize: true, do_convert_rgb: true },
      ...{ rescale_factor: 1 / 255, resample: 3, min_pixels: 3136, max_pixels: 12_845_056 },
      image_mean: [0.48145466, 0.4578275, 0.40821073],
      image_std: [0.26862954, 0.26130258, 0.27577711],
    });
    const image = new RawImage(Uint8ClampedArray.from(rgb), width, height, 3);
    const { pixel_values: want, image_grid_thw: grid } = await processor([image]);
    const got = patchify([{ width, height, rgb }]);
    expect(Array.from(grid.data as BigInt64Array, Number)).toEqual([...got.grid]);
    const data = want.data as Float32Array;
    expect(got.data.length).toBe(data.length);
    let worst = 0;
    got.data.forEach((value, i) => (worst = Math.max(worst, Math.abs(value - data[i]!))));
    expect(worst).toBeLessThan(1e-5);
  });
});
