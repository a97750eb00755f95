import { existsSync } from "node:fs";
import { copyFile, mkdir, mkdtemp, readFile, readdir, readlink } from "node:fs/promises";
import { realpath, rename, rm, statfs, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { fileDigest } from "#io";
import { DeviceError } from "../../core/errors.ts";
import { fetchPackages, megabytes, readAptSources } from "./apt.ts";
import { cacheFolder, readJson, refuseOpen, refuseOpenTree, writeJson } from "./cache.ts";
import { driverArchive, helpCommand, parseOsRelease } from "./distro.ts";
import type { AptSource, Distro } from "./distro.ts";
import { MACHINES, nodeUnder } from "./driver-node.ts";
import type { SoftwareDriver } from "./driver-node.ts";
import { withLock } from "#lock";
import { probe, runQuietly } from "./probe.ts";

/** Changes whenever folders made by older code can no longer be used. */
const FORMAT = 1;
const PACKAGES = ["mesa-vulkan-drivers", "libvulkan1", "libstdc++6", "libxext6", "patchelf"];
/** Bytes that fetching needs on the disk for a moment; about half remain. */
const ROOM = 600e6;

/**
 * Returns the driver that an earlier run left in the cache, or undefined; one that is damaged is
 * none.
 *
 * @throws {DeviceError} `cache-open` when another user could have written to it.
 */
export async function findSoftwareDriver(): Promise<SoftwareDriver | undefined> {
  const cache = await cacheFolder();
  const home = join(cache, "driver");
  if (existsSync(home)) await refuseOpen(home, cache);
  const names = await readdir(home).catch(() => []);
  const newestFirst = names.sort((a, b) => b.localeCompare(a, "en", { numeric: true }));
  for (const name of newestFirst) {
    const folder = join(home, name);
    const mark = await readJson(join(folder, "driver.json"));
    if (!isMark(mark)) continue;
    const { format, arch, mesa } = mark;
    // A driver names its own folder, so one that was moved with its cache is useless.
    if (format !== FORMAT || arch !== process.arch || mark.folder !== folder) continue;
    await refuseOpenTree(folder, cache);
    if (await isIntact(mark)) return { folder, mesa };
  }
  return undefined;
}

interface Mark extends SoftwareDriver {
  format: number;
  arch: string;
  source: string;
  fetchedBytes: number;
  /** SHA-256 of every file by its path in the folder; absent where an older aubade fetched it. */
  files?: Record<string, string>;
}

/** Digests of a driver's own files; copies of node are made anew when need be. */
async function digestsOf(folder: string): Promise<Record<string, string>> {
  const files: Record<string, string> = {};
  for (const part of ["lib", "bin"]) {
    for (const entry of await readdir(join(folder, part), { withFileTypes: true })) {
      const name = `${part}/${entry.name}`;
      if (entry.isFile()) files[name] = await fileDigest(join(folder, name));
    }
  }
  files["lvp.json"] = await fileDigest(join(folder, "lvp.json"));
  return files;
}

/** Tells whether a driver's files are those that were fetched. */
async function isIntact(mark: Mark): Promise<boolean> {
  try {
    const now = await digestsOf(mark.folder);
    if (mark.files === undefined) {
      await writeJson(join(mark.folder, "driver.json"), { ...mark, files: now }).catch(() => {});
      return true;
    }
    const before = Object.entries(mark.files);
    return before.every(([name, digest]) => now[name] === digest);
  } catch {
    return false;
  }
}

function isMark(value: unknown): value is Mark {
  return typeof value === "object" && value !== null && "mesa" in value && "folder" in value;
}

/**
 * Returns the driver in the cache, fetched now when there is none. One process fetches, others
 * wait.
 *
 * Nothing outside the cache changes and no rights are needed: apt fetches into a folder of ours and
 * checks the distribution's signature; the folder gets its final name when it is whole, and its
 * mark after a compute shader ran on it.
 *
 * @param say receives lines for the user.
 * @throws {DeviceError} when this system has no archive that aubade knows, or cannot reach it.
 */
export async function fetchSoftwareDriver(say: (line: string) => void): Promise<SoftwareDriver> {
  const cache = await cacheFolder();
  return await withLock(
    join(cache, "driver.lock"),
    async () => (await findSoftwareDriver()) ?? (await build(cache, say)),
    { onWait: () => say("waiting for another aubade that is fetching the software driver") },
  );
}

/** Reads which distribution this is, and its apt sources. */
export async function readSystem(): Promise<{ distro: Distro; sources: AptSource[] }> {
  const files = ["/etc/os-release", "/usr/lib/os-release"];
  const text = await readFile(files.find((file) => existsSync(file)) ?? "", "utf8").catch(() => "");
  return { distro: parseOsRelease(text), sources: await readAptSources() };
}

async function build(cache: string, say: (line: string) => void): Promise<SoftwareDriver> {
  const { distro, sources } = await readSystem();
  const machine = MACHINES[process.arch];
  const archive = machine && driverArchive(distro, sources, machine.arch);
  if (machine === undefined || archive === undefined) {
    throw new DeviceError("no-archive", `aubade knows no driver archive for ${distro.name}.`);
  }
  const { bavail, bsize } = await statfs(cache);
  if (bavail * bsize < ROOM) {
    const free = megabytes(bavail * bsize);
    throw new DeviceError(
      "disk-full",
      `${cache} has ${free} MB free of ${megabytes(ROOM)} needed.`,
    );
  }
  say("no GPU found: fetching a software driver, once, into aubade's own cache");
  const start = performance.now();
  const home = join(cache, "driver");
  await mkdir(home, { recursive: true });
  await removeLeftovers(home);
  const work = await mkdtemp(join(home, ".work-"));
  try {
    const options = { archive, packages: PACKAGES, arch: machine.arch, folder: work, say };
    const { debs, bytes } = await fetchPackages(options);
    const mesa = mesaVersion(debs);
    const folder = join(home, `mesa-${mesa}-${process.arch}`);
    await unpack(debs, work, machine.triplet);
    await writeIcd(work, folder);
    await rm(folder, { recursive: true, force: true });
    await rename(join(work, "driver"), folder);
    const driver = { folder, mesa };
    const { node, env } = await nodeUnder(driver, []);
    const found = await probe(node, { ...process.env, ...env });
    if (!found.works) {
      await rm(folder, { recursive: true, force: true });
      throw new DeviceError("driver-failed", `Mesa ${mesa} does not run here: ${found.reason}.`);
    }
    const mark: Mark = {
      format: FORMAT,
      ...driver,
      arch: process.arch,
      source: `${archive.target} of ${distro.family}`,
      fetchedBytes: bytes,
      files: await digestsOf(folder),
    };
    await writeJson(join(folder, "driver.json"), mark);
    const seconds = ((performance.now() - start) / 1000).toFixed(0);
    say(`software driver Mesa ${mesa} ready in ${seconds} s (${megabytes(bytes)} MB fetched)`);
    return driver;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** Removes what a killed process left; only called by the holder of the lock. */
async function removeLeftovers(home: string): Promise<void> {
  for (const name of await readdir(home)) {
    const whole = existsSync(join(home, name, "driver.json"));
    if (!whole) await rm(join(home, name), { recursive: true, force: true });
  }
}

/** Mesa's version from the name of its package, without the distribution's own suffix. */
export function mesaVersion(debs: readonly string[]): string {
  for (const deb of debs) {
    const match = /mesa-vulkan-drivers_(?:\d+%3a)?([\d.]+)/.exec(deb);
    if (match) return match[1]!;
  }
  throw new DeviceError("no-mesa", "The archive gave no mesa-vulkan-drivers.");
}

/** Says whether a library is kept: all but Vulkan layers and the drivers of GPUs. */
export function isNeeded(name: string): boolean {
  return /\.so(\.[\w.-]+)?$/.test(name) && !/^libvulkan_(?!lvp\.)|^libVkLayer_/.test(name);
}

/**
 * Unpacks packages and keeps their shared libraries in one folder, `driver/lib`. Its name matters:
 * libLLVM looks for the libraries below it in `$ORIGIN/../lib` and nowhere else of ours.
 */
async function unpack(debs: readonly string[], work: string, triplet: string): Promise<void> {
  const root = join(work, "root");
  const lib = join(work, "driver/lib");
  const bin = join(work, "driver/bin");
  await Promise.all([root, lib, bin].map((folder) => mkdir(folder, { recursive: true })));
  for (const deb of debs) {
    const { code, stderr } = await runQuietly("dpkg-deb", ["-x", deb, root]);
    if (code !== 0)
      throw new DeviceError("unpack-failed", `Cannot unpack ${deb}: ${stderr.trim()}`);
  }
  for (const from of [join(root, "usr/lib", triplet), join(root, "lib", triplet)]) {
    const entries = await readdir(from, { withFileTypes: true }).catch(() => []);
    for (const entry of entries.filter(({ name }) => isNeeded(name))) {
      const path = join(from, entry.name);
      const leaves = entry.isSymbolicLink() && (await readlink(path)).includes("/");
      if (!leaves) await rename(path, join(lib, entry.name));
      // Links out of the folder (to /usr/lib/llvm-N/lib) become copies of what they name.
      else await copyFile(await realpath(path), join(lib, entry.name)).catch(() => {});
    }
  }
  await rename(join(root, "usr/bin/patchelf"), join(bin, "patchelf"));
}

/** Writes the file by which the Vulkan loader finds the driver, with the path it will have. */
async function writeIcd(work: string, folder: string): Promise<void> {
  const icds = join(work, "root/usr/share/vulkan/icd.d");
  const name = (await readdir(icds)).find((each) => /^lvp_icd.*\.json$/.test(each));
  if (name === undefined) throw new DeviceError("no-mesa", "This Mesa has no software driver.");
  const icd = JSON.parse(await readFile(join(icds, name), "utf8")) as {
    ICD: Record<string, unknown>;
  };
  icd.ICD["library_path"] = join(folder, "lib/libvulkan_lvp.so");
  await writeFile(join(work, "driver/lvp.json"), JSON.stringify(icd, null, 2));
}

/**
 * Returns the error that ends a run without any adapter: why, and the one command that helps.
 *
 * @param cause what stopped the software driver from being fetched.
 */
export function noAdapterError(
  distro: Distro,
  sources: readonly AptSource[],
  systemReason: string,
  cause: unknown,
): DeviceError {
  const why = cause instanceof Error ? cause.message : String(cause);
  const command = helpCommand(distro, [...sources]);
  return new DeviceError(
    "no-adapter",
    `Found no GPU that WebGPU can use (${systemReason}), and could not fetch a software driver: ` +
      `${why.replace(/\.$/, "")}.`,
    {
      hint:
        command === undefined
          ? "Install the Vulkan driver of your GPU, or Mesa's software driver (lavapipe) 25 or newer."
          : `Run: ${command}`,
      cause,
    },
  );
}
