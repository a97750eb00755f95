import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

import { isSoftware } from "../../gpu/capabilities.ts";

/** The output of a program, and how it ended. */
export interface Finished {
  /** The exit code; null when a signal, such as that of a time-out, ended it. */
  code: number | null;
  stdout: string;
  stderr: string;
}

/**
 * Runs a program to its end without a terminal; a program that cannot start ends with code 127.
 *
 * @param timeoutMs after which it is killed.
 */
export async function runQuietly(
  program: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = process.env,
  timeoutMs = 600_000,
): Promise<Finished> {
  return await new Promise((resolve) => {
    const child = spawn(program, args, { env, stdio: ["ignore", "pipe", "pipe"] });
    // Not the option of `spawn`: its timer outlives a program that cannot start.
    const timer = setTimeout(() => child.kill("SIGKILL"), timeoutMs);
    const finish = (finished: Finished): void => {
      clearTimeout(timer);
      resolve(finished);
    };
    let stdout = "";
    let stderr = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
    child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
    child.once("error", (error) => finish({ code: 127, stdout, stderr: error.message }));
    child.once("close", (code) => finish({ code, stdout, stderr }));
  });
}

/** The findings of a process that asked Dawn for an adapter. */
export interface Probe {
  /** True when a compute shader ran and gave the right numbers. */
  works: boolean;
  /** True when the adapter computes on the processor. */
  software: boolean;
  /** True when every tier can be tried on it: f16, subgroups, subgroup matrices. */
  allTiers: boolean;
  /** The adapter's own description; "" when there is none. */
  label: string;
  /** Why it does not work, in the driver's words; "" when it does. */
  reason: string;
}

const TIERS = ["shader-f16", "subgroups", "chromium-experimental-subgroup-matrix"];
const PROBE = fileURLToPath(new URL("../probe.js", import.meta.url));

/**
 * Tries WebGPU in a child process: a driver that is broken, too old or missing may end or hang the
 * process that loads it.
 *
 * @param node the program to try it with, and `env` its whole environment.
 */
export async function probe(node: string, env: NodeJS.ProcessEnv): Promise<Probe> {
  return readProbe(await runQuietly(node, [PROBE], env, 60_000));
}

/** Reads what `probe.js` left behind, even when the driver ended it on its way out. */
export function readProbe({ code, stdout, stderr }: Finished): Probe {
  const report = parseReport(stdout);
  const info = report?.info ?? {};
  const works = report?.works === true;
  return {
    works,
    software: report?.info !== undefined && isSoftware(info),
    allTiers: TIERS.every((name) => report?.features?.includes(name)),
    label: info.description || info.device || info.vendor || "",
    reason: works ? "" : explain(report, code, stderr),
  };
}

interface Report {
  found: boolean;
  works: boolean;
  info?: Partial<GPUAdapterInfo>;
  features?: string[];
}

function parseReport(stdout: string): Report | undefined {
  try {
    return JSON.parse(stdout) as Report;
  } catch {
    return undefined;
  }
}

/** Returns the first line in which the driver says something is wrong, or how the process ended. */
function explain(report: Report | undefined, code: number | null, stderr: string): string {
  const lines = stderr.split("\n").map((line) => line.trim());
  const said =
    lines.find((line) => /cannot open shared object|not found|error/i.test(line)) ??
    lines.find((line) => line !== "" && !line.includes("artificially reduced"));
  if (said !== undefined) return said.replace(/^Warning: /, "").slice(0, 300);
  if (report?.found === false) return "no Vulkan driver offers an adapter";
  if (report !== undefined) return "a compute shader gave wrong numbers";
  return code === null ? "the driver did not answer in 60 s" : `the driver ended with code ${code}`;
}
