/*
 * Files that are nothing but frames of sound, MP3 and ADTS: whether they follow on each other, and
 * what the header of Xing and LAME states. mediabunny looks for the next frame behind damage.
 */
import { EncodedPacketSink, type InputTrack } from "mediabunny";
import { fourLetters, type MediaBytes } from "./bytes.ts";
import { beat } from "../core/progress.ts";
import { cutOff, holed } from "./damage.ts";

/** Which decoded samples of an MP3 are its sound. */
export interface SoundSpan {
  skip: number;
  keep: number;
}

/** The tags that may follow the last frame. */
const TAGS = ["TAG", "APET", "LYRI", "ID3"];
/** Samples by which a decoder of MP3 is late. */
const DECODER_DELAY = 529;
/** Encoders whose delay FFmpeg believes. */
const ENCODERS = ["LAME", "Lavf", "Lavc"];
/** Maximum of the bytes of the frame that holds the header of Xing. */
const INFO_FRAME_BYTES = 2880;
const SEARCH_BYTES = 1 << 16;

/** The frames of a file. */
export interface FrameRun {
  frames: number;
  /** The byte at which the first begins. */
  start: number;
  /** Seconds of one. */
  frameS: number;
}

/**
 * Goes through the frames of an MP3 or ADTS file and counts them.
 *
 * @throws {DataError} `media-holed` when there are other bytes between them.
 */
export async function countFrames(
  track: InputTrack,
  bytes: MediaBytes,
  file: string,
): Promise<FrameRun> {
  const run: FrameRun = { frames: 0, start: 0, frameS: 0 };
  let at = 0;
  const hole = () => {
    const seconds = (run.frames * run.frameS).toFixed(2);
    return holed(file, `no frame of sound begins at byte ${at}, after ${seconds} s`);
  };
  for await (const { data, duration } of new EncodedPacketSink(track).packets()) {
    if (run.frames === 0) at = run.start = await findBytes(bytes, data);
    else if (!startsWith(data, await bytes.read(at, 4))) throw hole();
    beat();
    at += data.length;
    run.frameS = duration;
    run.frames++;
  }
  const rest = await bytes.read(at, 4);
  const beginsFrame = rest[0] === 0xff && (rest[1]! & 0xe0) === 0xe0;
  const name = String.fromCharCode(...rest);
  if (rest.length < 4 || beginsFrame || TAGS.some((tag) => name.startsWith(tag))) return run;
  throw hole();
}

/**
 * Counts the frames of an MP3 and reads from the header of Xing and LAME, when it has one, which of
 * its samples at `sampleRate` are sound: encoders write silence before and after.
 *
 * @throws {DataError} `media-cut-off` when there are fewer frames than the header states, else see
 *   `countFrames`.
 * Source: mp3_parse_info_tag of FFmpeg 7.
 */
export async function readMp3(
  track: InputTrack,
  sampleRate: number,
  bytes: MediaBytes,
  file: string,
): Promise<SoundSpan> {
  const { frames, start, frameS } = await countFrames(track, bytes, file);
  const info = await findInfo(bytes, start);
  const whole = { skip: 0, keep: Infinity };
  if (!info || !(info.getUint32(4) & 1)) return whole;
  const stated = info.getUint32(8);
  // Some encoders count the frame of the header itself.
  if (frames + 1 < stated) {
    throw cutOff(file, `${stated} frames of sound`, `${frames} of them are there`);
  }
  const flags = info.getUint32(4);
  const lame =
    8 + (flags & 1 ? 4 : 0) + (flags & 2 ? 4 : 0) + (flags & 4 ? 100 : 0) + (flags & 8 ? 4 : 0);
  if (info.byteLength < lame + 24 || !ENCODERS.includes(fourLetters(info, lame))) return whole;
  const delay = (info.getUint8(lame + 21) << 4) | (info.getUint8(lame + 22) >> 4);
  const padding = ((info.getUint8(lame + 22) & 15) << 8) | info.getUint8(lame + 23);
  const samples = stated * Math.round(frameS * sampleRate);
  // Behind another number of frames than stated, nobody knows where the padding is.
  const keep = frames > stated ? Infinity : samples - delay - padding;
  return { skip: delay + DECODER_DELAY, keep };
}

/** Returns the header of Xing in the frame before the first one of sound, from its name on. */
async function findInfo(bytes: MediaBytes, firstFrame: number): Promise<DataView | null> {
  const from = Math.max(0, firstFrame - INFO_FRAME_BYTES);
  const view = await bytes.view(from, firstFrame - from);
  for (let at = view.byteLength - 12; at >= 0; at--) {
    const name = fourLetters(view, at);
    if (name !== "Xing" && name !== "Info") continue;
    return new DataView(view.buffer, view.byteOffset + at, view.byteLength - at);
  }
  return null;
}

/** Finds a frame: behind tags, which can hold pictures of some megabytes. */
async function findBytes(bytes: MediaBytes, wanted: Uint8Array): Promise<number> {
  for (let from = 0; from < bytes.size; from += SEARCH_BYTES) {
    const window = await bytes.read(from, SEARCH_BYTES + wanted.length);
    for (let at = window.indexOf(wanted[0]!); at !== -1; at = window.indexOf(wanted[0]!, at + 1)) {
      if (startsWith(window.subarray(at), wanted)) return from + at;
    }
  }
  return 0;
}

function startsWith(data: Uint8Array, start: Uint8Array): boolean {
  return (
    start.length > 0 && data.length >= start.length && start.every((byte, i) => data[i] === byte)
  );
}
