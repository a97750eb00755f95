/**
 * Whole rows against qwen-vl-utils and the processors of transformers 4.57.6, with the tokenizer and
 * the configurations of the released checkpoints; the media are formulas.
 */
import { readFile } from "node:fs/promises";
import { crc32 } from "node:zlib";
import { describe, expect, it } from "vitest";
import { qwenFrames } from "../../src/media/frames.ts";
import { resizeFrame } from "../../src/signal/resize.ts";
import type { Frame } from "../../src/signal/frame.ts";
import type { LoadedMedium } from "../../src/prompt/media.ts";
import type { LedgerEntry, Sample } from "../../src/prompt/sample.ts";
import { askedVideoSize, listedPictureSize } from "../../src/prompt/sizes.ts";
import type { Preprocessing } from "../../src/prompt/preprocessing.ts";
import type { ContentPart, Conversation, VideoPart } from "../../src/text/chat-template.ts";
import {
  checksum,
  clip,
  type FamilyName,
  picture,
  realProcessor,
  sound,
} from "../helpers/real-processor.ts";

interface Values {
  values: number[];
  mean: number;
}
type Pictures = Values & { grid: number[]; crc: number };
type Made = { type: "image" | "video" | "audio"; make: number[]; list?: number[][] };
type Part = { type: "text"; text: string } | (Made & { sound?: [number, number] });

interface Golden {
  name: string;
  family: FamilyName;
  messages: { role: string; content: string | Part[] }[];
  files?: Record<string, object>;
  options?: { add_vision_id?: boolean; add_audio_id?: boolean };
  fps?: number;
  text: string;
  ids: [length: number, sum: number];
  positions: number;
  images?: Pictures[];
  videos?: Pictures[];
  seconds?: number[];
  sounds?: (Values & { frames: number })[];
}

const file = new URL("../golden/models/processors.json", import.meta.url);
const { cases } = JSON.parse(await readFile(file, "utf8")) as { cases: Golden[] };

/** Makes the media that the loader would give, without files. */
function load(part: Made & { sound?: [number, number] }, config: Preprocessing): LoadedMedium {
  const { type, make, list, sound: track, ...settings } = part;
  if (list !== undefined) return listed(list, settings as VideoPart, config);
  const [a, b, c, d, e] = make as [number, number, number, number, number];
  if (type === "image") return { kind: "image", file: "x.png", frame: picture(a, b, c) };
  if (type === "audio") return { kind: "audio", audio: sound(a, b) };
  const { fps, nframes } = settings as VideoPart;
  const choice = {
    ...(fps === undefined ? {} : { fps }),
    ...(nframes === undefined ? {} : { nframes }),
  };
  const info = { totalFrames: a, fps: b, width: c, height: d };
  const indices = qwenFrames(choice)({ ...info, durationS: a / b });
  const audio = track === undefined ? {} : { audio: sound(...track) };
  return { kind: "video", video: clip(info, indices, e), ...audio };
}

function listed(list: number[][], part: VideoPart, config: Preprocessing): LoadedMedium {
  const made = list.map(([w, h, n]) => picture(w!, h!, n!));
  if (made.length % 2 === 1) made.push(made.at(-1)!);
  const frames = made.map((frame): Frame => {
    const first = resizeFrame(frame, listedPictureSize(frame, part, config.cell), "pil");
    return resizeFrame(first, askedVideoSize(first, made.length, part, config, {}), "float");
  });
  const [{ width, height }] = frames as [Frame];
  const fps = part.sample_fps ?? 2;
  const facts = { totalFrames: frames.length, fps, durationS: frames.length / fps };
  const indices = frames.map((_, i) => i);
  const video = { file: "a.png and more", frames, width, height, indices, ...facts };
  return { kind: "video", video, sized: true };
}

/** The part as a user writes it. */
function spelled(part: Part, fps: number | undefined): ContentPart {
  if (part.type === "text") return part;
  const { make: _, list: __, sound: ___, ...rest } = part;
  // Omni's processor takes one rate for all videos.
  return (part.type === "video" && fps !== undefined ? { ...rest, fps } : rest) as ContentPart;
}

const LEVEL = 1 / (255 * 0.26);

function checkPictures(sample: Sample, kind: "image" | "video", expected: Pictures[] = []) {
  let start = 0;
  const found: [LedgerEntry, Float32Array][] = [];
  for (const entry of sample.ledger) {
    if (entry.gridThw === undefined) continue;
    const [t, h, w] = entry.gridThw;
    const end = start + t * h * w * 1176;
    if (entry.kind === kind) found.push([entry, sample.patches.subarray(start, end)]);
    start = end;
  }
  expect(found.map(([entry]) => entry.gridThw)).toEqual(expected.map(({ grid }) => grid));
  found.forEach(([, patches], i) => {
    const { values, mean, crc } = expected[i]!;
    const bytes = new Uint8Array(patches.buffer, patches.byteOffset, patches.byteLength);
    if (kind === "image") return expect(crc32(bytes)).toBe(crc);
    if (crc32(bytes) === crc) return;
    const errors = values.map((value, k) =>
      Math.abs(patches[Math.floor((k * (patches.length - 1)) / (values.length - 1))]! - value),
    );
    // torch resizes in float32, a five-hundredth of a level from float64 at most; a level or two in
    // thousands falls on the other side of a half, which a second resize spreads.
    expect(Math.max(...errors)).toBeLessThan(LEVEL);
    expect(errors.filter((error) => error > LEVEL / 500).length).toBeLessThanOrEqual(2);
    expect(Math.abs(patches.reduce((sum, v) => sum + v, 0) / patches.length - mean)).toBeLessThan(
      2e-5,
    );
  });
}

describe.each(["omni", "vl", "audio"] as const)("%s: a row of the official processor", (family) => {
  const rows = cases.filter((row) => row.family === family);

  it.each(rows)("$name", async (golden) => {
    const files = Object.fromEntries(
      Object.entries(golden.files ?? {}).map(([name, content]) => [name, JSON.stringify(content)]),
    );
    const processor = await realProcessor(family, files);
    const parts = golden.messages.flatMap(({ content }) =>
      typeof content === "string" ? [] : content,
    );
    const media = parts.flatMap((part) =>
      part.type === "text" ? [] : [load(part, processor.preprocessing)],
    );
    const conversation = golden.messages.map(({ role, content }) => ({
      role,
      content:
        typeof content === "string" ? content : content.map((part) => spelled(part, golden.fps)),
    })) as Conversation;
    const options = {
      addVisionId: golden.options?.add_vision_id ?? false,
      addAudioId: golden.options?.add_audio_id ?? false,
    };
    expect(processor.template.render(conversation, options)).toBe(golden.text);
    const sample = processor.process({ id: "golden", conversation, media }, options);
    expect([sample.inputIds.length, checksum(sample.inputIds)]).toEqual(golden.ids);
    checkPictures(sample, "image", golden.images);
    checkPictures(sample, "video", golden.videos);
    expect(checksum(sample.positions)).toBe(golden.positions);
    const { sounds = [] } = golden;
    expect(sample.mel.map(({ frames }) => frames)).toEqual(sounds.map(({ frames }) => frames));
    sounds.forEach(({ values, frames, mean }, i) => {
      const columns = sample.mel[i]!.data.length / 128;
      const inside = sample.mel[i]!.data.filter((_, k) => k % columns < frames);
      values.forEach((value, k) => {
        const at = Math.floor((k * (inside.length - 1)) / (values.length - 1));
        expect(Math.abs(inside[at]! - value)).toBeLessThan(2e-5);
      });
      expect(Math.abs(inside.reduce((sum, v) => sum + v, 0) / inside.length - mean)).toBeLessThan(
        1e-5,
      );
    });
    const cut = sample.warnings.filter(({ code }) => code === "audio-cut");
    expect(cut.length).toBe(golden.name.startsWith("more than") ? 1 : 0);
    for (const { message } of cut) expect(message).toMatch(/^golden: sound1.wav: only the first /);
  });
});
