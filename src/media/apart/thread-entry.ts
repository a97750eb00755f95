import { serveHere } from "#apart";
import { Server } from "./serve.ts";

/** Begins to decode what the main thread sends to this one. */
export function decodeHere(): void {
  serveHere((tell) => new Server(tell));
}
