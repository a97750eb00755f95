import { printable } from "../core/quoted.ts";
import { AubadeError, ConfigError } from "../core/errors.ts";
import { endWithParent, runInPlace } from "./child.ts";
import { ensureAdapter } from "./driver/adapter.ts";

/**
 * Does work that needs a WebGPU adapter and returns its exit code: in this process where it has
 * one, else by running the whole command again in a child under the private driver.
 *
 * A command checks what the user typed before it asks for an adapter, so that a wrong word costs no
 * download, and prints nothing before it.
 */
export type WithAdapter = (work: () => Promise<number>) => Promise<number>;

/** For a process that has an adapter already. */
export const inThisProcess: WithAdapter = (work) => work();

/** The module of a command. */
export interface CommandModule {
  /** Does the command with what the user typed after its name and returns its exit code. */
  main(argv: string[], withAdapter: WithAdapter): Promise<number>;
}

const withAdapter: WithAdapter = async (work) => {
  const { here, node, env } = await ensureAdapter();
  if (here) return await work();
  const args = [...process.execArgv, ...process.argv.slice(1)];
  return await runInPlace(node, args, { ...process.env, ...env });
};

/**
 * Runs one command.
 *
 * @param load imports the module of the command.
 * @returns the exit code: the command's own, 2 for a wrong configuration, 1 for other errors.
 */
export async function runCommand(
  load: () => Promise<CommandModule>,
  argv: string[],
): Promise<number> {
  endWithParent();
  try {
    const command = await load();
    return await command.main(argv, withAdapter);
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
  process.stderr.write(`${printable(String(text))}\n`);
  return error instanceof ConfigError ? 2 : 1;
}
