/* Decoding threads in Node. */
import { parentPort, Worker } from "node:worker_threads";
import { availableParallelism } from "node:os";
import { type FromThread, memoryOf, type Tell, type Thread, type ToThread } from "./protocol.ts";

/** Memory for JavaScript's own objects above which a thread ends; pixels and samples do not count. */
const HEAP_MB = 1024;

/** Files that are decoded at once; the decoders have threads of their own. */
export const MAX_THREADS = Math.min(4, availableParallelism());

/**
 * Starts a thread that decodes.
 *
 * `thread.js` lies beside this file among the sources, and beside the module of a build.
 */
export function startThread(): Thread | null {
  const worker = new Worker(new URL("./thread.js", import.meta.url), {
    // Flags of the main thread may not do for a second one; thread.js needs none.
    execArgv: [],
    resourceLimits: { maxOldGenerationSizeMb: HEAP_MB },
  });
  let hear: Parameters<Thread["hear"]> = [() => {}, () => {}];
  worker.on("message", (message: FromThread) => hear[0](message));
  worker.on("messageerror", (error) => hear[1](error));
  worker.on("error", (error) => hear[1](error));
  worker.on("exit", (code) => hear[1](new Error(`the decoder's thread ended with code ${code}`)));
  return {
    send: (message) => worker.postMessage(message),
    hear: (...listeners) => void (hear = listeners),
    hold: (held) => (held ? worker.ref() : worker.unref()),
    // Not waited for: native code that hangs would hang here too.
    end: () => void worker.terminate(),
  };
}

/** Lets a server hear the main thread, from inside a thread. */
export function serveHere(start: (tell: Tell) => { hear: (message: ToThread) => void }): void {
  const port = parentPort!;
  const server = start((message) => port.postMessage(message, memoryOf(message)));
  port.on("message", (message: ToThread) => server.hear(message));
}
