import { AubadeError, ConfigError } from "../core/errors.ts";
import { ensureAdapter } from "./driver/adapter.ts";
import { endWithParent, runInPlace } from "./child.ts";

/** What each file of a command exports. */
export interface CommandModule {
  /** Does the command and returns its exit code. */
  main(argv: string[]): Promise<number>;
}

/** Asks that print something and need no adapter. */
const ASKS = ["-h", "--help", "-V", "--version"];

/**
 * Runs one command in a process that has an adapter: this one, or a child under the private driver.
 *
 * @param command the name of its file in `commands/`; `argv` what the user typed after it.
 * @param adapter false for a command that needs none.
 * @returns the exit code: the command's own, 2 for a wrong configuration, 1 for other errors.
 */
export async function runCommand(command: string, argv: string[], adapter = true): Promise<number> {
  endWithParent();
  try {
    if (adapter && argv.length > 0 && !argv.some((word) => ASKS.includes(word))) {
      const { here, node, env } = await ensureAdapter();
      if (!here) {
        const args = [...process.execArgv, ...process.argv.slice(1)];
        return await runInPlace(node, args, { ...process.env, ...env });
      }
    }
    const url = new URL(`./commands/${command}.ts`, import.meta.url);
    const module = (await import(url.href)) as CommandModule;
    return await module.main(argv);
  } catch (error) {
    return reportError(error);
  }
}

/**
 * Runs any script in a child with the best adapter there is, with every tier where one can be had;
 * without an adapter it runs as it is, after a warning.
 *
 * @param argv the script and its arguments.
 * @returns the script's exit code.
 */
export async function runScript(argv: string[]): Promise<number> {
  let node = process.execPath;
  let env: NodeJS.ProcessEnv = process.env;
  try {
    const choice = await ensureAdapter({ allTiers: true });
    node = choice.node;
    env = { ...process.env, ...choice.env };
  } catch (error) {
    reportError(error);
  }
  return await runInPlace(node, [...process.execArgv, ...argv], env);
}

/** Prints an error as its reader needs it and returns the exit code that goes with it. */
export function reportError(error: unknown): number {
  const known = error instanceof AubadeError;
  const debug = process.env["AUBADE_DEBUG"] !== undefined;
  const text = known && !debug ? error.message : error instanceof Error ? error.stack : error;
  process.stderr.write(`${String(text)}\n`);
  return error instanceof ConfigError ? 2 : 1;
}
