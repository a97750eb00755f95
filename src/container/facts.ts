/* Facts of a track that a file states and mediabunny does not hand on, in Node as in a page. */
import {
  AdtsInputFormat,
  type Input,
  type InputAudioTrack,
  type InputTrack,
  IsobmffInputFormat,
  MatroskaInputFormat,
  Mp3InputFormat,
  OggInputFormat,
} from "mediabunny";
import { DataError } from "../core/errors.ts";
import { rateOfNanoseconds, type TrackClock } from "./frame-rate.ts";
import type { MediaBytes } from "./bytes.ts";
import { countFrames, readMp3, type SoundSpan } from "./frames.ts";
import { type Mp4Track, readMp4 } from "./mp4.ts";
import type { OggStream } from "./ogg.ts";
import { scanPackets } from "./packets.ts";
import type { Container } from "./whole.ts";

/** The facts that a file states about one of its tracks. */
export interface TrackFacts {
  clock: TrackClock;
  /** Presentation times that are part of the clip, in seconds: from the first, before the second. */
  shown: { fromS: number; endS: number };
}

/** Opus counts samples at 48 kHz whatever it decodes to. */
const OPUS_CLOCK = 48000;

/**
 * Reads the facts of a track.
 *
 * @throws {DataError} `media-edit-list`.
 */
export async function readFacts(
  input: Input,
  track: InputTrack,
  { bytes, matroska }: Container,
  file: string,
): Promise<TrackFacts> {
  const format = await input.getFormat();
  const resolution = await track.getTimeResolution();
  const facts: TrackFacts = {
    clock: { resolution, statedRate: null, exact: false },
    shown: { fromS: -Infinity, endS: Infinity },
  };
  if (format instanceof IsobmffInputFormat) {
    facts.clock.exact = true;
    facts.shown.fromS = 0;
    if (!bytes) return facts;
    const { samples, ticks, ...shown } = await readOneEdit(bytes, track.id, file);
    facts.shown = { fromS: shown.fromS, endS: shown.endS };
    if (ticks > 0) facts.clock.statedRate = (samples * resolution) / ticks;
  }
  if (format instanceof MatroskaInputFormat) {
    const { defaultDurationNs = 0 } = matroska.get(track.id) ?? {};
    if (defaultDurationNs > 0) facts.clock.statedRate = rateOfNanoseconds(defaultDurationNs);
  }
  return facts;
}

async function readOneEdit(bytes: MediaBytes, trackId: number, file: string): Promise<Mp4Track> {
  const facts = await readMp4(bytes, trackId);
  if (facts.edits === 1) return facts;
  throw new DataError(
    "media-edit-list",
    `${file} is put together of ${facts.edits} cuts of a longer recording, which cannot be read here.`,
    { hint: "Re-encode the clip; in Node the package @mediabunny/server reads it." },
  );
}

/** Which samples of a decoded track are its sound. */
export interface SoundFacts extends SoundSpan {
  /** Seconds to drop from the end. */
  discardS: number;
  /** Presentation times that are part of the clip, in seconds. */
  shown: { fromS: number; endS: number };
}

/**
 * Reads which samples of a track are its sound, and checks that they are whole.
 *
 * @throws {DataError} `media-cut-off`, `media-holed`, `media-edit-list`.
 */
export async function readSoundFacts(
  input: Input,
  track: InputAudioTrack,
  { bytes, matroska, ogg }: Container,
  file: string,
): Promise<SoundFacts> {
  const format = await input.getFormat();
  const rate = await track.getSampleRate();
  const whole = { skip: 0, keep: Infinity, discardS: 0, shown: { fromS: 0, endS: Infinity } };
  if (!bytes) return whole;
  if (format instanceof IsobmffInputFormat) {
    const { fromS, endS } = await readOneEdit(bytes, track.id, file);
    await scanPackets(track, file);
    return { ...whole, shown: { fromS, endS } };
  }
  if (format instanceof MatroskaInputFormat) {
    const { discardNs = 0 } = matroska.get(track.id) ?? {};
    return { ...whole, discardS: discardNs / 1e9 };
  }
  if (format instanceof OggInputFormat) {
    const stream = ogg.get(track.id);
    return stream ? { ...whole, ...(await oggSpan(track, stream, file)) } : whole;
  }
  if (format instanceof Mp3InputFormat) {
    return { ...whole, ...(await readMp3(track, rate, bytes, file)) };
  }
  if (format instanceof AdtsInputFormat) await countFrames(track, bytes, file);
  return whole;
}

/**
 * Returns the length that the last page states, which is less than its packets hold. A file that
 * was cut out of another begins before 0: players of Vorbis drop that part, those of Opus do not.
 */
async function oggSpan(
  track: InputAudioTrack,
  { firstPackets, firstPosition, lastPosition }: OggStream,
  file: string,
): Promise<SoundSpan> {
  const packets = await scanPackets(track, file);
  const opus = (await track.getCodec()) === "opus";
  const rate = opus ? OPUS_CLOCK : await track.getSampleRate();
  const clock = (seconds: number) => Math.round(seconds * rate);
  const preSkip = opus ? await preSkipOf(track) : 0;
  const start = clock(packets[0]?.timestamp ?? 0);
  const onFirst = packets[firstPackets - 1];
  const end = onFirst ? clock(onFirst.timestamp + onFirst.duration) + preSkip : 0;
  const early = Math.max(0, end - firstPosition);
  const length = lastPosition - preSkip - start;
  return opus ? { skip: 0, keep: length + early } : { skip: early, keep: length };
}

/** Samples that a decoder of Opus drops from the start (RFC 7845, 5.1); 0 for other codecs. */
export async function preSkipOf(track: InputAudioTrack): Promise<number> {
  const description = (await track.getDecoderConfig())?.description;
  if ((await track.getCodec()) !== "opus" || !description) return 0;
  const view = ArrayBuffer.isView(description)
    ? new DataView(description.buffer, description.byteOffset, description.byteLength)
    : new DataView(description);
  return view.byteLength >= 12 ? view.getUint16(10, true) : 0;
}
