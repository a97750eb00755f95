import { execFile, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { DataError } from "../../src/core/errors.ts";
import { decodeVideo } from "../../src/media/decode-video.ts";
import { qwenFrames } from "../../src/media/frames.ts";
import { loadAudio, loadImage, loadVideo } from "../../src/media/load.ts";
import type { Frame } from "../../src/signal/frame.ts";
import { loopingMp4, smallMp4 } from "../helpers/hostile-media.ts";
import { wavFile } from "./golden.ts";

const folder = mkdtempSync(join(tmpdir(), "aubade-apart-"));
const good = join(folder, "good.mp4");
const hangs = join(folder, "hangs.mp4");
beforeAll(async () => {
  const mp4 = await smallMp4();
  writeFileSync(good, mp4);
  writeFileSync(hangs, loopingMp4(mp4));
}, 60_000);
afterAll(() => rmSync(folder, { recursive: true }));

async function failure(promise: Promise<unknown>): Promise<DataError> {
  const error = await promise.then(() => undefined).catch((caught: unknown) => caught);
  if (error instanceof DataError) return error;
  throw new Error(`no DataError, but ${String(error)}`);
}

const same = (a: Uint8Array, b: Uint8Array) => Buffer.compare(a, b) === 0;

test("a file whose counts make the demultiplexer loop is given up by name, and others go on", async () => {
  const bad = failure(loadVideo(hangs, { timeoutS: 2 }));
  const fine = await Promise.all([1, 2, 3].map(() => loadVideo(good)));
  expect(fine.map(({ frames }) => frames.length)).toEqual([4, 4, 4]);
  const { code, message } = await bad;
  expect(code).toBe("media-stalled");
  expect(message).toMatch(/hangs\.mp4: no progress for 2 s while .*damaged.*leave it out/);
  expect((await loadVideo(good)).frames).toHaveLength(4);
});

test("a thread gives the bytes that decoding in this thread gives", async () => {
  const apart = await loadVideo(good);
  const here = await decodeVideo(good, qwenFrames());
  expect({ ...apart, frames: [] }).toEqual({ ...here, frames: [] });
  expect(apart.frames.length).toBe(here.frames.length);
  apart.frames.forEach((frame, i) => {
    expect(frame.timestamp).toBe(here.frames[i]!.timestamp);
    expect(same(frame.rgb, here.frames[i]!.rgb)).toBe(true);
  });
});

test("the caller's functions are asked, keep what they return, and their errors come back", async () => {
  const seen: Frame[] = [];
  const video = await loadVideo(good, {
    frames: ({ totalFrames }) => [0, totalFrames - 1],
    transform: (frame, count) => {
      seen.push({ ...frame, width: count, rgb: frame.rgb.slice(0, 6) });
      return seen.at(-1)!;
    },
  });
  expect(video.indices).toEqual([0, 15]);
  expect(video.frames[0]).toBe(seen[0]);
  expect(video.frames[1]!.rgb).toHaveLength(6);
  const wrong = new DataError("own-code", "no such frames.", { hint: "Ask for others." });
  const refused = await failure(
    loadVideo(good, {
      frames: () => {
        throw wrong;
      },
    }),
  );
  expect([refused.code, refused.message, refused.hint]).toEqual([
    wrong.code,
    wrong.message,
    wrong.hint,
  ]);
});

test("bytes that are given stay the caller's", async () => {
  const whole = new Uint8Array(readFileSync(good));
  const roomy = new Uint8Array(whole.length + 100);
  roomy.set(whole, 50);
  const part = roomy.subarray(50, 50 + whole.length);
  const [a, b] = [
    await loadVideo({ name: "whole", data: whole }),
    await loadVideo({ name: "part", data: part }),
  ];
  expect(same(a.frames[3]!.rgb, b.frames[3]!.rgb)).toBe(true);
  expect(whole.length).toBeGreaterThan(0);
  expect(
    (await loadAudio({ name: "w", data: wavFile(new Float32Array(800), 16000) })).samples,
  ).toHaveLength(800);
});

test("the caller's signal ends it with its reason", async () => {
  const stop = new AbortController();
  const loading = loadVideo(hangs, { signal: stop.signal });
  setTimeout(() => stop.abort(new Error("enough")), 1000);
  await expect(loading).rejects.toThrow("enough");
  await expect(loadImage(good, { signal: stop.signal })).rejects.toThrow("enough");
});

const program = (body: string) =>
  `import { loadVideo } from ${JSON.stringify(join(process.cwd(), "src/media/load.ts"))};\n${body}`;

test("a thread that waits for files keeps no process alive", async () => {
  const script = program(`console.log((await loadVideo(${JSON.stringify(good)})).frames.length);`);
  const path = join(folder, "ends.mts");
  writeFileSync(path, script);
  const { stdout } = await promisify(execFile)("node", ["--import", "tsx", path], {
    timeout: 50_000,
  });
  expect(stdout.trim()).toBe("4");
}, 60_000);

test("a signal is heard while a file decodes", async () => {
  const path = join(folder, "hears.mts");
  writeFileSync(
    path,
    program(`process.on("SIGTERM", () => { console.log("heard"); process.exit(7); });
setTimeout(() => console.log("begun"), 1000);
await loadVideo(${JSON.stringify(hangs)});`),
  );
  const child = spawn("node", ["--import", "tsx", path], { stdio: ["ignore", "pipe", "inherit"] });
  let said = "";
  child.stdout.on("data", (text: Buffer) => {
    said += String(text);
    if (said === "begun\n") child.kill("SIGTERM");
  });
  const code = await new Promise((resolve) => child.on("exit", resolve));
  expect([said, code]).toEqual(["begun\nheard\n", 7]);
}, 60_000);
