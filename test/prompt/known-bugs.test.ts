/**
 * Failures that others reported of stacks like this one, by their numbers in docs/failures.md, and
 * limits of the reference (docs/models.md). F15 and F25 of the sampler, F6, F16 and F24 of the model
 * are in test/model/; every comment says how the test would fail if the bug were there.
 */
import { describe, expect, it } from "vitest";
import { DataError } from "../../src/core/errors.ts";
import type { LoadedMedium } from "../../src/prompt/media.ts";
import type { Processor, ProcessOptions } from "../../src/model/processor.ts";
import { askedImageSize, smartResize } from "../../src/prompt/sizes.ts";
import { parsePreprocessing } from "../../src/families/qwen2-5-omni/processor.ts";
import type { ContentPart, Conversation } from "../../src/text/chat-template.ts";
import { promptFacts } from "../helpers/position-cases.ts";
import { clip, picture, realProcessor, sound } from "../helpers/real-processor.ts";

const omni = await realProcessor("omni");
const vl = await realProcessor("vl");
const audio = await realProcessor("audio");

const text = (value: string): ContentPart => ({ type: "text", text: value });
const user = (...content: ContentPart[]): Conversation => [{ role: "user", content }];
const image = (width: number, height: number, number = 1): LoadedMedium => ({
  kind: "image",
  file: `image${number}.png`,
  frame: picture(width, height, number),
});
const heard = (samples: number, file?: string): LoadedMedium => ({
  kind: "audio",
  audio: sound(samples, 2, file),
});
const SMALL = { min_pixels: 3136 };
/** Limits of the image processor. */
const LIMITS = { factor: 28, minPixels: 3136, maxPixels: 12_845_056 };

function video(frames: number, samples?: number, width = 56, height = 56): LoadedMedium {
  const info = { totalFrames: frames, fps: 2, width, height };
  const indices = Array.from({ length: frames }, (_, i) => i);
  const track = samples === undefined ? {} : { audio: sound(samples, 3, "clip0.mp4") };
  return { kind: "video", video: clip(info, indices), ...track };
}

function run(
  processor: Processor,
  conversation: Conversation,
  media: LoadedMedium[],
  options: ProcessOptions = {},
) {
  const small = { video: { minPixels: 3136, maxPixels: 20000 } };
  return processor.process({ id: "row 7", conversation, media }, { ...small, ...options });
}

function failure(work: () => unknown): DataError {
  try {
    work();
  } catch (error) {
    expect(error).toBeInstanceOf(DataError);
    return error as DataError;
  }
  throw new Error("nothing was thrown");
}

/** Temporal positions of the rows that stand for media of one id. */
function at(sample: ReturnType<typeof run>, id: number, axis = 0): number[] {
  const { inputIds, positions } = sample;
  return [...inputIds.keys()]
    .filter((i) => inputIds[i] === id)
    .map((i) => positions[axis * inputIds.length + i]!);
}

const [AUDIO, IMAGE, VIDEO] = [151646, 151655, 151656];

describe("media and placeholders", () => {
  // Without the check both runs are laid out and nothing fails: the sound is heard twice.
  it("F1: an audio part of the file whose soundtrack is interleaved", () => {
    const both = (flag: boolean) =>
      run(
        omni,
        user(
          { type: "video", video: "clip0.mp4", use_audio_in_video: flag },
          { type: "audio", audio: "clip0.mp4" },
        ),
        [video(4, 32000), heard(32000, "clip0.mp4")],
      );
    const error = failure(() => both(true));
    expect(error.code).toBe("sound-twice");
    expect(error.message).toMatch(
      /^row 7: medium 2, audio clip0.mp4, .* medium 1, video clip0.mp4/,
    );
    expect(at(both(false), AUDIO).length).toBe(50);
    const other = user({ type: "video", use_audio_in_video: true }, { type: "audio" });
    expect(at(run(omni, other, [video(4, 32000), heard(9600, "x.wav")]), AUDIO).length).toBe(65);
  });

  // If media were counted by the data alone, the sound would be dropped or the engine would stop.
  it("F2: data attached without a placeholder in the prompt", () => {
    const message = failure(() => run(omni, user(text("Q?")), [heard(9600)])).message;
    expect(message).toMatch(/^row 7: the conversation names 0 media but 1 are given/);
    expect(failure(() => run(audio, user({ type: "image" }), [image(56, 56)])).code).toBe(
      "unsupported-medium",
    );
  });

  // A second expansion would replace each of the placeholders again: 16 instead of 4.
  it("F17: placeholders are expanded once", () => {
    const sample = run(vl, user({ type: "image" }, text("Q?")), [image(56, 56)]);
    expect(at(sample, IMAGE).length).toBe(4);
    const typed = user({ type: "image" }, text("<|image_pad|>"));
    expect(failure(() => run(vl, typed, [image(56, 56)])).code).toBe("token-in-text");
  });

  // A truncating tokenizer would return 20 ids, some of them a part of the image.
  it("F18: a prompt over its budget is an error, never cut", () => {
    const work = () =>
      run(vl, user({ type: "image" }, text("Q?")), [image(280, 280)], { maxPromptTokens: 20 });
    expect(failure(work).code).toBe("prompt-over-budget");
  });

  // A shared counter, or images before videos, would give the second image the video's rows.
  it("media order: image, video, image take their rows in the order of the conversation", () => {
    const parts: ContentPart[] = [
      { type: "image" },
      { type: "video", ...SMALL },
      { type: "image" },
    ];
    const whole = run(vl, user(...parts), [image(56, 56, 1), video(2), image(84, 56, 2)]);
    const alone = [
      run(vl, user(parts[0]!), [image(56, 56, 1)]),
      run(vl, user(parts[1]!), [video(2)]),
      run(vl, user(parts[2]!), [image(84, 56, 2)]),
    ];
    expect(whole.patches).toEqual(Float32Array.from(alone.flatMap(({ patches }) => [...patches])));
    const ids = [...whole.visionRows].map((row) => whole.inputIds[row]);
    expect(ids).toEqual([
      ...Array(4).fill(IMAGE),
      ...Array(4).fill(VIDEO),
      ...Array(6).fill(IMAGE),
    ]);
  });
});

describe("time and positions", () => {
  // Off by one: the run would start at 5 where the two start tokens do not share a position.
  it("F23: start tokens of sound and vision share a position, and so do the end tokens", () => {
    const sample = run(omni, user({ type: "video", use_audio_in_video: true }), [video(4, 32000)]);
    const [start] = sample.visionRows;
    const { positions, inputIds, audioRows } = sample;
    expect([...inputIds.subarray(start! - 2, start)]).toEqual([151652, 151647]);
    expect(positions[start! - 2]).toBe(positions[start! - 1]);
    expect(positions[start!]).toBe(positions[start! - 1]! + 1);
    const end = audioRows.at(-1)!;
    expect(positions[end + 1]).toBe(positions[end + 2]);
    // An image beside them keeps a position for each: the rule is not for all of vision.
    const still = run(omni, user({ type: "image" }), [image(56, 56)]);
    const first = still.visionRows[0]!;
    expect(still.positions[first]).toBe(still.positions[first - 1]! + 1);
    expect(still.positions[first - 1]).toBe(still.positions[first - 2]! + 1);
  });

  // floor(n / 160) + 1 or a frame at the right edge would give 3001, 101 or 1 frames.
  it("F29: a full clip has 3000 mel frames, and a capped video keeps its time", () => {
    for (const [samples, frames] of [
      [480_000, 3000],
      [480_001, 3000],
      [16_000, 100],
      [16_001, 101],
    ] as const) {
      const sample = run(audio, user({ type: "audio" }), [heard(samples)]);
      expect(sample.mel[0]!.frames).toBe(frames);
      expect(sample.mel[0]!.data.length).toBe(128 * Math.min(frames + 2, 3000));
    }
    // Every eighth frame of a clip at 2 a second: 8 s between slices, not 1.
    const info = { totalFrames: 32, fps: 2, width: 56, height: 56 };
    const capped: LoadedMedium = { kind: "video", video: clip(info, [0, 8, 16, 24]) };
    const part: ContentPart = { type: "video", ...SMALL };
    const [, , , , later] = at(run(vl, user(part), [capped]), VIDEO);
    const [first] = at(run(vl, user(part), [capped]), VIDEO);
    expect(later! - first!).toBe(16);
  });

  // Without the seconds every slice would be one position (or none) after the last.
  it("F30: seconds of a slice reach the positions of a video", () => {
    const part: ContentPart = { type: "video", ...SMALL };
    const steps = (options: ProcessOptions) => {
      const times = at(run(vl, user(part), [video(6)], options), VIDEO);
      return [times[4]! - times[0]!, times[8]! - times[0]!];
    };
    expect(steps({})).toEqual([2, 4]);
    expect(steps({ secondsPerGrid: 3 })).toEqual([6, 12]);
  });

  // Seconds cast to whole numbers would stop the time of 0.5 and make 1.75 one of 1.
  it("fractions of seconds count, images have no step, text follows the largest position", () => {
    const part: ContentPart = { type: "video", ...SMALL };
    const times = (secondsPerGrid: number) => {
      const sample = run(vl, user(part, text("Q")), [video(8)], { secondsPerGrid });
      const found = at(sample, VIDEO);
      const end = sample.positions[sample.visionRows.at(-1)! + 1]!;
      return [...[4, 8, 12].map((i) => found[i]! - found[0]!), end - found[0]!];
    };
    expect(times(0.5)).toEqual([1, 2, 3, 4]);
    expect(times(1.75)).toEqual([3, 7, 10, 11]);
    expect(times(0.25)).toEqual([0, 1, 1, 2]);
    const still = run(vl, user({ type: "image" }), [image(84, 56)]);
    expect(new Set(at(still, IMAGE)).size).toBe(1);
    expect(still.positions[still.visionRows.at(-1)! + 1]! - at(still, IMAGE)[0]!).toBe(3);
  });
});

describe("sizes", () => {
  // The slow processor's bug: limits under `size` would be ignored and the defaults taken.
  it("limits in the newer spelling hold, and missing ones are those of the class", () => {
    const parse = (preprocessor: object) =>
      parsePreprocessing({ preprocessor: JSON.stringify(preprocessor) }, 28).image;
    const size = { shortest_edge: 784, longest_edge: 7840 };
    expect(parse({ size })).toEqual({ minPixels: 784, maxPixels: 7840 });
    expect(parse({})).toEqual({ minPixels: 3136, maxPixels: 1_003_520 });
  });

  // One rule for both would give one size for both.
  it("a side of 14 pixels: the utilities lift it, transformers does not", () => {
    const sliver = { width: 2000, height: 14 };
    expect(smartResize(sliver, LIMITS)).toEqual({ width: 672, height: 28 });
    expect(askedImageSize(sliver, { type: "image" }, omni.preprocessing, {})).toEqual({
      width: 1988,
      height: 28,
    });
  });

  // A processor without the cap of all frames together would keep 560 x 1008 for 400 frames.
  it("a long video has fewer pixels a frame", () => {
    const frame = { width: 1920, height: 1080, rgb: new Uint8Array(0), timestamp: 0 };
    const long = (count: number): LoadedMedium => ({
      kind: "video",
      video: {
        ...{ file: "long.mp4", width: 1920, height: 1080, fps: 2, totalFrames: count },
        ...{ durationS: count / 2, frames: Array(count).fill(frame), indices: [] },
      },
    });
    const perSlice = (count: number) => {
      const conversation = user({ type: "video" });
      const request = { id: "row 7", conversation, media: [long(count)] };
      return vl.measure(request).vision / (count / 2);
    };
    expect([60, 400, 768].map(perSlice)).toEqual([20 * 36, 18 * 32, 12 * 23]);
  });
});

describe("what transformers fails at with Omni", () => {
  // The reference ends in StopIteration.
  it("a silent video that is to be heard is an error with its name", () => {
    const part: ContentPart = { type: "video", use_audio_in_video: true };
    const error = failure(() => run(omni, user(part), [video(4)]));
    expect([error.code, error.message.startsWith("row 7: clip0.mp4 is to be heard")]).toEqual([
      "missing-soundtrack",
      true,
    ]);
  });

  // The reference leaves one placeholder that is not expanded.
  it("media wrapped by hand are an error", () => {
    const wrapped = "<|vision_bos|><|audio_bos|><|VIDEO|><|audio_eos|><|vision_eos|>";
    expect(failure(() => run(omni, user(text(wrapped)), [])).code).toBe("token-in-text");
  });

  // The reference looks behind the last id: IndexError.
  it("a prompt that ends in a start token is laid out", () => {
    const ids = [1, 151652];
    const { positions } = omni.config.layout(ids, [], promptFacts(omni.tokens, "row 7"));
    expect([...positions]).toEqual([0, 1, 0, 1, 0, 1]);
  });

  // The reference counts a silent video as one with sound: positions and order shift.
  it("silent videos beside sounding ones, in both orders", () => {
    const [silent, loud]: ContentPart[] = [
      { type: "video", use_audio_in_video: false },
      { type: "video", use_audio_in_video: true },
    ];
    const track = video(4, 32000);
    for (const order of [
      [silent!, loud!],
      [loud!, silent!],
    ]) {
      const sample = run(omni, user(...order), [track, track]);
      expect(sample.mel.length).toBe(1);
      expect([at(sample, VIDEO).length, at(sample, AUDIO).length]).toEqual([16, 50]);
      const starts = [...sample.inputIds].filter((id) => id === 151647).length;
      expect(starts).toBe(1);
    }
  });

  // In the reference the flag stands in three places, and a list of rates crashes.
  it("one flag and one rate per video are enough", () => {
    const parts: ContentPart[] = [
      { type: "video", fps: 2, use_audio_in_video: true },
      { type: "video", fps: 4, use_audio_in_video: false },
    ];
    const sample = run(omni, user(...parts), [video(4, 32000), video(4)]);
    const times = at(sample, VIDEO);
    expect([times[4]! - times[0]!, times[12]! - times[8]!]).toEqual([25, 12]);
  });
});

describe("Qwen2-Audio", () => {
  // The legacy path would take one lone placeholder for a prompt that is not expanded.
  it("a clip of one feature row is expanded like any other", () => {
    const sample = run(audio, user({ type: "audio" }), [heard(480)]);
    expect(sample.audioRows.length).toBe(1);
    const length = sample.inputIds.length;
    expect([...sample.positions.subarray(0, length)]).toEqual([...sample.inputIds.keys()]);
    expect(sample.positions.subarray(length, 2 * length)).toEqual(
      sample.positions.subarray(0, length),
    );
  });

  // A cut without a word would answer about the first half minute only.
  it("sound beyond 30 s is cut with a warning that names the row", () => {
    const sample = run(audio, user({ type: "audio" }), [heard(500_000)]);
    expect(sample.warnings.map(({ message }) => message)).toEqual([
      "row 7: sound2.wav: only the first 30 s of 31.25 s are heard.",
    ]);
  });

  it("clips are numbered by the template", () => {
    const rendered = audio.template.render(user({ type: "audio" }, { type: "audio" }));
    expect(rendered).toMatch(/Audio 1: .*\nAudio 2: /);
  });
});

describe("numbers of JavaScript", () => {
  // Math.round takes 2.5 to 3: 84 pixels where Python has 56.
  it("halves are rounded to even", () => {
    const side = (n: number) =>
      smartResize({ width: n, height: 560 }, { ...LIMITS, minPixels: 1 }).width;
    expect([42, 70, 126, 182].map(side)).toEqual([56, 56, 112, 168]);
  });

  // In float64 26 slices of 2 / 1.04 s end at 1249.9999999999998 and are cut to 1249.
  it("times are rounded to float32 before they are cut", () => {
    const part: ContentPart = { type: "video", ...SMALL };
    const sample = run(omni, user(part), [video(54)], { secondsPerGrid: 2 / 1.04 });
    const times = at(sample, VIDEO);
    expect(times[26 * 4]! - times[0]!).toBe(1250);
  });
});
