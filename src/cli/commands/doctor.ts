import { existsSync } from "node:fs";
import { readFile, statfs } from "node:fs/promises";
import { homedir } from "node:os";
import { Command } from "commander";
import { type AdapterReport, adapterReport } from "../../gpu/adapter-report.ts";
import { hubSettings } from "../../io/hub/options.ts";
import { hiddenGpu, systemEnvironment } from "../driver/adapter.ts";
import { cacheFolder } from "../driver/cache.ts";
import { nodeUnder, type SoftwareDriver } from "../driver/driver-node.ts";
import { type Probe, probe } from "../driver/probe.ts";
import { findSoftwareDriver } from "../driver/software-driver.ts";
import { ownVersion } from "../package.ts";
import type { CommandModule } from "../run-command.ts";
import { parseCommandLine } from "../usage.ts";

const HELP = `
Examples:
  aubade doctor
  aubade doctor --json > report.json

Nothing is fetched, and no token is shown. The exit code is 1 where nothing could train here.`;

/** The parts that a machine has for aubade. */
interface DoctorReport {
  aubade: string;
  node: string;
  system: string;
  /** The adapter of the system's own drivers; null where they offer none that works. */
  adapter: AdapterReport | null;
  /** Why the system's own drivers offer none, in their words. */
  adapterFault?: string;
  /** The private software driver; null where it is not there yet. */
  softwareDriver: { version: string; works: boolean } | null;
  /** Optional parts, and whether they are installed. */
  decoders: Record<string, boolean>;
  hub: { cache: string; token: boolean; offline: boolean };
  /** Bytes that are free, by folder. */
  disk: Record<string, number>;
  advice: string[];
}

/** Optional packages that read clips and pictures in Node. */
const DECODERS = ["@mediabunny/server", "sharp"];

const GIB = 2 ** 30;
/** Bytes below which a model of 7 billion parameters, 16 bits each, does not fit the disk. */
const ROOM = 20 * GIB;

/**
 * Runs the `doctor` command: says what this machine has for aubade, and what would make it faster.
 *
 * @param argv what the user typed after `doctor`.
 * @returns 0 where something could train here, else 1.
 */
export const main: CommandModule["main"] = async (argv) => {
  const program = new Command("aubade doctor")
    .description("Says what this machine has for aubade, and what would make it faster.")
    .option("--json", "print one JSON object", false)
    .version(ownVersion(), "-v, --version")
    .addHelpText("after", HELP);
  if (!parseCommandLine(program, argv, (text) => process.stdout.write(text))) return 0;
  const report = await examine();
  const { json } = program.opts<{ json: boolean }>();
  process.stdout.write(json ? `${JSON.stringify(report, null, 2)}\n` : textOf(report));
  return report.adapter !== null || report.softwareDriver?.works !== false ? 0 : 1;
};

async function examine(): Promise<DoctorReport> {
  // In a child first: a driver that is broken may end the process that loads it.
  const system = await probe(process.execPath, systemEnvironment());
  const adapter = system.works ? await adapterReport() : null;
  const driver = await findSoftwareDriver();
  const cache = await cacheFolder();
  const hub = await hubSettings({}, process.env, homedir(), (path) =>
    readFile(path, "utf8").catch(() => undefined),
  );
  const report: DoctorReport = {
    ...{ aubade: ownVersion(), node: process.version },
    system: `${process.platform} ${process.arch}`,
    adapter,
    ...(!system.works && { adapterFault: system.reason }),
    softwareDriver: driver === undefined ? null : await tried(driver),
    decoders: Object.fromEntries(DECODERS.map((name) => [name, installed(name)])),
    hub: { cache: hub.cacheFolder, token: hub.token !== undefined, offline: hub.offline },
    disk: await freeBytes([process.cwd(), cache]),
    advice: [],
  };
  return { ...report, advice: adviceFor(report, system) };
}

async function tried(driver: SoftwareDriver): Promise<DoctorReport["softwareDriver"]> {
  const { node, env } = await nodeUnder(driver, []);
  const { works } = await probe(node, { ...systemEnvironment(), ...env });
  return { version: `Mesa ${driver.mesa}`, works };
}

function installed(name: string): boolean {
  try {
    import.meta.resolve(name);
    return true;
  } catch {
    return false;
  }
}

async function freeBytes(folders: readonly string[]): Promise<Record<string, number>> {
  const found: Record<string, number> = {};
  for (const folder of folders) {
    const stats = await statfs(folder).catch(() => undefined);
    if (stats !== undefined) found[folder] = stats.bavail * stats.bsize;
  }
  return found;
}

/** Sentences on what is missing or slow, the most important first. */
function adviceFor(report: DoctorReport, system: Probe): string[] {
  const { adapter, softwareDriver, decoders, hub, disk } = report;
  const advice: string[] = [];
  const hidden = hiddenGpu(system, existsSync("/dev/nvidia0"), system.reason);
  if (hidden !== undefined) advice.push(hidden);
  if (adapter === null) {
    const own =
      softwareDriver === null
        ? "will be fetched when it is first needed"
        : softwareDriver.works
          ? "runs"
          : "does not run either";
    advice.push(
      `No driver of the system works (${system.reason}); the private software driver ${own}. It computes on the processor and is for trying things out: use a machine with a GPU and its Vulkan, Metal or Direct3D 12 driver.`,
    );
  } else if (adapter.software) {
    advice.push(
      `${adapter.adapter} computes on the processor: install a GPU's Vulkan driver, or use a machine with one.`,
    );
  } else if (adapter.tier === "t0") {
    advice.push(
      `${adapter.adapter} lacks shader-f16 or subgroups, so the plainest kernels run: a newer driver may have them.`,
    );
  }
  for (const [name, there] of Object.entries(decoders)) {
    if (!there) advice.push(`${name} is not installed, and what it reads is refused by name: run npm install ${name}.`); // prettier-ignore
  }
  if (hub.offline) advice.push("Offline mode is on (HF_HUB_OFFLINE): models must be in the cache.");
  else if (!hub.token) advice.push('No token of the Hub: models behind a licence need "hf auth login".'); // prettier-ignore
  for (const [folder, bytes] of Object.entries(disk)) {
    if (bytes < ROOM) advice.push(`${folder} has ${(bytes / GIB).toFixed(1)} GiB free; a 7B model in 16 bits takes 17, a run's checkpoints more.`); // prettier-ignore
  }
  return advice;
}

function textOf(report: DoctorReport): string {
  const { adapter, softwareDriver, hub } = report;
  const rows: [string, string][] = [
    ["aubade", `${report.aubade}, Node ${report.node}, ${report.system}`],
    ["adapter", adapter === null ? `none: ${report.adapterFault}` : adapter.adapter],
  ];
  if (adapter !== null) {
    const { limits } = adapter;
    const binding = ((limits["maxStorageBufferBindingSize"] ?? 0) / GIB).toFixed(2);
    const kind = adapter.software ? "software" : "GPU";
    rows.push(["", `${kind}, tier ${adapter.tier.toUpperCase()}, bindings to ${binding} GiB`]);
    rows.push(["features", adapter.features.join(" ")]);
  }
  const own =
    softwareDriver &&
    `${softwareDriver.version}${softwareDriver.works ? "" : ", which does not run here"}`;
  rows.push(["software", own ?? "no private driver yet"]);
  const parts = Object.entries(report.decoders).map(([name, there]) => `${name} ${there ? "yes" : "no"}`); // prettier-ignore
  rows.push(["decoders", parts.join(", ")]);
  const token = hub.token ? "a token" : "no token";
  rows.push(["hub", `${hub.cache}, ${token}${hub.offline ? ", offline" : ""}`]);
  for (const [folder, bytes] of Object.entries(report.disk)) {
    rows.push(["disk", `${folder}: ${(bytes / GIB).toFixed(1)} GiB free`]);
  }
  const table = rows.map(([name, value]) => `${name.padEnd(9)} ${value}\n`).join("");
  const advice = report.advice.map((sentence) => `- ${sentence}\n`).join("");
  return advice === "" ? table : `${table}\n${advice}`;
}
