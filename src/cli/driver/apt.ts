import { existsSync } from "node:fs";
import { mkdir, readFile, readdir, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { DeviceError } from "../../core/errors.ts";
import { parseAptSources, sourcesList } from "./distro.ts";
import type { AptSource, DriverArchive } from "./distro.ts";
import { runQuietly } from "./probe.ts";

/** Packages that apt fetched, with everything below them. */
export interface Fetched {
  /** The .deb files, apt having checked each against the signed lists. */
  debs: string[];
  /** Bytes that came over the network, package lists included. */
  bytes: number;
}

/** The packages to fetch, and the folder for them. */
export interface FetchOptions {
  archive: DriverArchive;
  packages: string[];
  /** Debian's name of the architecture, such as "amd64". */
  arch: string;
  /** An empty folder, which holds everything that apt reads and writes. */
  folder: string;
  /** Called with lines for the user. */
  say: (line: string) => void;
}

/** Returns every entry of this machine's apt sources. */
export async function readAptSources(root = "/etc/apt"): Promise<AptSource[]> {
  const parts = join(root, "sources.list.d");
  const names = await readdir(parts).catch(() => []);
  const files = [join(root, "sources.list"), ...names.map((name) => join(parts, name))];
  const texts = files
    .filter((file) => /\.(list|sources)$/.test(file))
    .map((file) => readFile(file, "utf8").catch(() => ""));
  return (await Promise.all(texts)).flatMap(parseAptSources);
}

/**
 * Returns an apt configuration that leaves the system's apt alone: its own state, cache, sources
 * and keys, none of the system's hooks (some delete downloaded packages), and only `network` from
 * the system.
 *
 * @param network lines of `apt-config dump` that say how to reach the network (proxies).
 */
export function aptConfig(folder: string, arch: string, network: string): string {
  const settings: [string, string][] = [
    ["Dir::Etc::main", "/dev/null"],
    ["Dir::Etc::parts", "/dev/null"],
    ["Dir::Etc::sourcelist", join(folder, "sources.list")],
    ["Dir::Etc::sourceparts", "/dev/null"],
    ["Dir::Etc::preferences", "/dev/null"],
    ["Dir::Etc::preferencesparts", "/dev/null"],
    ["Dir::State", join(folder, "state")],
    ["Dir::State::status", join(folder, "status")],
    ["Dir::Cache", join(folder, "cache")],
    ["Dir::Log", folder],
    ["Debug::NoLocking", "true"],
    ["APT::Architecture", arch],
    ["APT::Architectures", arch],
    ["APT::Install-Recommends", "false"],
    // As root, apt would read our folder as the user _apt, who may not enter it.
    ["APT::Sandbox::User", "root"],
    ["Acquire::Languages", "none"],
    ["Acquire::PDiffs", "false"],
    ["Acquire::Retries", "1"],
    ["Acquire::http::Timeout", "15"],
    ["Acquire::https::Timeout", "15"],
  ];
  return `${network}${settings.map(([key, value]) => `${key} "${value}";\n`).join("")}`;
}

/** Returns the lines of `apt-config dump` that say how to reach the network. */
export function networkSettings(dump: string): string {
  return dump
    .split("\n")
    .filter((line) => /^Acquire::https?(::[^ ]*)? ".+";$/.test(line))
    .map((line) => `${line}\n`)
    .join("");
}

/** Returns the address and size of each package that `apt-get --print-uris` names. */
export function parseUris(text: string): { name: string; bytes: number }[] {
  return [...text.matchAll(/^'[^']+' (\S+\.deb) (\d+)/gm)].map((match) => ({
    name: match[1]!,
    bytes: Number(match[2]),
  }));
}

/**
 * Fetches packages and everything they depend on, as this user, from the first mirror that has
 * them; apt checks the distribution's signature.
 *
 * @throws {DeviceError} when apt or the keyring is missing, or no mirror can be used.
 */
export async function fetchPackages(options: FetchOptions): Promise<Fetched> {
  const { archive, folder } = options;
  if (!existsSync(archive.keyring)) {
    throw new DeviceError("no-keyring", `The archive's keys are missing (${archive.keyring}).`);
  }
  const dump = await runQuietly("apt-config", ["dump"]);
  if (dump.code !== 0) throw new DeviceError("no-apt", "apt cannot be run on this machine.");
  await Promise.all(
    ["state/lists/partial", "cache/archives/partial"].map((name) =>
      mkdir(join(folder, name), { recursive: true }),
    ),
  );
  await writeFile(join(folder, "status"), "");
  const config = aptConfig(folder, options.arch, networkSettings(dump.stdout));
  await writeFile(join(folder, "apt.conf"), config);
  const failures: string[] = [];
  for (const mirror of archive.mirrors) {
    try {
      return await fetchFrom(mirror, options);
    } catch (error) {
      failures.push(`${mirror}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  throw new DeviceError("no-mirror", failures.join("; "));
}

async function fetchFrom(mirror: string, options: FetchOptions): Promise<Fetched> {
  const { archive, folder, packages, say } = options;
  const env = { ...process.env, APT_CONFIG: join(folder, "apt.conf"), LC_ALL: "C.UTF-8" };
  const apt = async (...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await runQuietly("apt-get", args, env);
    if (code !== 0) throw new Error(firstError(stderr));
    return stdout;
  };
  await writeFile(join(folder, "sources.list"), sourcesList(archive, mirror));
  say(`fetching the package lists of ${archive.target} from ${mirror}`);
  const lists = await apt("update", "-o", "APT::Update::Error-Mode=any");
  const install = ["install", "-y", "-qq", "-t", archive.target, ...packages];
  const uris = parseUris(await apt(...install, "--print-uris"));
  const total = uris.reduce((sum, { bytes }) => sum + bytes, 0);
  say(`fetching ${uris.length} packages, ${megabytes(total)} MB`);
  const archives = join(folder, "cache/archives");
  const stop = showProgress(archives, total, say);
  try {
    await apt(...install, "--download-only");
  } finally {
    stop();
  }
  const names = (await readdir(archives)).filter((name) => name.endsWith(".deb"));
  return { debs: names.map((name) => join(archives, name)), bytes: total + listBytes(lists) };
}

/** Returns the bytes of package lists, from apt's "Fetched 9,876 kB in 2s". */
export function listBytes(output: string): number {
  const match = /^Fetched ([\d.,]+) ([kM]?)B in /m.exec(output);
  if (!match) return 0;
  const unit = { "": 1, k: 1e3, M: 1e6 }[match[2] as "" | "k" | "M"];
  return Math.round(Number(match[1]!.replaceAll(",", "")) * unit);
}

function firstError(stderr: string): string {
  const lines = stderr.split("\n").filter((line) => /^(E|W|Err)[: ]/.test(line));
  const line = lines.find((each) => each.startsWith("E:")) ?? lines[0] ?? stderr.split("\n")[0]!;
  return line.replace(/^\w+:\s*/, "").slice(0, 300);
}

/** Says every few seconds how much of `total` bytes has arrived; returns how to stop it. */
function showProgress(folder: string, total: number, say: (line: string) => void): () => void {
  const start = performance.now();
  const timer = setInterval(() => {
    void bytesUnder(folder).then((done) => {
      const rate = done / ((performance.now() - start) / 1000);
      const left = rate > 0 ? `, ${Math.ceil((total - done) / rate)} s left` : "";
      say(`  ${megabytes(done)} of ${megabytes(total)} MB, ${megabytes(rate)} MB/s${left}`);
    });
  }, 3000);
  return () => clearInterval(timer);
}

async function bytesUnder(folder: string): Promise<number> {
  const entries = await readdir(folder, { recursive: true }).catch(() => []);
  const sizes = entries.map((name) =>
    stat(join(folder, name)).then(
      (info) => (info.isFile() ? info.size : 0),
      () => 0,
    ),
  );
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
}

/** Bytes as a number of MB with one decimal below 10. */
export function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0);
}
