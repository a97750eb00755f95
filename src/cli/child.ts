import { spawn } from "node:child_process";
import { Socket } from "node:net";
import { constants } from "node:os";

/** Signals that a parent passes on to the child that does its work. */
const FORWARDED = ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGCONT", "SIGWINCH"] as const;

/** Names, to a child, the process whose end of a pipe at `LEASH_FD` says that it still lives. */
const LEASH = "AUBADE_LEASH";
const LEASH_FD = 3;

/**
 * Runs a program in place of this process: same terminal, every signal passed on once, and the
 * same end. A child that dies of a signal makes this process die of it too.
 *
 * The child leads a session of its own. In the same one, Ctrl-C would reach it twice: from the
 * terminal and through us, and a second Ctrl-C means "now, without a checkpoint".
 *
 * @returns the child's exit code.
 */
export async function runInPlace(
  program: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
): Promise<number> {
  const windows = process.platform === "win32";
  const child = spawn(program, args, {
    env: { ...env, [LEASH]: String(process.pid) },
    stdio: ["inherit", "inherit", "inherit", "pipe"],
    detached: !windows,
  });
  // A child that closes its end of the leash does no harm.
  child.stdio[LEASH_FD]?.on("error", () => {});
  // A console of Windows tells the child by itself, and we only have to outlive it.
  const signals = windows ? (["SIGINT"] as const) : FORWARDED;
  const forward = (signal: NodeJS.Signals): void => {
    if (!windows) child.kill(signal);
  };
  for (const signal of signals) process.on(signal, forward);
  try {
    return await new Promise<number>((resolve, reject) => {
      child.once("error", reject);
      child.once("exit", (code, signal) => {
        if (signal === null) return resolve(code ?? 1);
        for (const each of signals) process.off(each, forward);
        process.kill(process.pid, signal);
        // Still here: this process outlives that signal, so say it as a shell would.
        setTimeout(() => resolve(128 + constants.signals[signal]), 100);
      });
    });
  } finally {
    for (const signal of signals) process.off(signal, forward);
  }
}

/**
 * In a child of `runInPlace`: ends this process at once when its parent is gone (killed hard, so
 * that it could pass nothing on), because nobody could stop it any more.
 */
export function endWithParent(): void {
  const parent = process.env[LEASH];
  delete process.env[LEASH];
  if (parent === undefined || Number(parent) !== process.ppid) return;
  const leash = new Socket({ fd: LEASH_FD, readable: true, writable: false });
  leash.on("error", () => {});
  leash.on("close", () => process.kill(process.pid, "SIGKILL"));
  leash.resume();
  leash.unref();
}
