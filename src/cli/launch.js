// Plain JavaScript: this runs before anything in the process can read TypeScript.
import { readTypeScript } from "./read-typescript.js";

/**
 * Runs one command of aubade under a driver that gives it a WebGPU adapter, and ends with its
 * exit code: `src/cli/commands/<command>.ts` exports `main(argv: string[]): Promise<number>`.
 *
 * @param {string} [command] The command's file name without its ending: "train", "eval". Left out:
 *   the first word that the user typed names it.
 */
export async function launch(command) {
  await readTypeScript();
  const argv = process.argv.slice(2);
  if (command === undefined) {
    const { runAubade } = await import("./aubade.ts");
    process.exitCode = await runAubade(argv);
    return;
  }
  const { runCommand } = await import("./run-command.ts");
  process.exitCode = await runCommand(command, argv);
}
