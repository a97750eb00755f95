import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { crc32 } from "node:zlib";
import { describe, expect, it } from "vitest";
import { CheckpointError, DataError } from "../../src/core/errors.ts";
import type { AudioClip, VideoClip } from "../../src/media/types.ts";
import type { Frame } from "../../src/signal/frame.ts";
import { type LoadedMedium, loadMedium } from "../../src/prompt/media.ts";
import { type ProcessOptions, Processor } from "../../src/model/processor.ts";
import { parsePreprocessing } from "../../src/families/qwen2-5-omni/processor.ts";
import { checkLedger, type Sample } from "../../src/prompt/sample.ts";
import { type ContentPart, type Conversation, mediaParts } from "../../src/text/chat-template.ts";

const root = new URL("../../", import.meta.url);
const processor = await Processor.load(fileURLToPath(new URL("assets/tiny", root)));
const parts = {
  config: processor.config,
  tokenizer: processor.tokenizer,
  template: processor.template,
  preprocessing: processor.preprocessing,
};
const readJson = async (path: string) => JSON.parse(await readFile(new URL(path, root), "utf8"));

/* The media of make_processor.py. */
function picture(width: number, height: number, number: number): Frame {
  const rgb = new Uint8Array(3 * width * height);
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      for (let c = 0; c < 3; c++) {
        rgb[i++] = (x * 7 + y * 13 + c * 50 + number * 31 + ((x * y) % 17) * 3) % 256;
      }
    }
  }
  return { width, height, rgb, timestamp: number };
}

function sound(samples: number, number: number): AudioClip {
  const wave = Float32Array.from(
    { length: samples },
    (_, n) => Math.sin((0.01 + 0.003 * number) * n) * ((n % 97) / 97),
  );
  const durationS = samples / 16000;
  const file = `sound${number}.wav`;
  return { file, samples: wave, sampleRate: 16000, durationS, sourceRate: 16000 };
}

function video(frames: number, width: number, height: number, fps = 2): VideoClip {
  const pictures = Array.from({ length: frames }, (_, i) => picture(width, height, i));
  const indices = pictures.map((_, i) => i);
  const facts = { width, height, totalFrames: frames, fps, durationS: frames / fps };
  return { file: "clip.mp4", frames: pictures, indices, ...facts };
}

const user = (...content: ContentPart[]): Conversation => [{ role: "user", content }];
const text = (value: string): ContentPart => ({ type: "text", text: value });

const tinyPart: ContentPart = {
  type: "video",
  video: "clip.mp4",
  fps: 4,
  min_pixels: 3136,
  use_audio_in_video: true,
};
const QUESTION = " Which colour goes with hiss ?\nA red\nB blue\nC white\nD green";
const tiny = {
  id: "tiny-1",
  conversation: user(tinyPart, text(QUESTION)),
  media: [
    { kind: "video", video: video(8, 56, 56, 4), audio: sound(32000, 1) },
  ] satisfies LoadedMedium[],
};

/** Equality of samples, tensors as bytes: element by element it would take seconds. */
function expectSame(actual: Sample, expected: Sample): void {
  const parts = ({ patches, mel, seal, ...rest }: Sample) => ({
    rest: { ...rest, prompt: seal?.prompt },
    tensors: [patches, ...mel.map(({ data }) => data)].map((data) =>
      crc32(new Uint8Array(data.buffer, data.byteOffset, data.byteLength)),
    ),
  });
  expect(parts(actual)).toEqual(parts(expected));
}

describe("the tiny task", () => {
  const sample = processor.process(tiny);

  it("has the 96 tokens of the official processor, at the positions of the task", async () => {
    const golden = await readJson("test/golden/tiny/tiny.json");
    expect([...sample.inputIds]).toEqual(golden.prompt.ids);
    const at = (row: number) => sample.positions[row]! - sample.positions[5]!;
    expect([0, 4, 8, 12].map((i) => at(sample.visionRows[i]!))).toEqual([0, 12, 25, 37]);
    // Two end tokens share a position, and the question starts at the next.
    expect(sample.positions[sample.audioRows.at(-1)! + 3]).toBe(55);
    expect(sample.nextPos).toBe(sample.positions[95]! + 1);
    expect(sample.warnings).toEqual([]);
  });

  it("keeps frames at their size and writes the ledger", () => {
    expect(sample.grids).toEqual([[4, 4, 4]]);
    expect(sample.patches.length).toBe(64 * 1176);
    expect(sample.mel.map(({ frames, data }) => [frames, data.length])).toEqual([[200, 25600]]);
    const common = { medium: 0, seconds: 2 };
    const vision = { featureRows: 16, placeholders: 16 };
    const audio = { featureRows: 50, placeholders: 50 };
    expect(sample.ledger).toEqual([
      { ...common, kind: "video", file: "clip.mp4", frames: 8, ...vision, gridThw: [4, 4, 4] },
      { ...common, kind: "audio", file: "sound1.wav", frames: 200, ...audio },
    ]);
    expect(processor.measure(tiny)).toEqual({
      id: "tiny-1",
      tokens: 96,
      text: 30,
      vision: 16,
      audio: 50,
    });
  });

  it("knows which ids end an answer and which must never be sampled", () => {
    expect(processor.eosIds).toEqual([processor.tokenizer.id("<|im_end|>")]);
    expect(processor.placeholderIds.map((id) => processor.tokenizer.decode([id]))).toEqual([
      "<|AUDIO|>",
      "<|IMAGE|>",
      "<|VIDEO|>",
    ]);
  });

  it("muted equals digital silence, blank equals flat grey; the prompt stays", () => {
    const [medium] = tiny.media;
    const silent = { ...medium!.audio!, samples: new Float32Array(32000) };
    const grey = medium!.video.frames.map((f) => ({
      ...f,
      rgb: new Uint8Array(f.rgb.length).fill(40),
    }));
    const process = (media: LoadedMedium, options: ProcessOptions = {}) =>
      processor.process({ ...tiny, media: [media] }, options);
    const muted = process(medium!, { muted: true });
    expectSame(muted, process({ ...medium!, audio: silent }));
    expectSame(muted, { ...sample, mel: muted.mel });
    const blank = process(medium!, { blank: true });
    expectSame(blank, process({ ...medium!, video: { ...medium!.video, frames: grey } }));
    expectSame(blank, { ...sample, patches: blank.patches });
  });

  it("takes the seconds of a slice from the part, the checkpoint, the frames or the run", () => {
    const slices = (part: Partial<typeof tinyPart>, options: ProcessOptions = {}) => {
      const { fps: _, ...rest } = tinyPart as Extract<ContentPart, { type: "video" }>;
      const conversation = user({ ...rest, use_audio_in_video: false, ...part } as ContentPart);
      const { positions, visionRows } = processor.process({ ...tiny, conversation }, options);
      return [4, 8].map((i) => positions[visionRows[i]!]! - positions[visionRows[0]!]!);
    };
    expect(slices({})).toEqual([25, 50]);
    expect(slices({ fps: 4 } as never)).toEqual([12, 25]);
    expect(slices({ fps: 1 } as never)).toEqual([50, 100]);
    expect(slices({ fps: 1 } as never, { secondsPerGrid: "sampled" })).toEqual([12, 25]);
    expect(slices({ fps: 1 } as never, { secondsPerGrid: 1 })).toEqual([25, 50]);
  });
});

describe("against Qwen2_5OmniProcessor of transformers 4.57.6", async () => {
  const { bands, cases } = await readJson("test/golden/models/processor.json");
  it.each(cases as any[])("$name", (golden) => {
    const parts: ContentPart[] = [];
    const media: LoadedMedium[] = [];
    golden.parts.forEach(([kind, a, b, c, d]: [string, any, number, number, number], n: number) => {
      if (kind === "text") return parts.push(text(a));
      if (kind === "image") {
        parts.push({ type: "image", image: "x.png" });
        media.push({ kind: "image", file: "x.png", frame: picture(a, b, n) });
      } else if (kind === "audio") {
        parts.push({ type: "audio", audio: "x.wav" });
        media.push({ kind: "audio", audio: sound(a, n) });
      } else {
        parts.push({ type: "video", video: "x.mp4", fps: golden.fps, min_pixels: 3136 });
        const audio = kind === "av" ? { audio: sound(d, n) } : {};
        media.push({ kind: "video", video: video(a, b, c, golden.fps), ...audio });
      }
    });
    const conversation = user(...parts);
    expect(processor.template.render(conversation)).toBe(golden.text);
    const sample = processor.process({ id: "golden", conversation, media });
    expect([...sample.inputIds]).toEqual(golden.ids);
    const grids = (kind: string) =>
      sample.ledger.filter((entry) => entry.kind === kind).map(({ gridThw }) => gridThw);
    expect(grids("image")).toEqual(golden.imageGrids);
    expect(grids("video")).toEqual(golden.videoGrids);
    expect(patchCrc(sample, "image")).toBe(golden.imageCrc);
    expect(patchCrc(sample, "video")).toBe(golden.videoCrc);
    expect(sample.mel.map(({ frames }) => frames)).toEqual(golden.frames);
    sample.mel.forEach(({ data, frames }, clip) => {
      bands.forEach((band: number, i: number) => {
        const row = data.subarray(band * frames, (band + 1) * frames);
        golden.mel[clip][i].forEach((value: number, t: number) => {
          expect(Math.abs(row[t]! - value)).toBeLessThan(2e-5);
        });
      });
    });
  });

  /** CRC of the patches of one kind, which the library keeps in a tensor of their own. */
  function patchCrc({ patches, ledger }: Sample, kind: string): number {
    let crc = 0;
    let start = 0;
    for (const entry of ledger) {
      if (!entry.gridThw) continue;
      const [t, h, w] = entry.gridThw;
      const part = patches.subarray(start, (start += t * h * w * 1176));
      if (entry.kind !== kind) continue;
      crc = crc32(new Uint8Array(part.buffer, part.byteOffset, part.byteLength), crc);
    }
    return crc;
  }
});

describe("rows that cannot be processed", () => {
  const run = (change: Partial<typeof tiny>, options: ProcessOptions = {}) => {
    try {
      processor.process({ ...tiny, ...change } as typeof tiny, options);
    } catch (error) {
      expect(error).toBeInstanceOf(DataError);
      return error as DataError;
    }
    throw new Error("it was processed");
  };

  it("over budget: id, numbers and what would fit", () => {
    const error = run({}, { maxPromptTokens: 90 });
    expect(error.code).toBe("prompt-over-budget");
    expect(error.message).toBe(
      "tiny-1: the prompt has 96 tokens but 90 are allowed (30 text, clip.mp4 16 for " +
        "8 x 56 x 56 + 50). Raise the budget to 96, or choose 4 frames of video.",
    );
    expect(run({}, { maxPromptTokens: 60 }).message).toMatch(/Raise .* to 96 or shorten text and/);
    const part: ContentPart = { type: "video", use_audio_in_video: false, min_pixels: 3136 };
    const large = {
      conversation: user(part),
      media: [{ kind: "video", video: video(8, 560, 560) }],
    };
    const { message } = run(large as never, { maxPromptTokens: 1000 });
    const limit = Number(/set max_pixels to (\d+) per frame/.exec(message)![1]);
    const frames = Number(/choose (\d+) frames of video/.exec(message)![1]);
    const fits = (change: object, options: ProcessOptions) =>
      processor.measure({ ...tiny, ...large, ...change } as never, {
        maxPromptTokens: 1000,
        ...options,
      }).tokens;
    expect(fits({}, { video: { maxPixels: limit } })).toBeGreaterThan(800);
    expect(
      fits({ media: [{ kind: "video", video: video(frames, 560, 560) }] }, {}),
    ).toBeLessThanOrEqual(1000);
  });

  it("placeholders written by hand in a text", () => {
    const conversation = user(tinyPart, text("<|VIDEO|>"));
    const error = run({ conversation });
    expect(error.code).toBe("token-in-text");
    expect(error.message).toMatch(/^tiny-1: the text of message \d \(user\) holds <\|VIDEO\|>, a/);
  });

  it("too few media, the wrong kind, a missing or a short soundtrack", () => {
    expect(run({ media: [] as never }).message).toMatch(
      /^tiny-1: .* names 1 media but 0 are given/,
    );
    const swapped = run({ media: [{ kind: "audio", audio: sound(999, 3) }] as never });
    expect(swapped.message).toMatch(/^tiny-1: sound3.wav is audio where video belongs\. Give the/);
    const mute = run({ media: [{ kind: "video", video: video(8, 56, 56) }] as never });
    expect([mute.code, mute.message]).toEqual([
      "missing-soundtrack",
      expect.stringMatching(/^tiny-1: clip.mp4 is to be heard but has no sound/),
    ]);
    const short = { kind: "video", video: video(8, 56, 56), audio: sound(320, 4) };
    expect(run({ media: [short] as never }).message).toMatch(
      /^tiny-1: sound4.wav has 2 mel frames/,
    );
  });
});

describe("warnings", () => {
  it("name sound that the family's limit cuts", () => {
    const media = { ...processor.preprocessing, maxSamples: 16000 };
    const short = new Processor({ ...parts, preprocessing: media });
    const sample = short.process(tiny);
    expect(sample.mel[0]!.frames).toBe(100);
    expect(sample.ledger[1]).toMatchObject({ seconds: 1, featureRows: 25 });
    expect(sample.warnings).toEqual([
      {
        code: "audio-cut",
        message: "tiny-1: sound1.wav: only the first 1 s of 2 s are heard.",
      },
    ]);
  });

  it("name a video whose positions run at another speed", () => {
    const sample = processor.process(tiny, { secondsPerGrid: 2 });
    expect(sample.warnings.map(({ code }) => code)).toEqual(["video-time-scale"]);
  });
});

describe("checkLedger", () => {
  const sample = processor.process(tiny);
  const damages: [string, (s: any) => void, RegExp][] = [
    ["a row fewer in the ledger", (s) => s.ledger[0].featureRows--, /clip.mp4 has 16 placeholders/],
    ["a placeholder fewer", (s) => s.ledger[1].placeholders--, /sound1.wav has 49 placeholders/],
    [
      "an empty medium",
      (s) => (s.ledger[0].placeholders = s.ledger[0].featureRows = 0),
      /has 0 pl/,
    ],
    ["another grid", (s) => (s.grids = [[4, 4, 2]]), /16 feature rows in the ledger but 8 in tens/],
    ["cut patches", (s) => (s.patches = s.patches.subarray(1176)), /need 64 patches of 1176/],
    ["fewer mel frames", (s) => (s.mel[0].frames = 100), /50 feature rows .* but 25 in tensors/],
    ["cut log-mel", (s) => (s.mel[0].data = s.mel[0].data.subarray(1)), /25599 log-mel values/],
    ["a truncated prompt", (s) => (s.inputIds = s.inputIds.subarray(0, 40)), /in the tokens/],
    ["rows in another order", (s) => s.visionRows.reverse(), /clip.mp4 and its like/],
    ["a lost entry", (s) => s.ledger.pop(), /sound|its like|log-mel/],
  ];
  it.each(damages)("finds %s", (_, damage, message) => {
    const broken = structuredClone(sample);
    expect(() => checkLedger(broken, processor.config)).not.toThrow();
    damage(broken);
    expect(() => checkLedger(broken, processor.config)).toThrow(DataError);
    expect(() => checkLedger(broken, processor.config)).toThrow(message);
    expect(() => checkLedger(broken, processor.config)).toThrow(/^tiny-1: /);
  });
});

describe("preprocessor files", () => {
  it("set the limits of pictures, in both spellings, and of videos", () => {
    const config = parsePreprocessing(
      {
        preprocessor: JSON.stringify({ min_pixels: 784, size: { longest_edge: 7840 } }),
        video: JSON.stringify({ size: { shortest_edge: 3136 }, fps: 4 }),
      },
      28,
    );
    expect(config.image).toEqual({ minPixels: 784, maxPixels: 7840 });
    expect(config.video).toEqual({ minPixels: 3136, maxPixels: 602112 });
    expect(config.asked.video).toEqual({ ...config.video, totalPixels: 90316800 });
    expect([config.fps, config.maxSamples]).toEqual([4, 4_800_000]);
  });

  it("name the key that is wrong", () => {
    const parse = (preprocessor: object) => () =>
      parsePreprocessing({ preprocessor: JSON.stringify(preprocessor) }, 28);
    expect(parse({ image_mean: [0.5] })).toThrow(/image_mean is \[0.5\]; one number for each/);
    expect(parse({ min_pixels: 9000, max_pixels: 100 })).toThrow(CheckpointError);
    expect(parse({ hop_length: 256 })).toThrow(/hop_length is 256; 160 is needed/);
  });

  it("and the tokenizer must agree with the configuration", () => {
    const tokens = { ...processor.config.tokens, audio: 1 };
    const config = { ...parts.config, tokens };
    expect(() => new Processor({ ...parts, config })).toThrow(
      /"<\|AUDIO\|>" is 362 in tokenizer.json but 1 in/,
    );
  });
});

const voice = "test/golden/media/clips/voice.flac";
const film = "test/golden/media/clips/film.mp4";

async function processFile(part: ContentPart, options: ProcessOptions = {}) {
  const conversation = user(part, text("What is it?"));
  const parts = mediaParts(conversation);
  const media = await Promise.all(
    parts.map((medium) => loadMedium(medium, processor.preprocessing, options)),
  );
  return { media, sample: processor.process({ id: "clip", conversation, media }, options) };
}

it("decodes and processes a sound file", async () => {
  const { sample } = await processFile({ type: "audio", audio: voice });
  expect(sample.ledger).toMatchObject([
    { kind: "audio", file: voice, frames: 100, featureRows: 25 },
  ]);
  expect(sample.audioRows.length).toBe(25);
});

it("decodes and processes a video with its sound", async () => {
  const part: ContentPart = { type: "video", video: film, nframes: 6, use_audio_in_video: true };
  const { media, sample } = await processFile(part, {
    video: { minPixels: 28 * 28 * 4, maxPixels: 28 * 28 * 40 },
  });
  const [pictures, sound] = sample.ledger;
  const [medium] = media;
  const [slices, h, w] = pictures!.gridThw!;
  expect([pictures!.frames, slices, sample.ledger.length]).toEqual([6, 3, 2]);
  expect((h * w) / 4).toBeLessThanOrEqual(40);
  // Frames are kept at the size of the model, so that a cache of them is small.
  expect(medium!.kind === "video" && medium!.video.height).toBe(14 * h);
  expect(sound).toMatchObject({ kind: "audio", file: film, medium: 0 });
  expect(Math.abs(sound!.seconds - pictures!.seconds)).toBeLessThan(0.2);
  expect(sound!.featureRows / sound!.seconds).toBeCloseTo(25, 0);
  expect(sample.patches.every(Number.isFinite)).toBe(true);
});
