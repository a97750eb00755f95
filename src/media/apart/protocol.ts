import type { PackedError } from "../../core/error-copy.ts";
import type { FrameInfo, MediaWarning } from "../types.ts";
import type { Frame } from "../../signal/frame.ts";
import type { Job, JobResults } from "./job.ts";

/** A question of a thread to its caller: which frames, or what becomes of a frame. */
export type CallerQuestion =
  { call: "choose"; info: FrameInfo } | { call: "transform"; frame: Frame; chosenFrames: number };

/** A frame as its caller made it, whose pixels the caller keeps: they are its own. */
export interface KeptFrame extends Frame {
  /** Its place among the frames that the caller keeps. */
  kept: number;
}

/** A message to a thread. */
export type ToThread =
  | { kind: "job"; job: Job }
  | { kind: "answer"; value: number[] | KeptFrame }
  | { kind: "refusal"; error: PackedError };

/** A message of a thread. */
export type FromThread =
  | { kind: "ready" }
  | { kind: "begin"; file: string; what: string }
  | { kind: "beat" }
  | { kind: "warning"; warning: MediaWarning }
  | { kind: "question"; question: CallerQuestion }
  | { kind: "done"; result: JobResults[Job["kind"]] }
  | { kind: "failed"; error: PackedError };

/** The way from a thread to its caller: pixels and samples are handed over, not copied. */
export type Tell = (message: FromThread) => void;

/** A thread that decodes. */
export interface Thread {
  /** Sends a message to the thread. */
  send: (message: ToThread) => void;
  /** Sets who hears the thread: its messages, and the error that ended it. */
  hear: (message: (message: FromThread) => void, ended: (error: Error) => void) => void;
  /** True when the process waits for the thread. */
  hold: (held: boolean) => void;
  /** Ends the thread, whatever it does. */
  end: () => void;
}

/**
 * Returns the memory of a message that its sender hands over: all that holds pixels or samples.
 *
 * Memory that a message shows a part of only, or that is shared with others, as Node's small buffers
 * are, is copied instead.
 */
export function memoryOf(message: FromThread): ArrayBuffer[] {
  const views: (Uint8Array | Float32Array)[] = [];
  if (message.kind === "question" && message.question.call === "transform") {
    views.push(message.question.frame.rgb);
  }
  if (message.kind === "done") {
    const { result } = message;
    if ("frames" in result) views.push(...result.frames.map(({ rgb }) => rgb));
    else views.push("rgb" in result ? result.rgb : result.samples);
  }
  const owned = views.filter(
    ({ buffer, byteLength }) => buffer instanceof ArrayBuffer && byteLength === buffer.byteLength,
  );
  return [...new Set(owned.map(({ buffer }) => buffer as ArrayBuffer))];
}
