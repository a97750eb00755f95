import { readdirSync, readFileSync } from "node:fs";
import { DataError } from "../../src/core/errors.ts";
import { Random } from "../../src/core/random.ts";
import { loadAudio, loadImage, loadVideo } from "../../src/media/load.ts";
import type { AudioClip, VideoClip } from "../../src/media/types.ts";
import type { Frame } from "../../src/signal/frame.ts";

const CLIPS = "test/golden/media/clips";
const IMAGES = "test/golden/media/images";

/** Seconds without progress that a damaged file is given here. */
const TIMEOUT_S = 3;
/** Seconds of sound that a small damaged file may come to: by a false rate or stated silence. */
const MOST_S = 120;
const PICTURES = /^(24|width|film|turned|wide|uneven)|\.(avi|flv)$/;

/** A whole file, and as what it is read. */
export interface Seed {
  name: string;
  data: Uint8Array;
  kind: "video" | "audio" | "image";
}

/** All small files of the repository that are media. */
export function mediaSeeds(): Seed[] {
  const read = (folder: string, kindOf: (name: string) => Seed["kind"]): Seed[] =>
    readdirSync(folder).map((name) => ({
      ...{ name, kind: kindOf(name) },
      data: new Uint8Array(readFileSync(`${folder}/${name}`)),
    }));
  const clips = read(CLIPS, (name) => (PICTURES.test(name) ? "video" : "audio"));
  const film = clips.find(({ name }) => name === "film.mp4")!;
  return [...clips, { ...film, kind: "audio" }, ...read(IMAGES, () => "image")];
}

/** Numbers that headers break on. */
const ODD = [0, 1, 0x7f, 0x80, 0xff, 0x7fffffff, 0x80000000, 0xffffffff];

/** Damages a file as disks, connections and strangers do. */
export function damaged(data: Uint8Array, random: Random): Uint8Array {
  const bytes = data.slice();
  const below = (n: number) => Math.floor(random.uniform(0, n));
  // Half of all damage goes to the front, where headers stand.
  const place = () => below(random.uniform() < 0.5 ? Math.min(bytes.length, 600) : bytes.length);
  const kind = below(5);
  if (kind === 0) return bytes.slice(0, 1 + below(bytes.length - 1));
  if (kind === 1) {
    const at = place();
    return bytes.fill(0, at, at + 1 + below(bytes.length / 4));
  }
  if (kind === 2) {
    for (let i = 0; i <= below(12); i++) bytes[place()]! ^= 1 << below(8);
    return bytes;
  }
  if (kind === 3) {
    const view = new DataView(bytes.buffer);
    const at = Math.max(0, Math.min(place(), bytes.length - 4));
    if (bytes.length >= 4) view.setUint32(at, ODD[below(ODD.length)]!, random.uniform() < 0.5);
    return bytes;
  }
  const [from, to] = [place(), place()];
  bytes.copyWithin(to, from, from + 1 + below(200));
  return bytes;
}

/**
 * Reads a file as what it is; returns "fine" or the code of its refusal.
 *
 * @throws {Error} when the outcome is neither a sane medium nor an error that names the file.
 */
export async function outcomeOf({ name, data, kind }: Seed): Promise<string> {
  const source = { name, data };
  const options = { timeoutS: TIMEOUT_S };
  try {
    if (kind === "image") checkFrame(await loadImage(source, options), name);
    else if (kind === "audio") checkSound(await loadAudio(source, options), name);
    else checkVideo(await loadVideo(source, { ...options, frames: firstAndLast }), name);
    return "fine";
  } catch (error) {
    if (!(error instanceof DataError)) throw error;
    if (!error.message.includes(name)) throw new Error(`no file in: ${error.message}`);
    if (/assert|is not a function|of undefined|\[object/i.test(error.message))
      throw new Error(`raw: ${error.message}`);
    return error.code;
  }
}

const firstAndLast = ({ totalFrames }: { totalFrames: number }) => [0, totalFrames - 1];

function checkFrame({ width, height, rgb }: Frame, name: string): void {
  const whole = Number.isInteger(width) && Number.isInteger(height) && width > 0 && height > 0;
  if (!whole || rgb.length !== width * height * 3) throw new Error(`${name}: ${width}x${height}`);
}

function checkSound({ samples, durationS, sourceRate }: AudioClip, name: string): void {
  const sane = samples.length > 0 && durationS > 0 && durationS < MOST_S && sourceRate > 0;
  if (!sane) throw new Error(`${name}: ${samples.length} samples, ${durationS} s`);
  if (!samples.every((v) => Number.isFinite(v))) throw new Error(`${name}: not finite`);
}

function checkVideo({ frames, totalFrames, fps, durationS }: VideoClip, name: string): void {
  const sane = totalFrames > 0 && totalFrames < 1000 && fps > 0 && Number.isFinite(fps);
  if (!sane || !(durationS > 0)) throw new Error(`${name}: ${totalFrames} frames at ${fps} Hz`);
  for (const frame of frames) checkFrame(frame, name);
}
