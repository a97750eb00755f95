import { readFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { DataError } from "../../src/core/errors.ts";
import type { PatchGrid } from "../../src/network/media.ts";
import { audioTokens, convolvedRows, layoutAudio } from "../../src/network/towers/audio-layout.ts";
import { omniLayout } from "../../src/families/qwen2-5-omni/positions.ts";
import type { MediaTokens, MediumShape } from "../../src/prompt/layout.ts";
import { melFrames } from "../../src/prompt/media.ts";
import { promptFacts } from "../helpers/position-cases.ts";
import { layoutVision } from "../../src/network/towers/vision-layout.ts";

type Segment =
  | { kind: "text"; ids: readonly number[] }
  | {
      kind: "image" | "video" | "audio" | "av";
      grid?: PatchGrid;
      seconds?: number;
      frames?: number;
    };

const OMNI: Required<MediaTokens> = {
  audio: 143,
  audioStart: 144,
  audioEnd: 145,
  visionStart: 146,
  visionEnd: 147,
  image: 149,
  video: 150,
};
const shifted = (by: number) =>
  Object.fromEntries(
    Object.entries(OMNI).map(([k, id]) => [k, id + by]),
  ) as unknown as Required<MediaTokens>;

/** The constants of a released model; the layout reads nothing else. */
const OMNI_CONFIG = { positionIdPerSeconds: 25, secondsPerChunk: 2, mergeSize: 2 };
const CHUNKED = { chunkFrames: 200, tailFrames: 0, maxFrames: Infinity };

function layout(segments: readonly Segment[], secondsPerChunk = 2, tokens = OMNI) {
  const ids: number[] = [];
  const media: MediumShape[] = [];
  for (const segment of segments) {
    if (segment.kind === "text") {
      ids.push(...segment.ids);
      continue;
    }
    const { grid = [1, 2, 2], seconds: secondsPerGrid = 1, frames = 3 } = segment;
    const file = `medium ${media.length + 1}`;
    if (segment.kind === "audio") {
      ids.push(tokens.audioStart, tokens.audio, tokens.audioEnd);
      media.push({ kind: "audio", file, audioTokens: audioTokens(frames) });
    } else if (segment.kind === "image") {
      ids.push(tokens.visionStart, tokens.image, tokens.visionEnd);
      media.push({ kind: "image", file, grid });
    } else {
      const sound = segment.kind === "av" ? { audioTokens: audioTokens(frames) } : {};
      ids.push(tokens.visionStart, tokens.video, tokens.visionEnd);
      media.push({ kind: "video", file, grid, secondsPerGrid, times: [], ...sound });
    }
  }
  const config = { ...OMNI_CONFIG, secondsPerChunk };
  const result = omniLayout(config)(ids, media, promptFacts(tokens, "row 7"));
  const length = result.inputIds.length;
  const [t, h, w] = [0, 1, 2].map((r) => [
    ...result.positions.subarray(r * length, (r + 1) * length),
  ]) as [number[], number[], number[]];
  return { ...result, t, h, w, runs: runs(result.inputIds, tokens) };
}

/** The media tokens as `VIDEO x8 AUDIO x50`. */
function runs(ids: Iterable<number>, tokens: MediaTokens): string {
  const names = new Map([
    [tokens.video, "VIDEO"],
    [tokens.audio, "AUDIO"],
    [tokens.image, "IMAGE"],
  ]);
  const parts: [string, number][] = [];
  for (const id of ids) {
    const name = names.get(id);
    if (name === undefined) continue;
    if (parts.at(-1)?.[0] === name) parts.at(-1)![1]++;
    else parts.push([name, 1]);
  }
  return parts.map(([name, count]) => `${name}x${count}`).join(" ");
}

const text = (...ids: number[]): Segment => ({ kind: "text", ids });
const range = (start: number, end: number) =>
  Array.from({ length: end - start + 1 }, (_, i) => start + i);
const av = (grid: PatchGrid, frames: number, seconds = 1): Segment => ({
  kind: "av",
  grid,
  frames,
  seconds,
});

describe("prompt layout: the vectors of the specification", () => {
  it("images: text resumes after the larger side", () => {
    const { t, h, w, nextPos } = layout([
      text(1, 2),
      { kind: "image", grid: [1, 4, 6] },
      text(3, 4),
    ]);
    expect(t).toEqual([0, 1, 2, 3, 3, 3, 3, 3, 3, 6, 7, 8]);
    expect(h.slice(3, 9)).toEqual([3, 3, 3, 4, 4, 4]);
    expect(w.slice(3, 9)).toEqual([3, 4, 5, 3, 4, 5]);
    expect(nextPos).toBe(9);
  });

  it("silent video: 25 positions a second", () => {
    const { t, h, w, nextPos } = layout([text(1), { kind: "video", grid: [3, 2, 4] }, text(2)]);
    expect(t).toEqual([0, 1, 2, 2, 27, 27, 52, 52, 53, 54]);
    expect(h.slice(2, 8)).toEqual([2, 2, 2, 2, 2, 2]);
    expect(w.slice(2, 8)).toEqual([2, 3, 2, 3, 2, 3]);
    expect(nextPos - t.length).toBe(45);
  });

  it("audio alone: every token one position", () => {
    const { t, h, w, audioRows } = layout([text(1), { kind: "audio", frames: 12 }, text(2)]);
    expect(audioTokens(12)).toBe(3);
    expect([t, h, w]).toEqual([range(0, 6), range(0, 6), range(0, 6)]);
    expect([...audioRows]).toEqual([2, 3, 4]);
  });

  it("interleaves chunks of video and audio", () => {
    expect(layout([av([3, 4, 4], 260)]).runs).toBe("VIDEOx8 AUDIOx50 VIDEOx4 AUDIOx15");
    expect(layout([av([2, 4, 4], 520)]).runs).toBe("VIDEOx8 AUDIOx130");
    expect(layout([av([6, 4, 4], 160)]).runs).toBe("VIDEOx8 AUDIOx40 VIDEOx16");
    expect(layout([av([3, 4, 4], 1200, 4)]).runs).toBe(
      "VIDEOx4 AUDIOx50 VIDEOx1 AUDIOx50 VIDEOx3 AUDIOx50 VIDEOx1 AUDIOx50 VIDEOx3 AUDIOx100",
    );
  });

  it("gives the two start tokens one position, and the two end tokens", () => {
    const { t, h, w, nextPos, inputIds, visionRows, audioRows } = layout([
      text(1),
      av([3, 2, 4], 260),
      text(2),
    ]);
    expect(t).toEqual([
      0,
      1,
      1,
      2,
      2,
      27,
      27,
      ...range(2, 51),
      52,
      52,
      ...range(52, 66),
      67,
      67,
      68,
    ]);
    expect([...visionRows]).toEqual([3, 4, 5, 6, 57, 58]);
    expect([...audioRows]).toEqual([...range(7, 56), ...range(59, 73)]);
    expect([...visionRows].map((row) => h[row])).toEqual([2, 2, 2, 2, 2, 2]);
    expect([...visionRows].map((row) => w[row])).toEqual([2, 3, 2, 3, 2, 3]);
    expect([inputIds.length, nextPos]).toEqual([77, 69]);
  });

  it("lets text stand before the end of a video whose audio is short", () => {
    const { t, nextPos } = layout([text(1), av([2, 2, 4], 40), text(2)]);
    expect(t).toEqual([0, 1, 1, 2, 2, 27, 27, ...range(2, 11), 12, 12, 13]);
    expect([t.length, nextPos]).toEqual([20, 28]);
  });

  it("the tiny task: half-second slices in chunks of one second", () => {
    const clip = av([4, 4, 4], 200, 0.5);
    const { t, runs: order, visionRows } = layout([text(1, 2, 3), clip, text(4)], 1);
    expect(order).toBe("VIDEOx8 AUDIOx25 VIDEOx8 AUDIOx25");
    expect([0, 4, 8, 12].map((i) => t[visionRows[i]!]! - 4)).toEqual([0, 12, 25, 37]);
    expect(t.at(-1)).toBe(55);
  });

  it("handles silent videos beside videos with sound", () => {
    const silent: Segment = { kind: "video", grid: [2, 2, 4] };
    const both = layout([text(1), silent, text(2), av([1, 2, 2], 12), text(3)]);
    expect(both.t).toEqual([0, 1, 2, 2, 27, 27, 28, 29, 30, 30, 31, 31, 32, 33, 34, 34, 35]);
    expect(both.runs).toBe("VIDEOx5 AUDIOx3");
  });
});

describe("prompt layout: against transformers 4.57.6", () => {
  it("conversations with every id and position spelled out", async () => {
    const file = new URL("../golden/omni/positions.json", import.meta.url);
    for (const row of JSON.parse(await readFile(file, "utf8"))) {
      const segments = row.segments.map((segment: any) => ({
        ...segment,
        seconds: segment.seconds_per_grid ?? undefined,
      }));
      const tokens = row.checkpoint === "tiny-a" ? OMNI : shifted(-30);
      const { inputIds, t, h, w, nextPos } = layout(segments, row.seconds_per_chunk, tokens);
      expect([...inputIds]).toEqual(row.input_ids);
      expect([t, h, w]).toEqual(row.position_ids);
      expect(nextPos).toBe(row.next_position);
    }
  });
});

describe("prompt layout: placeholders without media", () => {
  const run = (ids: number[], media: MediumShape[]) =>
    omniLayout(OMNI_CONFIG)(ids, media, promptFacts(OMNI, "row 7"));
  const image: MediumShape = { kind: "image", file: "a.png", grid: [1, 2, 2] };
  const sound: MediumShape = {
    kind: "video",
    file: "b.mp4",
    grid: [1, 2, 2],
    secondsPerGrid: 1,
    times: [0],
    audioTokens: 5,
  };

  it("are errors that name the row and the file", () => {
    expect(() => run([1, 149], [])).toThrow(DataError);
    expect(() => run([1, 149], [])).toThrow(/row 7: .* placeholder for image .* there is none/);
    expect(() => run([1], [image])).toThrow(/has no placeholder .* it is image a.png/);
    expect(() => run([1, 143], [image])).toThrow(/placeholder for audio .* it is image a.png/);
    expect(() => run([146, 144, 150, 145, 147], [sound])).toThrow(/b.mp4, a video with sound/);
  });
});

describe("audio layout", () => {
  it("gives the lengths of the specification", () => {
    const table = [
      [160, 1, 1, 0],
      [480, 3, 2, 1],
      [16000, 100, 50, 25],
      [16001, 101, 51, 25],
      [48000, 300, 150, 75],
      [80001, 501, 251, 125],
      [480000, 3000, 1500, 750],
      [4800000, 30000, 15000, 7500],
    ] as const;
    for (const [samples, frames, rows, features] of table) {
      expect([melFrames(samples), convolvedRows(frames), audioTokens(frames)]).toEqual([
        frames,
        rows,
        features,
      ]);
    }
  });

  it("cuts clips into chunks and pools pairs within a clip", () => {
    const { chunks, clips, segments, pairs, rows, features } = layoutAudio([405, 3], CHUNKED);
    expect(
      chunks.map(({ clip, frameStart, columns, rows: r }) => [clip, frameStart, columns, r]),
    ).toEqual([
      [0, 0, 200, 100],
      [0, 200, 200, 100],
      [0, 400, 5, 3],
      [1, 0, 3, 2],
    ]);
    expect([...segments]).toEqual([0, 100, 200, 203, 205]);
    expect(
      clips.map((clip) => [clip.rowStart, clip.rows, clip.featureStart, clip.features]),
    ).toEqual([
      [0, 203, 0, 101],
      [203, 2, 101, 1],
    ]);
    expect([rows, features, pairs.length]).toEqual([205, 102, 102]);
    expect([...pairs.subarray(99)]).toEqual([198, 200, 203]);
    for (let frames = 3; frames < 1500; frames++) {
      expect(layoutAudio([frames], CHUNKED).features).toBe(audioTokens(frames));
    }
  });

  it("refuses a clip without a feature row", () => {
    expect(() => layoutAudio([300, 2], CHUNKED)).toThrow(/audio clip 2 has 2 mel frames/);
  });
});

describe("vision layout", () => {
  const released = { patchSize: 14, mergeSize: 2, windowSize: 112 };

  it("gives the windows of the specification", () => {
    const odd = layoutVision([[1, 10, 12]], released);
    expect([...odd.order].join(" ")).toBe(
      "0 1 2 3 6 7 8 9 12 13 14 15 18 19 20 21 4 5 10 11 16 17 22 23 24 25 26 27 28 29",
    );
    expect([...odd.windows]).toEqual([0, 64, 96, 112, 120]);
    const video = layoutVision([[2, 6, 10]], released);
    expect([...video.windows]).toEqual([0, 48, 60, 108, 120]);
    expect([...video.slices]).toEqual([0, 60, 120]);
    expect([...video.order.subarray(12, 17)]).toEqual([4, 9, 14, 15, 16]);
    const two = layoutVision(
      [
        [1, 4, 4],
        [1, 10, 8],
      ],
      released,
    );
    expect([...two.windows]).toEqual([0, 16, 80, 96]);
    expect([...two.slices]).toEqual([0, 16, 96]);
  });

  it("gives the windows of transformers, and a true inverse", async () => {
    const file = new URL("../golden/omni/windows.json", import.meta.url);
    for (const row of JSON.parse(await readFile(file, "utf8"))) {
      const config = { ...released, windowSize: row.window_size };
      const { order, inverse, windows, slices, cells, patches } = layoutVision(row.grids, config);
      expect([...order]).toEqual(row.window_index);
      expect([...windows]).toEqual(row.window_bounds);
      expect([...slices]).toEqual(row.slice_bounds);
      expect([...order].map((cell) => inverse[cell])).toEqual(range(0, cells - 1));
      expect(patches).toBe(4 * cells);
    }
  });

  it("gives row and column of patches, cell by cell, anew for every slice", () => {
    const { coordinates } = layoutVision(
      [
        [1, 2, 2],
        [2, 2, 4],
      ],
      released,
    );
    const slice = [0, 0, 0, 1, 1, 0, 1, 1, 0, 2, 0, 3, 1, 2, 1, 3];
    expect([...coordinates]).toEqual([...slice.slice(0, 8), ...slice, ...slice]);
  });

  it("refuses grids that are no whole cells", () => {
    expect(() => layoutVision([[1, 3, 4]], released)).toThrow(/\[1, 3, 4\] patches/);
    expect(() => layoutVision([[0, 2, 2]], released)).toThrow(DataError);
  });
});
