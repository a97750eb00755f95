/*
 * What a file states about a track beyond what mediabunny hands on. One rule decides whether a file
 * is whole, in Node and in a page: a file that states how much it holds must hold it; one that does
 * not counts as long as it is, as far as its pieces follow on each other without a hole.
 */
import {
  type Input,
  type InputTrack,
  MatroskaInputFormat,
  Mp4InputFormat,
  QuickTimeInputFormat,
} from "mediabunny";
import { rateOfNanoseconds, type TrackClock } from "../frame-rate.ts";
import type { MediaBytes } from "./bytes.ts";
import { readMatroska } from "./matroska.ts";
import { readMp4 } from "./mp4.ts";

/** What a file states about one of its tracks. */
export interface TrackFacts {
  clock: TrackClock;
  /** Presentation times that are part of the clip, in seconds: from the first, before the second. */
  shown: { fromS: number; endS: number };
  /** Seconds of decoded sound at the end that are not part of the clip. */
  discardS: number;
}

/**
 * Reads the facts of a track and checks that the file is whole.
 *
 * @throws {DataError} `media-cut-off`, `media-holed`.
 */
export async function readFacts(
  input: Input,
  track: InputTrack,
  bytes: MediaBytes | null,
  file: string,
): Promise<TrackFacts> {
  const format = await input.getFormat();
  const resolution = await track.getTimeResolution();
  const facts: TrackFacts = {
    clock: { resolution, statedRate: null, exact: false },
    shown: { fromS: -Infinity, endS: Infinity },
    discardS: 0,
  };
  if (format instanceof Mp4InputFormat || format instanceof QuickTimeInputFormat) {
    facts.clock.exact = true;
    facts.shown.fromS = 0;
    if (!bytes) return facts;
    const { endS, samples, ticks } = await readMp4(bytes, track.id);
    facts.shown.endS = endS;
    if (ticks > 0) facts.clock.statedRate = (samples * resolution) / ticks;
  }
  if (format instanceof MatroskaInputFormat && bytes) {
    const stated = (await readMatroska(bytes, file)).get(track.id);
    if (!stated) return facts;
    const { defaultDurationNs, discardNs } = stated;
    if (defaultDurationNs > 0) facts.clock.statedRate = rateOfNanoseconds(defaultDurationNs);
    facts.discardS = discardNs / 1e9;
  }
  return facts;
}
