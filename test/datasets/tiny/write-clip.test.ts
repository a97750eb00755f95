import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { prepareDecoders } from "#media";
import { Events } from "../../../src/core/events.ts";
import {
  clipContents,
  FRAME_SIZE,
  makeClip,
  SLOTS,
  type ClipContents,
} from "../../../src/datasets/tiny/clip.ts";
import { clipFileName, SAMPLED_FPS, TinyDataset } from "../../../src/datasets/tiny/dataset.ts";
import { prepareClips } from "../../../src/datasets/tiny/node.ts";
import { LETTERS } from "../../../src/datasets/tiny/words.ts";
import { toI420, writeClip } from "../../../src/datasets/tiny/write-clip.ts";
import { qwenFrames } from "../../../src/media/frames.ts";
import { loadAudio, loadVideo } from "../../../src/media/load.ts";

const COUNT = 150;
const cache = mkdtempSync(join(tmpdir(), "tiny-clips-"));
let folder = "";
const progress: Record<string, unknown>[] = [];

beforeAll(async () => {
  const events = new Events();
  events.listen(({ kind, data }) => kind === "progress" && progress.push(data));
  const indices = Array.from({ length: COUNT }, (_, index) => index);
  folder = await prepareClips({ folder: cache, seed: 2, indices, events });
}, 120_000);

afterAll(() => rmSync(cache, { recursive: true }));

describe("writeClip", () => {
  test("gives the same bytes for the same clip, whatever else is being encoded", async () => {
    await prepareDecoders();
    const [first, , second] = await Promise.all([0, 1, 0].map((at) => writeClip(makeClip(2, at))));
    expect(Buffer.compare(first!, second!)).toBe(0);
    expect(Buffer.compare(first!, readFileSync(join(folder, clipFileName(0))))).toBe(0);
  });

  test("keeps the sampled frames: two of each slot, close to what was drawn", async () => {
    for (const index of [0, 1, 2, 3]) {
      const clip = makeClip(2, index);
      const video = await loadVideo(join(folder, clipFileName(index)), {
        frames: qwenFrames({ fps: SAMPLED_FPS }),
      });
      expect(video.indices).toEqual([0, 2, 4, 6, 9, 11, 13, 15]);
      expect([video.width, video.height, video.totalFrames]).toEqual([56, 56, 16]);
      expect(video.durationS).toBeCloseTo(2, 6);
      video.frames.forEach(({ rgb }, at) => {
        const original = clip.frames[video.indices[at]!]!;
        expect(psnr(rgb, original)).toBeGreaterThan(22);
        // Against what 4:2:0 leaves of the picture, so without the loss of colour resolution.
        const [coded, drawn] = [rgb, original].map((frame) =>
          toI420(frame, FRAME_SIZE, FRAME_SIZE),
        );
        expect(psnr(coded!, drawn!)).toBeGreaterThan(30);
      });
    }
  });

  test("keeps the sound in its place, to the sample", async () => {
    for (const index of [0, 1, 2, 3]) {
      const { samples } = makeClip(2, index);
      const audio = await loadAudio(join(folder, clipFileName(index)));
      expect(audio.sourceRate).toBe(16000);
      // 31 AAC packets: 199 mel frames and so 50 audio tokens, as two whole seconds would give.
      expect(audio.samples).toHaveLength(31 * 1024);
      const correlations = Array.from({ length: 129 }, (_, at) => {
        let sum = 0;
        for (let n = 64; n < audio.samples.length - 64; n++) {
          sum += samples[n]! * audio.samples[n + at - 64]!;
        }
        return sum;
      });
      expect(correlations.indexOf(Math.max(...correlations)) - 64).toBe(0);
      let [signal, error] = [0, 0];
      audio.samples.forEach((value, n) => {
        signal += samples[n]! ** 2;
        error += (value - samples[n]!) ** 2;
      });
      // Noise (hiss) is coded coarsely; tones far better.
      expect(10 * Math.log10(signal / error)).toBeGreaterThan(8);
    }
  });
});

describe("the files", () => {
  test("all last equally long", async () => {
    for (let index = 0; index < 12; index++) {
      const path = join(folder, clipFileName(index));
      const video = await loadVideo(path, { frames: qwenFrames({ fps: SAMPLED_FPS }) });
      const audio = await loadAudio(path);
      expect([video.durationS, audio.durationS]).toEqual([2, 1.984]);
    }
  });

  test("do not tell the answer by their size", () => {
    const data = new TinyDataset({ split: "held-out", clips: COUNT, folder });
    const rows = Array.from({ length: COUNT }, (_, index) => data.row(index));
    const sizes = rows.map(({ mediaNames: media }) => statSync(media).size);
    const slotOf = (contents: ClipContents, word: string): number =>
      Math.max(
        ([...contents.colours] as string[]).indexOf(word),
        contents.sounds.indexOf(word as never),
      );
    const labels = {
      letter: rows.map(({ answer }) => LETTERS.indexOf(answer)),
      slot: rows.map(({ answer, options }, index) =>
        slotOf(clipContents(2, index), options[LETTERS.indexOf(answer)]!),
      ),
    };
    for (const [name, classes] of Object.entries(labels)) {
      const right = classes.filter((own, index) => nearestMean(sizes, classes, index) === own);
      const deviation = Math.sqrt((COUNT * 3) / 16);
      expect(Math.abs(right.length - COUNT / 4), name).toBeLessThan(3 * deviation);
    }
  });

  test("are made once, with progress, and a part of a file is never taken for one", async () => {
    expect(progress).toHaveLength(COUNT);
    expect(progress.at(-1)).toMatchObject({ what: "clips", done: COUNT, total: COUNT, leftS: 0 });
    expect(readdirSync(folder).every((name) => /^\d{5}\.mp4$/.test(name))).toBe(true);
    const path = join(folder, clipFileName(5));
    const before = statSync(path).mtimeMs;
    writeFileSync(join(folder, `${clipFileName(COUNT)}.1.part`), "half");
    expect(await prepareClips({ folder: cache, seed: 2, indices: [5, COUNT] })).toBe(folder);
    expect(statSync(path).mtimeMs).toBe(before);
    expect(statSync(join(folder, clipFileName(COUNT))).size).toBeGreaterThan(5000);
    // A loss of power leaves less of a file, or nothing.
    const [cut, empty] = [5, 6].map((index) => join(folder, clipFileName(index)));
    const bytes = readFileSync(cut!);
    for (const share of [0.75, 0.3]) {
      writeFileSync(cut!, bytes.subarray(0, Math.floor(share * bytes.length)));
      writeFileSync(empty!, "");
      await prepareClips({ folder: cache, seed: 2, indices: [5, 6] });
      expect(readFileSync(cut!).equals(bytes)).toBe(true);
      expect(statSync(empty!).size).toBeGreaterThan(5000);
    }
  });
});

/** Peak signal to noise ratio in dB. */
function psnr(a: Uint8Array, b: Uint8Array): number {
  const error = a.reduce((sum, value, at) => sum + (value - b[at]!) ** 2, 0) / a.length;
  return 10 * Math.log10(255 ** 2 / error);
}

/** The class whose other members' mean size is nearest to this one's: leave one out. */
function nearestMean(sizes: readonly number[], classes: readonly number[], index: number): number {
  const means = Array.from({ length: SLOTS }, (_, own) => {
    const members = sizes.filter((_size, at) => at !== index && classes[at] === own);
    return members.reduce((sum, size) => sum + size, 0) / members.length;
  });
  const distances = means.map((mean) => Math.abs(mean - sizes[index]!));
  return distances.indexOf(Math.min(...distances));
}
