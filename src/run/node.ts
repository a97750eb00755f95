import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** Finds the folder of aubade's package: the clone's root, or the installed package. */
export function packageRoot(): string {
  return nearestPackage(dirname(fileURLToPath(import.meta.url)));
}

function nearestPackage(folder: string): string {
  return existsSync(join(folder, "package.json")) ? folder : nearestPackage(dirname(folder));
}

function packageVersion(path: string): string {
  return (JSON.parse(readFileSync(path, "utf8")) as { version: string }).version;
}

/** Versions of the programs whose numbers a run depends on, by name; empty in a page. */
export function programVersions(): Record<string, string> {
  const versions: Record<string, string> = {
    aubade: packageVersion(join(packageRoot(), "package.json")),
    node: process.versions.node,
  };
  try {
    versions["webgpu"] = packageVersion(
      createRequire(import.meta.url).resolve("webgpu/package.json"),
    );
  } catch {
    // A build without the Node device has no such package.
  }
  return versions;
}

/**
 * Returns the commit of the sources, where they are a git checkout; `+` marks changes that are not
 * in it.
 */
export function sourceCommit(): string | null {
  const root = packageRoot();
  // An installed package may lie in a checkout of somebody else.
  if (!existsSync(join(root, ".git"))) return null;
  const git = (...args: string[]): string =>
    execFileSync("git", args, {
      cwd: root,
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
