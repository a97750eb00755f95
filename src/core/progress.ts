/*
 * Signs of life of the file that is being decoded. A thread decodes one file at a time, so that its
 * listener hears that file only; where nobody listens they cost nothing.
 */

/** Hears what a decoder does. */
export interface ProgressListener {
  /** A new part of the work begins, in words that follow "while", on a file of this name. */
  begin: (file: string, what: string) => void;
  /** The work went on. */
  beat: () => void;
}

const listeners = new Set<ProgressListener>();

/** Makes a listener hear what this thread decodes; returns what makes it stop. */
export function listenToProgress(listener: ProgressListener): () => void {
  listeners.add(listener);
  return () => void listeners.delete(listener);
}

/** Says which part of which file's decoding begins, in words that follow "while". */
export function begin(file: string, what: string): void {
  for (const listener of listeners) listener.begin(file, what);
}

/** Says that the work goes on; loops that may run for seconds call it now and then. */
export function beat(): void {
  for (const listener of listeners) listener.beat();
}
