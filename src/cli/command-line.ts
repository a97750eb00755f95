import { runAubade } from "./aubade.ts";

/**
 * Runs what the user typed after `aubade` and ends with its exit code.
 *
 * An output that is closed at its other end (a terminal that is gone, a pipe into `head`) or full is
 * no failure: what is worth keeping is in files, and a run goes on.
 */
export async function launch(argv: readonly string[]): Promise<void> {
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {});
  process.exitCode = await runAubade(argv);
}
