/*
 * The average frame rate of a video, as FFmpeg states it and decord and torchvision hand it on.
 *
 * How many frames are taken is a floor of `totalFrames / fps * 2`, so a rate of 24.000000000000004
 * costs two frames where 24 is meant. Rates are therefore quotients of whole numbers: MP4 and MOV
 * count ticks of the track's clock, Matroska states a duration of all frames in nanoseconds, and
 * where a container has neither (WebM of a browser, MPEG-TS), times were rounded to its clock and
 * FFmpeg takes the standard rate that lies within one percent.
 */

/** When one frame is shown, in seconds. */
export interface FrameTime {
  timestamp: number;
  /** 0 where the container does not say. */
  duration: number;
}

/** How a container keeps time. */
export interface TrackClock {
  /** Ticks per second. */
  resolution: number;
  /** Frames per second as the file states them; null where it does not. */
  statedRate: number | null;
  /** The durations of frames are whole ticks, not times that were rounded to ticks. */
  exact: boolean;
}

/** FFmpeg lets terms of the rate of Matroska grow up to this. */
const MAX_TERM = 30000;
/** The most pictures that a decoder of H.264 or H.265 keeps back to put them in order. */
const REORDERED = 16;
/** Rates within this of a standard rate are taken for it. */
const STANDARD_WITHIN = 0.01;

/**
 * Frames per second over all frames of a track, in any order; 1 for a lone frame without a length.
 *
 * Source: mov_read_trun and avformat_find_stream_info of FFmpeg 7.
 */
export function averageFrameRate(times: readonly FrameTime[], clock: TrackClock): number {
  if (clock.statedRate !== null) return clock.statedRate;
  const ticks = (seconds: number) => Math.round(seconds * clock.resolution);
  if (clock.exact) {
    const total = times.reduce((sum, { duration }) => sum + ticks(duration), 0);
    if (total > 0) return (times.length * clock.resolution) / total;
  }
  const starts = evenPart(times.map(({ timestamp }) => ticks(timestamp)).sort((a, b) => a - b));
  const span = starts.at(-1)! - starts[0]!;
  if (span > 0) return standardRate(((starts.length - 1) * clock.resolution) / span);
  const length = ticks(times[0]?.duration ?? 0);
  return length > 0 ? standardRate(clock.resolution / length) : 1;
}

/**
 * Returns the times up to a gap at the end of an even clip: a stream that stops in the middle of a
 * group of pictures lacks some that others, shown later, came before.
 */
function evenPart(starts: number[]): number[] {
  const gaps = starts.slice(1).map((start, i) => start - starts[i]!);
  const typical = [...gaps].sort((a, b) => a - b)[gaps.length >> 1] ?? 0;
  const uneven = gaps.findIndex((gap) => Math.abs(gap - typical) > 1);
  return uneven > gaps.length - REORDERED && uneven > 0 ? starts.slice(0, uneven + 1) : starts;
}

/**
 * Returns the rate of frames that last so many nanoseconds each. Source: matroska_parse_tracks,
 * FFmpeg 7.
 */
export function rateOfNanoseconds(duration: number): number {
  return nearestQuotient(1e9, duration, MAX_TERM);
}

/**
 * Returns the standard rate within one percent of a rate, or the rate itself.
 *
 * Source: get_std_framerate of FFmpeg 7: twelfths up to 30, whole rates to 60, 80, 120, 240 and
 * the NTSC rates.
 */
export function standardRate(rate: number): number {
  let best = rate;
  let bestError = STANDARD_WITHIN;
  for (const standard of STANDARD_RATES) {
    const error = Math.abs(rate / standard - 1);
    if (error < bestError) [best, bestError] = [standard, error];
  }
  return best;
}

const STANDARD_RATES = [
  ...Array.from({ length: 30 * 12 }, (_, i) => (i + 1) / 12),
  ...Array.from({ length: 30 }, (_, i) => i + 31),
  ...[80, 120, 240],
  ...[24, 30, 60, 12, 15, 48].map((rate) => (rate * 1000) / 1001),
];

/** `num / den` with both terms at most `max`: the last convergent of the continued fraction. */
function nearestQuotient(num: number, den: number, max: number): number {
  let [n0, d0, n1, d1] = [0, 1, 1, 0];
  while (den > 0) {
    const whole = Math.floor(num / den);
    const [n2, d2] = [whole * n1 + n0, whole * d1 + d0];
    if (n2 > max || d2 > max) {
      const fits = Math.floor(
        Math.min(n1 > 0 ? (max - n0) / n1 : whole, d1 > 0 ? (max - d0) / d1 : whole),
      );
      if (den * (2 * fits * d1 + d0) > num * d1) [n1, d1] = [fits * n1 + n0, fits * d1 + d0];
      break;
    }
    [n0, d0, n1, d1] = [n1, d1, n2, d2];
    [num, den] = [den, num - den * whole];
  }
  return n1 / d1;
}
