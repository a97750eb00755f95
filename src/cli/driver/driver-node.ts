import { createHash, randomUUID } from "node:crypto";
import { constants, existsSync } from "node:fs";
import { copyFile, mkdir, readFile, realpath, rename, rm, stat, writeFile } from "node:fs/promises";
import { delimiter, dirname, join } from "node:path";

import { DeviceError } from "../../core/errors.ts";
import { runQuietly } from "./probe.ts";

/** A software Vulkan driver in aubade's cache, with everything below it, its own libc included. */
export interface SoftwareDriver {
  /** Its folder, which its own files name: it cannot be moved. */
  folder: string;
  /** Mesa's version, such as "26.1.6". */
  mesa: string;
}

/** How Debian names what belongs to one kind of processor. */
export interface Machine {
  /** Of packages, such as "amd64". */
  arch: string;
  /** Of the folder of libraries, such as "x86_64-linux-gnu". */
  triplet: string;
  /** The program that loads every other. */
  loader: string;
}

/** The processors for which Dawn is built on Linux, by Node's name. */
export const MACHINES: Readonly<Record<string, Machine>> = {
  x64: { arch: "amd64", triplet: "x86_64-linux-gnu", loader: "ld-linux-x86-64.so.2" },
  arm64: { arch: "arm64", triplet: "aarch64-linux-gnu", loader: "ld-linux-aarch64.so.1" },
};

/** A node that runs on a driver's own libraries, and the environment that it needs. */
export interface DriverNode {
  node: string;
  /** To be laid over the environment of this process. */
  env: Record<string, string>;
}

/** The variable that tells a process which driver of ours it runs on, by its folder. */
export const DRIVER_VARIABLE = "AUBADE_DRIVER";

/**
 * Returns the node of this process, copied once per version to run on the driver's own libraries: a
 * driver from a newer system needs a newer libc, and a process has only one.
 *
 * @param systemIcds driver files of the system, tried before the software driver.
 */
export async function nodeUnder(
  { folder }: SoftwareDriver,
  systemIcds: readonly string[],
): Promise<DriverNode> {
  const node = await copyNode(folder);
  const run = join(folder, "run");
  await mkdir(run, { recursive: true, mode: 0o700 });
  return {
    node,
    env: {
      [DRIVER_VARIABLE]: folder,
      VK_DRIVER_FILES: [...systemIcds, join(folder, "lvp.json")].join(delimiter),
      XDG_RUNTIME_DIR: process.env["XDG_RUNTIME_DIR"] ?? run,
      MESA_SHADER_CACHE_DIR:
        process.env["MESA_SHADER_CACHE_DIR"] ?? join(folder, "../../../shaders"),
    },
  };
}

/** Beside a copy of node: the path of what it is a copy of. */
const ORIGINAL = "original";

/** Returns the node that the user started, even when this process runs on a copy of it. */
async function originalNode(): Promise<string> {
  const node = await realpath(process.execPath);
  const beside = join(dirname(node), ORIGINAL);
  return existsSync(beside) ? await readFile(beside, "utf8") : node;
}

async function copyNode(folder: string): Promise<string> {
  const original = await originalNode();
  const { size, mtimeMs } = await stat(original);
  const key = createHash("sha256").update(`${original} ${size} ${mtimeMs}`).digest("hex");
  const home = join(folder, "node", `${process.version}-${key.slice(0, 8)}`);
  const node = join(home, "node");
  if (existsSync(node)) return node;
  const beside = `${home}.${randomUUID()}`;
  await mkdir(beside, { recursive: true });
  const copy = join(beside, "node");
  await copyFile(original, copy, constants.COPYFILE_FICLONE);
  const lib = join(folder, "lib");
  const loader = join(lib, MACHINES[process.arch]!.loader);
  const patchelf = [loader, "--library-path", lib, join(folder, "bin/patchelf")];
  // In this order: patchelf 0.18 breaks the file the other way round.
  for (const args of [
    ["--force-rpath", "--set-rpath", lib],
    ["--set-interpreter", loader],
  ]) {
    const { code, stderr } = await runQuietly(patchelf[0]!, [...patchelf.slice(1), ...args, copy]);
    if (code !== 0) {
      await rm(beside, { recursive: true, force: true });
      throw new DeviceError("patch-failed", `Cannot copy node for the driver: ${stderr.trim()}.`);
    }
  }
  await writeFile(join(beside, ORIGINAL), original);
  // Another process may have been faster; its copy is as good as ours.
  await rename(beside, home).catch(() => rm(beside, { recursive: true, force: true }));
  return node;
}
