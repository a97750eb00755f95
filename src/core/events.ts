/** Something that happened during a run, for whoever watches: a kind and its plain data. */
export interface RunEvent {
  /** Kebab-case kind, such as `step`, `rollout`, `evaluation`, `warning`, `progress`, `health`. */
  kind: string;
  /** JSON-serialisable details. */
  data: Record<string, unknown>;
}

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
  emit(kind: string, data: Record<string, unknown>): void {
    for (const listener of this.#listeners) listener({ kind, data });
  }
}
