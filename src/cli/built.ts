import { runAubade } from "./aubade.ts";

/** Runs what the user typed after `aubade` in an installed package, and ends with its exit code. */
export async function launch(argv: readonly string[]): Promise<void> {
  process.exitCode = await runAubade(argv);
}
