import { Logging, LogLevel } from "mediabunny";
import { serveHere } from "#apart";
import { packError, unpackError } from "../../core/error-copy.ts";
import { listenToProgress } from "../../core/progress.ts";
import type { Frame } from "../../signal/frame.ts";
import { type Job, runJob } from "./job.ts";
import type { CallerQuestion, Tell, ToThread } from "./protocol.ts";

/** Signs of life for each time limit; more would only be work. */
const BEATS = 50;

/** Decodes the files that come over a line, one after the other, for as long as the thread lives. */
class Server {
  readonly #tell: Tell;
  #answered: {
    resolve: (value: number[] | Frame) => void;
    reject: (error: unknown) => void;
  } | null = null;

  constructor(tell: Tell) {
    this.#tell = tell;
    tell({ kind: "ready" });
  }

  /** Hears a message of the caller. */
  hear(message: ToThread): void {
    if (message.kind === "job") void this.#run(message.job);
    else if (message.kind === "answer") this.#answered?.resolve(message.value);
    else this.#answered?.reject(unpackError(message.error));
  }

  async #run(job: Job): Promise<void> {
    let last = -Infinity;
    const stop = listenToProgress({
      begin: (file, what) => this.#tell({ kind: "begin", file, what }),
      beat: () => {
        const now = performance.now();
        if (now - last < (job.timeoutS * 1000) / BEATS) return;
        last = now;
        this.#tell({ kind: "beat" });
      },
    });
    try {
      const result = await runJob(job, {
        choose: async (info) => (await this.#ask({ call: "choose", info })) as number[],
        transform: async (frame, chosenFrames) =>
          (await this.#ask({ call: "transform", frame, chosenFrames })) as Frame,
        onWarning: (warning) => this.#tell({ kind: "warning", warning }),
      });
      this.#tell({ kind: "done", result });
    } catch (error) {
      this.#tell({ kind: "failed", error: packError(error) });
    } finally {
      stop();
    }
  }

  /** Decoders ask one question at a time: each waits for its answer. */
  #ask(question: CallerQuestion): Promise<number[] | Frame> {
    const answer = new Promise<number[] | Frame>((resolve, reject) => {
      this.#answered = { resolve, reject };
    });
    this.#tell({ kind: "question", question });
    return answer;
  }
}

/** Begins to decode what the main thread sends to this one. */
export function decodeHere(): void {
  // Faults of a file are said in errors, once and with its name.
  Logging.level = LogLevel.Silent;
  serveHere((tell) => new Server(tell));
}
