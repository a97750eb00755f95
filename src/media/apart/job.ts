import { decodeAudio } from "../decode-audio.ts";
import { decodeImage } from "../decode-image.ts";
import { decodeVideo } from "../decode-video.ts";
import type { AudioClip, FrameChoice, MediaSource, MediaWarning, VideoClip } from "../types.ts";
import type { Frame } from "../../signal/frame.ts";

/** One file to decode, in words that a thread can be sent. */
export interface Job {
  kind: keyof JobResults;
  source: MediaSource;
  /** Which audio track. */
  track?: number | undefined;
  /** True when the caller transforms the frames of a video. */
  transforms?: boolean;
  /** Seconds without progress after which the file is given up. */
  timeoutS: number;
}

/** The results of the kinds of jobs. */
export interface JobResults {
  video: VideoClip;
  image: Frame;
  audio: AudioClip;
}

/** The questions of a job to its caller: functions cannot be sent to a thread. */
export interface JobCalls {
  choose?: FrameChoice | ((...args: Parameters<FrameChoice>) => Promise<number[]>);
  transform?: (frame: Frame, chosenFrames: number) => Frame | Promise<Frame>;
  onWarning?: ((warning: MediaWarning) => void) | undefined;
}

/**
 * Decodes the file of a job in this thread.
 *
 * @throws {DataError} of the decoders.
 */
export function runJob(job: Job, calls: JobCalls): Promise<JobResults[Job["kind"]]> {
  const { kind, source, track } = job;
  const { transform, onWarning } = calls;
  const options = onWarning === undefined ? {} : { onWarning };
  if (kind === "image") return decodeImage(source);
  if (kind === "audio")
    return decodeAudio(source, { ...options, ...(track !== undefined && { track }) });
  return decodeVideo(source, calls.choose!, {
    ...options,
    ...(job.transforms && transform && { transform }),
  });
}
