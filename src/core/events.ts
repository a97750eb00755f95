import type { RunEvent, RunEventKind, RunEvents } from "./run-events.ts";

/** Receives events; must not throw and must not block. */
export type Listener = (event: RunEvent) => void;

/** A list of listeners: the one way in which lower layers report to the outside. */
export class Events {
  readonly #listeners = new Set<Listener>();

  /** Adds a listener; the returned function removes it. */
  listen(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Hands an event to every listener, in the order in which they were added. */
  emit<Kind extends RunEventKind>(kind: Kind, data: RunEvents[Kind]): void {
    // The type of a union's member is not followed through its key.
    const event = { kind, data } as RunEvent;
    for (const listener of this.#listeners) listener(event);
  }
}
