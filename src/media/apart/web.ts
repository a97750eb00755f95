/* A page decodes in the thread that asks: its decoders, WebCodecs, work outside of the page. */
import type { Tell, Thread, ToThread } from "./protocol.ts";

/** Files that are decoded at once. */
export const MAX_THREADS = 4;

/** Returns null: a page starts no thread. */
export function startThread(): Thread | null {
  return null;
}

/** Does nothing: a page has no decoding threads whose server could listen. */
export function serveHere(_start: (tell: Tell) => { hear: (message: ToThread) => void }): void {}
