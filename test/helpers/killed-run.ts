/**
 * A run in a process that kills itself at a chosen moment, for kills.ts:
 * `node --import tsx killed-run.ts JOURNAL COUNT PATTERN CONFIG [key=value ...] [--resume]`.
 *
 * Every file operation below the journal's folder, every submit to the GPU and every event of the
 * run is a line of the journal before it happens. The process dies at the COUNT-th line that matches
 * PATTERN; what it was about to write then has half its bytes on disk.
 */
import fs from "node:fs";
import promises, { type FileHandle } from "node:fs/promises";
import { syncBuiltinESMExports } from "node:module";
import { dirname, relative } from "node:path";
import { loadConfig } from "../../src/config/load.ts";
import { Device } from "../../src/gpu/device.ts";
import { train } from "../../src/run/train.ts";

const [journalPath = "", count = "0", pattern = "", ...argv] = process.argv.slice(2);
const moment = new RegExp(pattern);
const { openSync, writeSync, writeFileSync } = fs;
const journal = openSync(journalPath, "a");
let left = Number(count);
let saving = "";

function happens(what: string, half?: () => void): void {
  const save = /^mkdir \S*checkpoint-(\d+)\.tmp$/.exec(what);
  if (save) saving = `save ${Number(save[1])} `;
  const line = `${saving}${what}`;
  writeSync(journal, `${line}\n`);
  if (left === 0 || !moment.test(line) || --left > 0) return;
  half?.();
  process.kill(process.pid, "SIGKILL");
}

type Arguments = unknown[];

/** Journals the calls of a function for which `words` finds something to say. */
function watch(
  owner: object,
  name: string,
  words: (args: Arguments, self: unknown) => string | undefined,
  half?: (args: Arguments, self: unknown) => void,
): void {
  const table = owner as Record<string, (...args: Arguments) => unknown>;
  const call = table[name]!;
  table[name] = function (this: unknown, ...args) {
    const line = words(args, this);
    if (line !== undefined) happens(line, half && (() => half(args, this)));
    return call.apply(this, args);
  };
}

/** A path below the root as it stands in the journal; undefined for others, such as tsx's cache. */
function nameOf(path: unknown): string | undefined {
  const name = relative(dirname(journalPath), String(path));
  return name.startsWith("..") ? undefined : name;
}

const line = (what: string, name: string | undefined) =>
  name === undefined ? undefined : `${what} ${name}`;
const firstHalf = (bytes: unknown) =>
  (bytes as Uint8Array).subarray(0, (bytes as Uint8Array).length >> 1);

const { rename, open } = promises;
promises.rename = async (from, to) => {
  const name = nameOf(to);
  if (name !== undefined) happens(`rename ${name}`);
  await rename(from, to);
  if (name !== undefined) happens(`renamed ${name}`);
};
for (const name of ["mkdir", "rm", "appendFile"]) {
  watch(promises, name, ([path]) => line(name, nameOf(path)));
}
watch(
  promises,
  "writeFile",
  ([path]) => line("write", nameOf(path)),
  ([path, bytes]) => writeFileSync(String(path), firstHalf(bytes)),
);

const handles = new WeakMap<object, string>();
const probe = await open(journalPath, "r");
const prototype = Object.getPrototypeOf(probe) as object;
await probe.close();
watch(
  prototype,
  "write",
  (_, handle) => line("write", handles.get(handle as object)),
  ([bytes, offset, length], handle) => {
    const half = (length as number) >> 1;
    writeSync((handle as FileHandle).fd, bytes as Uint8Array, offset as number, half);
  },
);
for (const name of ["sync", "close"]) {
  watch(prototype, name, (_, handle) => line(name, handles.get(handle as object)));
}
promises.open = async (path, flags, mode) => {
  const name = flags === "r" ? undefined : nameOf(path);
  if (name !== undefined) happens(`open ${name}`);
  const handle = await open(path, flags, mode);
  if (name !== undefined) handles.set(handle, name);
  return handle;
};

const logs = new Map<unknown, string>();
fs.openSync = (path, ...more) => {
  const name = nameOf(path);
  if (name !== undefined) happens(`open ${name}`);
  const descriptor = openSync(path, ...more);
  if (name !== undefined) logs.set(descriptor, name);
  return descriptor;
};
watch(fs, "mkdirSync", ([path]) => line("mkdir", nameOf(path)));
watch(fs, "renameSync", ([, to]) => line("rename", nameOf(to)));
watch(
  fs,
  "writeFileSync",
  ([path]) => line("write", nameOf(path)),
  ([path, bytes]) => writeFileSync(String(path), firstHalf(bytes)),
);
watch(
  fs,
  "writeSync",
  ([descriptor]) => line("write", logs.get(descriptor)),
  ([descriptor, bytes]) => writeSync(descriptor as number, firstHalf(bytes)),
);
for (const name of ["fsyncSync", "ftruncateSync", "closeSync"]) {
  watch(fs, name, ([descriptor]) => line(name.slice(0, -4), logs.get(descriptor)));
}
syncBuiltinESMExports();

watch(Device.prototype, "submitEncoder", () => "submit");

const [config = "", ...words] = argv;
const overrides = words.filter((word) => !word.startsWith("--"));
const settings = await loadConfig(config, {
  readText: (path) => promises.readFile(path, "utf8"),
  overrides,
});
await train(settings, {
  runFolder: settings.output.run_dir!,
  resume: words.includes("--resume"),
  onEvent({ kind, data }) {
    if (kind === "progress") return;
    if (kind === "checkpoint") saving = "";
    happens("step" in data ? `event ${kind} ${data.step}` : `event ${kind}`);
  },
});
