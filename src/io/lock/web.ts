import { CheckpointError } from "../../core/errors.ts";

/** A lock that is held. */
export interface Held {
  check(): void;
}

/** Not possible in a page, which has no files; always raises. */
export async function withLock<T>(
  path: string,
  _work: (held: Held) => Promise<T>,
  _options?: object,
): Promise<T> {
  throw new CheckpointError("no-files", `Cannot lock ${path}: a page has no file system.`, {
    hint: "Run this step in Node.",
  });
}
