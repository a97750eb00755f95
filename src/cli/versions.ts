import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import type { RunFacts } from "../run/folder.ts";
import { ROOT } from "./package.ts";

function packageVersion(path: string): string {
  return (JSON.parse(readFileSync(path, "utf8")) as { version: string }).version;
}

/** The version of aubade. */
export function ownVersion(): string {
  return packageVersion(join(ROOT, "package.json"));
}

/** Versions of the programs whose numbers a run depends on, by name. */
export function programVersions(): Record<string, string> {
  const versions: Record<string, string> = { aubade: ownVersion(), node: process.versions.node };
  try {
    versions["webgpu"] = packageVersion(
      createRequire(import.meta.url).resolve("webgpu/package.json"),
    );
  } catch {
    // A build without the Node device has no such package.
  }
  return versions;
}

/** The commit of the sources, where they are a git checkout; `+` marks changes that are not in it. */
export function sourceCommit(): string | null {
  // An installed package may lie in a checkout of somebody else.
  if (!existsSync(join(ROOT, ".git"))) return null;
  const git = (...args: string[]): string =>
    execFileSync("git", args, {
      cwd: ROOT,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    }).trim();
  try {
    const commit = git("rev-parse", "HEAD");
    return git("status", "--porcelain", "--untracked-files=no") === "" ? commit : `${commit}+`;
  } catch {
    return null;
  }
}

/** What of the programs differs between two sessions of a run; undefined for nothing. */
export function programChange(
  before: Pick<RunFacts, "versions" | "commit">,
  now: Pick<RunFacts, "versions" | "commit">,
): string | undefined {
  const all = ({ versions, commit }: typeof now): Record<string, string> => ({
    ...versions,
    ...(commit !== null && { commit: commit.slice(0, 9) + (commit.endsWith("+") ? "+" : "") }),
  });
  const [was, is] = [all(before), all(now)];
  const changes = Object.keys({ ...was, ...is })
    .filter((name) => was[name] !== is[name])
    .map((name) => `${name} was ${was[name] ?? "not known"} and is now ${is[name] ?? "not known"}`);
  if (changes.length === 0) return undefined;
  return `${changes.join("; ")}: the steps to come may not be those of a run that was never stopped.`;
}
