/**
 * The `train` command in a process that counts what is alive, for flat.long.test.ts:
 * `node --expose-gc --import tsx flat-run.ts OUT EVERY CONFIG [key=value ...]`. OUT becomes lines of
 * JSON, for nothing is kept here: GPU objects after every step and how long it took with its logs;
 * after every EVERY-th one also what is on the heap after a full collection, as `heap`.
 */
import { openSync, writeSync } from "node:fs";
import { readFile } from "node:fs/promises";
import v8 from "node:v8";
import { loadConfig } from "../../src/config/load.ts";
import { Device } from "../../src/gpu/device.ts";
import { Plan } from "../../src/graph/plan/plan.ts";
import { Storage } from "../../src/graph/storage.ts";
import { Tokenizer } from "../../src/text/tokenizer.ts";
import { train } from "../../src/run/train.ts";

/** Numbers by name. */
export type Counts = Record<string, number>;

/** A line of OUT. */
export interface Counted {
  /** Milliseconds by the clock. */
  ms: number;
  /** Milliseconds that all threads of the process computed. */
  cpuMs: number;
  /** True when the GPU's work is among them. */
  software: boolean;
  gpu: Counts;
  heap?: Counts;
}

const [out = "", every = "", ...argv] = process.argv.slice(2);
const collect = (globalThis as { gc?: () => void }).gc!;
// Experimental, and in no types yet.
const { queryObjects } = v8 as unknown as {
  queryObjects: (type: unknown, options: { format: "count" }) => number;
};

let device: Device | undefined;
/** Objects made on the device and not destroyed, by the call that makes them. */
const alive: Counts = {};
before(Device.prototype, "check", (self) => {
  if (device !== self) watchDevice((device = self as Device));
});

/** Shows an object of a class before each call of a method. */
function before(prototype: object, method: string, show: (self: unknown) => void): void {
  const table = prototype as Record<string, (...args: unknown[]) => unknown>;
  const call = table[method]!;
  table[method] = function (this: unknown, ...args) {
    show(this);
    return call.apply(this, args);
  };
}

function watchDevice({ raw }: Device): void {
  const table = raw as unknown as Record<string, (...args: unknown[]) => { destroy?: () => void }>;
  for (const name in table) {
    // Every submit has an encoder of its own; the heap says whether any stays.
    if (!name.startsWith("create") || name === "createCommandEncoder") continue;
    const create = table[name]!.bind(raw);
    alive[name] = 0;
    table[name] = (...args) => {
      const object = create(...args);
      alive[name]!++;
      const destroy = object.destroy?.bind(object);
      if (destroy === undefined) return object;
      object.destroy = () => {
        alive[name]!--;
        destroy();
      };
      return object;
    };
  }
}

// The bytes of a token are kept once it was said: here of all, so that chance decides no count.
let speaker: unknown;
before(Tokenizer.prototype, "tokenBytes", (self) => {
  if (speaker === self) return;
  speaker = self;
  const tokenizer = self as Tokenizer;
  for (let id = 0; id < tokenizer.vocabSize; id++) tokenizer.tokenBytes(id);
});

function heapCounts(): Counts {
  const gpu = globalThis as unknown as Record<string, unknown>;
  const names = ["GPUBuffer", "GPUBindGroup", "GPUCommandEncoder", "GPUCommandBuffer"];
  const types = {
    ...{ Array, Function, Promise, ArrayBuffer, Map, Set, Plan, Storage },
    ...Object.fromEntries(names.map((name) => [name, gpu[name]])),
  };
  collect();
  const counts = Object.entries({ ...types, Object }).map(([name, type]) => [
    name,
    queryObjects(type, { format: "count" }),
  ]);
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return {
    ...(Object.fromEntries(counts) as Counts),
    resources: process.getActiveResourcesInfo().length,
    ...{ arrayBuffers, heapUsed },
  };
}

const lines = openSync(out, "w");
const [config = "", ...overrides] = argv;
const settings = await loadConfig(config, {
  readText: (path) => readFile(path, "utf8"),
  overrides,
});
let since = performance.now();
let used = process.cpuUsage();
await train(settings, {
  runFolder: settings.output.run_dir!,
  onEvent({ kind, data }) {
    if (kind !== "step") return;
    const ms = performance.now() - since;
    const { user, system } = process.cpuUsage(used);
    const { software } = device!.capabilities;
    const times = { ms, cpuMs: (user + system) / 1000, software };
    const { buffers, bufferBytes, bindGroups, pipelines } = device!.counters;
    const gpu = { buffers, bufferBytes, bindGroups, pipelines, ...alive };
    // The first look makes objects of its own.
    if (data.step === 1) heapCounts();
    const due = data.step % Number(every) === 0;
    writeSync(lines, `${JSON.stringify({ ...times, gpu, ...(due && { heap: heapCounts() }) })}\n`);
    since = performance.now();
    used = process.cpuUsage();
  },
});
