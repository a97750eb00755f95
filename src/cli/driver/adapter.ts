import { createHash } from "node:crypto";
import { accessSync, constants, existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { homedir } from "node:os";
import { dirname, join } from "node:path";

import { cacheFolder, readJson, writeJson } from "./cache.ts";
import { DRIVER_VARIABLE, nodeUnder } from "./driver-node.ts";
import type { DriverNode, SoftwareDriver } from "./driver-node.ts";
import { probe } from "./probe.ts";
import type { Probe } from "./probe.ts";
import {
  fetchSoftwareDriver,
  findSoftwareDriver,
  noAdapterError,
  readSystem,
} from "./software-driver.ts";

/** How to run something so that WebGPU finds an adapter. */
export interface AdapterChoice extends DriverNode {
  /** True when this very process is already right, so that nothing must be started. */
  here: boolean;
}

/** The wishes of a caller for the adapter. */
export interface AdapterOptions {
  /** Prefer a software adapter with every tier over one without (for tests); a GPU still wins. */
  allTiers?: boolean;
  /** Receives lines for the user; by default they go to standard error. */
  say?: (line: string) => void;
}

/**
 * The drivers to run on: the system's drivers, the private one, a private one yet to fetch, or
 * nothing.
 */
export type Decision = "system" | "private" | "fetch" | "none";

/**
 * Chooses between what the system offers and the private driver: a GPU first, then software that
 * the system already has, then the private driver.
 *
 * @param own what the private driver offers; "absent" when it is not there yet, "unavailable" when
 *   it cannot be fetched.
 * @param allTiers prefer the private driver over software that lacks a tier.
 */
export function decide(
  system: Probe,
  own: Probe | "absent" | "unavailable",
  allTiers: boolean,
): Decision {
  if (system.works && !system.software) return "system";
  if (typeof own === "object" && own.works && !own.software) return "private";
  if (system.works && (system.allTiers || !allTiers)) return "system";
  if (own === "absent") return "fetch";
  if (typeof own === "object" && own.works) return "private";
  return system.works ? "system" : "none";
}

/** A decision as the cache keeps it, by the fingerprint of everything that could change it. */
interface Remembered {
  decision: "system" | "private";
  /** Driver files of the system that the private loader uses too. */
  icds: string[];
  /** The line to print, "" for a GPU. */
  notice: string;
}

/**
 * Finds out how a process of this machine gets a WebGPU adapter, and fetches the private software
 * driver when nothing else will do. A GPU always wins. The answer is kept in the cache until a
 * driver, a device or node changes.
 *
 * @throws {DeviceError} when there is no adapter and none can be fetched; the message names the one
 *   command that helps.
 */
export async function ensureAdapter(options: AdapterOptions = {}): Promise<AdapterChoice> {
  const { allTiers = false, say = (line: string) => void process.stderr.write(`${line}\n`) } =
    options;
  const mine = process.env[DRIVER_VARIABLE];
  const here: AdapterChoice = { here: true, node: process.execPath, env: {} };
  if (mine !== undefined && process.execPath.startsWith(`${mine}/`)) return here;
  // macOS and Windows bring an adapter with the system; there Dawn's own word is enough.
  if (process.platform !== "linux") return here;

  const file = join(await cacheFolder(), "adapter.json");
  const key = fingerprint(allTiers);
  const memory = ((await readJson(file)) ?? {}) as Record<string, Remembered>;
  const known = memory[key];
  const driver = await findSoftwareDriver();
  if (known?.decision === "system" || (known?.decision === "private" && driver !== undefined)) {
    if (known.notice !== "") say(known.notice);
    if (known.decision === "system") return here;
    return { here: false, ...(await nodeUnder(driver!, known.icds)) };
  }
  const { choice, remember } = await choose(driver, allTiers, say);
  if (remember.notice !== "") say(remember.notice);
  // The newest few are enough: a machine seldom has more than two nodes.
  const recent = Object.entries(memory).slice(-7);
  await writeJson(file, { ...Object.fromEntries(recent), [key]: remember });
  return choice ?? here;
}

interface Chosen {
  /** Undefined when this process itself is right. */
  choice: AdapterChoice | undefined;
  remember: Remembered;
}

async function choose(
  found: SoftwareDriver | undefined,
  allTiers: boolean,
  say: (line: string) => void,
): Promise<Chosen> {
  const system = await probe(process.execPath, systemEnvironment());
  const icds = hasGpuDevice() ? icdFiles().filter((icd) => !/lvp_icd/.test(icd)) : [];
  let driver = found;
  let own = driver === undefined ? undefined : await tryDriver(driver, icds);
  let decision = decide(system, own?.probe ?? "absent", allTiers);
  if (decision === "fetch") {
    try {
      driver = await fetchSoftwareDriver(say);
      own = await tryDriver(driver, icds);
      decision = decide(system, own.probe, allTiers);
    } catch (error) {
      decision = decide(system, "unavailable", allTiers);
      if (decision === "none") {
        const { distro, sources } = await readSystem();
        throw noAdapterError(distro, sources, system.reason, error);
      }
      say(`no software driver with every tier: ${(error as Error).message}`);
    }
  }
  if (decision === "none") {
    const { distro, sources } = await readSystem();
    const reason = own?.probe.reason ?? "";
    throw noAdapterError(distro, sources, system.reason, `Mesa does not run here: ${reason}`);
  }
  const used = decision === "private" ? own!.probe : system;
  const hidden = hiddenGpu(used, existsSync("/dev/nvidia0"), system.reason);
  if (hidden !== undefined) say(hidden);
  return {
    choice: decision === "private" ? { here: false, ...own!.run } : undefined,
    remember: {
      decision: decision as "system" | "private",
      icds: own?.icds ?? [],
      notice: noticeFor(used, decision === "private" ? driver?.mesa : undefined),
    },
  };
}

/** Tries the private driver: with the system's GPU drivers under its loader, then alone. */
async function tryDriver(
  driver: SoftwareDriver,
  icds: string[],
): Promise<{ probe: Probe; run: DriverNode; icds: string[] }> {
  // A container often has a GPU's driver but no Vulkan loader; ours comes with one.
  for (const list of icds.length > 0 ? [icds, []] : [[]]) {
    const run = await nodeUnder(driver, list);
    const result = await probe(run.node, { ...process.env, ...run.env });
    const last = list.length === 0;
    if (last || (result.works && !result.software)) return { probe: result, run, icds: list };
  }
  throw new Error("unreachable");
}

/**
 * Returns the line that says an adapter is software, or "" for a GPU, which the device itself
 * announces.
 */
export function noticeFor(used: Probe, privateMesa: string | undefined): string {
  if (!used.software) return "";
  const mesa = privateMesa ?? /Mesa ([\d.]+)/.exec(used.label)?.[1];
  const name = mesa === undefined ? used.label : `Mesa ${mesa}`;
  return `no GPU found: running on the software driver ${name} (slow; for trying things out)`;
}

/**
 * Returns the advice for the owner of an NVIDIA GPU that Vulkan does not reach; undefined when all
 * is well.
 */
export function hiddenGpu(used: Probe, nvidia: boolean, reason: string): string | undefined {
  if (!used.software || !nvidia) return undefined;
  return (
    `an NVIDIA GPU is here (/dev/nvidia0) but Vulkan does not offer it${reason && ` (${reason})`}: ` +
    "install the driver's graphics libraries (libnvidia-gl-<version>, libvulkan1), and start a " +
    "container with NVIDIA_DRIVER_CAPABILITIES=all"
  );
}

/** Returns the environment without what an outer aubade laid over it. */
export function systemEnvironment(): NodeJS.ProcessEnv {
  const env = { ...process.env };
  if (env[DRIVER_VARIABLE] !== undefined) delete env["VK_DRIVER_FILES"];
  delete env[DRIVER_VARIABLE];
  return env;
}

/** Driver files where the Vulkan loader looks for them. Source: Vulkan-Loader, LoaderDriverInterface.md. */
function icdFiles(): string[] {
  const env = process.env;
  const data = (env["XDG_DATA_DIRS"] ?? "/usr/local/share:/usr/share").split(":");
  const roots = [
    env["XDG_CONFIG_HOME"] ?? join(homedir(), ".config"),
    "/etc/xdg",
    "/usr/local/etc",
    "/etc",
    env["XDG_DATA_HOME"] ?? join(homedir(), ".local/share"),
    ...data,
  ];
  const files = new Set<string>();
  for (const folder of roots.map((root) => join(root, "vulkan/icd.d"))) {
    for (const name of list(folder)) if (name.endsWith(".json")) files.add(join(folder, name));
  }
  return [...files];
}

/** Tells whether the kernel shows a device that may be a GPU. */
function hasGpuDevice(): boolean {
  return list("/dev").some((name) => /^nvidia\d|^dxg$/.test(name)) || list("/dev/dri").length > 0;
}

/**
 * Returns a digest of everything that could change the choice: drivers, devices, rights, Dawn and
 * node.
 */
function fingerprint(allTiers: boolean): string {
  const dawn = dirname(createRequire(import.meta.url).resolve("webgpu"));
  const nodes = list("/dev/dri").map((name) => join("/dev/dri", name));
  const nvidia = list("/dev").filter((name) => /^nvidia|^dxg$/.test(name));
  const overrides = Object.entries(systemEnvironment()).filter(([name]) => /^(VK|LD)_/.test(name));
  const parts = [
    allTiers,
    [process.execPath, process.version, mark(process.execPath)],
    mark(join(dawn, "dist", `linux-${process.arch}`, "dawn.node")),
    icdFiles().map((file) => [file, mark(file)]),
    mark("/etc/ld.so.cache"),
    nodes.map((node) => [node, mayUse(node)]),
    nvidia.map((name) => [name, mayUse(join("/dev", name))]),
    text("/proc/driver/nvidia/version"),
    overrides,
  ];
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex").slice(0, 16);
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder).sort();
  } catch {
    return [];
  }
}

function mark(file: string): string {
  const info = statSync(file, { throwIfNoEntry: false });
  return info === undefined ? "" : `${info.size} ${info.mtimeMs}`;
}

function mayUse(file: string): boolean {
  try {
    accessSync(file, constants.R_OK | constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

function text(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}
