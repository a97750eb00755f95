/*
 * Files are decoded in threads of their own, which a damaged file cannot take the process with: the
 * demultiplexers loop over counts that a file states, and JavaScript that loops hears no timer and no
 * signal. A thread is started once, decodes file after file, and is ended when a file makes no
 * progress. Where there are no such threads, decoding happens here, and only a decoder that waits can
 * be given up.
 */
import { MAX_THREADS, startThread } from "#apart";
import { packError, unpackError } from "../../core/error-copy.ts";
import { DataError } from "../../core/errors.ts";
import { listenToProgress } from "../../core/progress.ts";
import { type DecodeOptions, type MediaSource, type MediaWarning, sourceName } from "../types.ts";
import type { Frame } from "../../signal/frame.ts";
import { DEFAULT_TIMEOUT_S, startWatchdog } from "../watchdog.ts";
import { type Job, type JobCalls, type JobResults, runJob } from "./job.ts";
import type { KeptFrame, CallerQuestion, Thread } from "./protocol.ts";

const idle: Thread[] = [];
const waiting: (() => void)[] = [];
let free = MAX_THREADS;

/**
 * Decodes a file where it can be ended: within `timeoutS` seconds without progress, or by `signal`.
 *
 * @throws {DataError} of the decoders; `media-stalled` when there is no progress; `media-corrupt` when
 *   the file ends its thread, by taking too much memory for instance; the reason of the signal.
 */
export async function decodeApart<K extends Job["kind"]>(
  asked: Omit<Job, "kind" | "timeoutS"> & { kind: K },
  calls: JobCalls,
  { timeoutS = DEFAULT_TIMEOUT_S, signal }: DecodeOptions,
): Promise<JobResults[K]> {
  const job: Job = { ...asked, timeoutS };
  if (free > 0) free--;
  else await new Promise<void>((resolve) => waiting.push(resolve));
  try {
    signal?.throwIfAborted();
    const thread = idle.pop() ?? startThread();
    if (thread === null) return (await runHere(job, calls, signal)) as JobResults[K];
    const result = await converse(thread, job, calls, signal);
    return result as JobResults[K];
  } finally {
    // A place goes from hand to hand, so that nobody new slips in between.
    const next = waiting.shift();
    if (next !== undefined) next();
    else free++;
  }
}

/** Threads that have decoded a file, and so need no start. */
const started = new WeakSet<Thread>();

function converse(
  thread: Thread,
  job: Job,
  calls: JobCalls,
  signal: AbortSignal | undefined,
): Promise<JobResults[Job["kind"]]> {
  return new Promise((resolve, reject) => {
    let doing = { file: sourceName(job.source), what: "opening it" };
    const isStarted = started.has(thread);
    const begin = () => startWatchdog(job.timeoutS, () => fail(stalled(doing, job.timeoutS)));
    let watchdog = isStarted ? begin() : undefined;
    let settled = false;
    const kept: Frame[] = [];
    const settle = () => {
      settled = true;
      watchdog?.stop();
      signal?.removeEventListener("abort", abort);
      thread.hold(false);
      thread.hear(
        () => {},
        () => forget(thread),
      );
    };
    const fail = (error: unknown) => {
      settle();
      thread.end();
      reject(error as Error);
    };
    const abort = () => fail(signal!.reason);
    const release = () => {
      settle();
      idle.push(thread);
    };
    const warn = (warning: MediaWarning) => {
      try {
        calls.onWarning?.(warning);
      } catch (error) {
        fail(error);
      }
    };
    const answer = async (question: CallerQuestion) => {
      // Work of the caller with a frame is none of the file's time.
      watchdog?.stop();
      try {
        const value = await answerOf(question, calls, kept);
        if (!settled) thread.send({ kind: "answer", value });
      } catch (error) {
        if (!settled) thread.send({ kind: "refusal", error: packError(error) });
      }
      if (!settled) watchdog = begin();
    };
    signal?.addEventListener("abort", abort, { once: true });
    thread.hold(true);
    thread.hear(
      (message) => {
        watchdog?.beat();
        if (message.kind === "ready") {
          started.add(thread);
          watchdog = begin();
        } else if (message.kind === "begin") doing = message;
        else if (message.kind === "warning") warn(message.warning);
        else if (message.kind === "question") void answer(message.question);
        else if (message.kind === "done") {
          release();
          resolve(withKept(message.result, kept));
        } else if (message.kind === "failed") {
          release();
          reject(unpackError(message.error) as Error);
        }
      },
      (error) => fail(started.has(thread) ? broken(doing.file, error) : error),
    );
    thread.send({ kind: "job", job: { ...job, source: portable(job.source) } });
  });
}

/** Returns a copy of a source that shows a part of its memory: a message would take all of it. */
function portable(source: MediaSource): MediaSource {
  if (typeof source === "string" || !(source.data instanceof Uint8Array)) return source;
  const { name, data } = source;
  return data.byteLength === data.buffer.byteLength ? source : { name, data: data.slice() };
}

function forget(thread: Thread): void {
  const at = idle.indexOf(thread);
  if (at >= 0) idle.splice(at, 1);
}

async function answerOf(question: CallerQuestion, { choose, transform }: JobCalls, kept: Frame[]) {
  if (question.call === "choose") return choose!(question.info);
  const frame = await transform!(question.frame, question.chosenFrames);
  return { ...frame, rgb: new Uint8Array(0), kept: kept.push(frame) - 1 };
}

function withKept<T extends JobResults[Job["kind"]]>(result: T, kept: Frame[]): T {
  if (!("frames" in result)) return result;
  const frames = result.frames.map((frame) =>
    "kept" in frame ? kept[(frame as KeptFrame).kept]! : frame,
  );
  return { ...result, frames };
}

/** Decodes in this thread: what waits can be given up, what loops cannot. */
function runHere(job: Job, calls: JobCalls, signal: AbortSignal | undefined) {
  return new Promise<JobResults[Job["kind"]]>((resolve, reject) => {
    let doing = { file: sourceName(job.source), what: "opening it" };
    const watchdog = startWatchdog(job.timeoutS, () => reject(stalled(doing, job.timeoutS)));
    const abort = () => reject(signal!.reason as Error);
    const stop = listenToProgress({
      begin: (file, what) => {
        doing = { file, what };
        watchdog.beat();
      },
      beat: watchdog.beat,
    });
    signal?.addEventListener("abort", abort, { once: true });
    void runJob(job, calls)
      .then(resolve, reject)
      .finally(() => {
        watchdog.stop();
        stop();
        signal?.removeEventListener("abort", abort);
      });
  });
}

function stalled({ file, what }: { file: string; what: string }, timeoutS: number): DataError {
  return new DataError("media-stalled", `${file}: no progress for ${timeoutS} s while ${what}.`, {
    hint:
      "The file is damaged or cannot be read to its end: fetch it again, or leave it out. For a " +
      "slow disk or connection raise timeoutS.",
  });
}

function broken(file: string, cause: Error): DataError {
  const why = cause.message.replace(/\.$/, "");
  return new DataError("media-corrupt", `${file} cannot be decoded: ${why}.`, {
    hint: "The file is damaged; fetch it again or leave the row out.",
    cause,
  });
}
