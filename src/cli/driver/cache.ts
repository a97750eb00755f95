import { randomUUID } from "node:crypto";
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join } from "node:path";

import { DeviceError } from "../../core/errors.ts";
import { ROOT } from "../package.ts";

/** The folders that may hold aubade's cache, best first. Source: XDG base directories. */
export function cacheCandidates(env: NodeJS.ProcessEnv, home: string, root: string): string[] {
  const xdg = env["XDG_CACHE_HOME"];
  // The specification tells us to ignore a relative path.
  const user = xdg?.startsWith("/") ? join(xdg, "aubade") : join(home, ".cache", "aubade");
  return [user, join(root, ".cache")];
}

/**
 * The first cache folder that this user can write and run programs from, made when it is missing.
 *
 * @throws {DeviceError} when there is none.
 */
export async function cacheFolder(): Promise<string> {
  const candidates = cacheCandidates(process.env, homedir(), ROOT);
  for (const folder of candidates) {
    const trial = join(folder, `.writable-${randomUUID()}`);
    try {
      await mkdir(folder, { recursive: true });
      await writeFile(trial, "");
      await rm(trial);
      return folder;
    } catch {
      continue;
    }
  }
  throw new DeviceError("no-cache", `Cannot write a cache to ${candidates.join(" or ")}.`, {
    hint: "Set XDG_CACHE_HOME to a folder that you can write.",
  });
}

/** Reads a JSON file of ours; undefined when it is missing or damaged. */
export async function readJson(path: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(path, "utf8"));
  } catch {
    return undefined;
  }
}

/** Writes a JSON file whole or not at all. */
export async function writeJson(path: string, value: unknown): Promise<void> {
  const beside = `${path}.${randomUUID()}`;
  await mkdir(dirname(path), { recursive: true });
  await writeFile(beside, `${JSON.stringify(value, null, 2)}\n`);
  await rename(beside, path);
}
