import { randomUUID } from "node:crypto";
import { lstat, mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join } from "node:path";

import { makeFolder } from "#io";
import { DeviceError } from "../../core/errors.ts";
import { ROOT } from "../package.ts";

/** Returns the folders that may hold aubade's cache, best first. Source: XDG base directories. */
export function cacheCandidates(env: NodeJS.ProcessEnv, home: string, root: string): string[] {
  const xdg = env["XDG_CACHE_HOME"];
  // The specification tells us to ignore a relative path.
  const user = xdg?.startsWith("/") ? join(xdg, "aubade") : join(home, ".cache", "aubade");
  return [user, join(root, ".cache")];
}

/**
 * Returns the first cache folder that this user can write and run programs from, made when it is
 * missing.
 *
 * @throws {DeviceError} `no-cache` when there is none, `cache-open` when others can write to it.
 */
export async function cacheFolder(): Promise<string> {
  const candidates = cacheCandidates(process.env, homedir(), ROOT);
  for (const folder of candidates) {
    const trial = join(folder, `.writable-${randomUUID()}`);
    try {
      await makeFolder(dirname(folder));
      await mkdir(folder, { mode: 0o700 }).catch(() => {});
      await writeFile(trial, "");
      await rm(trial);
    } catch {
      continue;
    }
    for (let at = dirname(folder); ; at = dirname(at)) {
      await refuseOpen(at, folder, true);
      if (dirname(at) === at) break;
    }
    await refuseOpen(folder, folder);
    return folder;
  }
  throw new DeviceError("no-cache", `Cannot write a cache to ${candidates.join(" or ")}.`, {
    hint: "Set XDG_CACHE_HOME to a folder that you can write.",
  });
}

/**
 * Refuses a part of the cache that another user could have written: programs of it are run.
 *
 * @param above whether the path is a folder above the cache, where a sticky bit will do.
 * @throws {DeviceError} `cache-open` naming the path, its owner and mode, and the remedy.
 */
export async function refuseOpen(path: string, cache: string, above = false): Promise<void> {
  const uid = process.getuid?.();
  // Windows has no modes, and keeps a user's cache in the user's own profile.
  if (uid === undefined) return;
  const found = await lstat(path);
  const { uid: owner, gid, mode } = found;
  const foreign = owner !== uid && owner !== 0;
  const safe = found.isSymbolicLink() || (above && (mode & 0o1000) !== 0);
  // A group of the same number as its user has no other members.
  const byGroup = (mode & 0o020) !== 0 && !above && gid !== 0 && gid !== uid;
  const byGroupOfRoot = (mode & 0o020) !== 0 && !above && gid === 0 && uid !== 0;
  const open = !safe && ((mode & 0o002) !== 0 || byGroup || byGroupOfRoot);
  if (!foreign && !open) return;
  const bits = (mode & 0o7777).toString(8);
  const hint = foreign
    ? `Remove ${path}, or set XDG_CACHE_HOME to a folder of your own.`
    : `Remove ${cache} if you do not trust its contents; else run chmod go-w ${path}, or set XDG_CACHE_HOME to a folder of your own.`;
  throw new DeviceError(
    "cache-open",
    `Others can write to aubade's cache: ${path} belongs to user ${owner} and has mode ${bits}; programs in it would be run.`,
    { hint },
  );
}

/**
 * Refuses a folder of the cache in which another user could have written anything.
 *
 * @throws {DeviceError} `cache-open`.
 */
export async function refuseOpenTree(folder: string, cache: string): Promise<void> {
  await refuseOpen(folder, cache);
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) await refuseOpenTree(path, cache);
    else await refuseOpen(path, cache);
  }
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
  await makeFolder(dirname(path));
  await writeFile(beside, `${JSON.stringify(value, null, 2)}\n`);
  await rename(beside, path);
}
