import { CheckpointError } from "../core/errors.ts";

/** Not possible in a page, which has no folders; always raises. */
export function packageRoot(): string {
  throw new CheckpointError("no-files", "A page has no folder of the package.");
}

/** Versions of the programs whose numbers a run depends on, by name; empty in a page. */
export function programVersions(): Record<string, string> {
  return {};
}

/** Returns the commit of the sources, which a page does not have. */
export function sourceCommit(): string | null {
  return null;
}
