/*
 * Signs of life of the file that is being decoded. One thread decodes one file at a time, so that one
 * listener in each is enough; where nobody listens they cost nothing.
 */

/** Hears what a decoder does. */
export interface ProgressListener {
  /** A new part of the work begins, in words that follow "while", on a file of this name. */
  begin: (file: string, what: string) => void;
  /** The work went on. */
  beat: () => void;
}

let listener: ProgressListener | undefined;

/** Makes one listener hear what this thread decodes. */
export function listenToProgress(heard: ProgressListener): void {
  listener = heard;
}

/** Says which part of which file's decoding begins, in words that follow "while". */
export function begin(file: string, what: string): void {
  listener?.begin(file, what);
}

/** Says that the work goes on; loops that may run for seconds call it now and then. */
export function beat(): void {
  listener?.beat();
}
