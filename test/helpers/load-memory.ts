/**
 * Loads a checkpoint and prints how much memory that took: `load-memory.ts FOLDER STORAGE TIER`.
 *
 * The software driver keeps GPU memory in this process. What the GPU has is what was written up to
 * the last wait for the queue, so that copies which wait in the queue count as host memory.
 */
import { openDevice } from "../../src/gpu/device.ts";
import type { Tier } from "../../src/gpu/capabilities.ts";
import { Model } from "../../src/model/model.ts";
import type { LoadMemory } from "./big-checkpoint.ts";

const [folder, storage, tier] = process.argv.slice(2);
// Dawn clears a buffer when the first part of it is written: small ones keep that from the sum.
const device = await openDevice({ tier: tier as Tier, chunkBytes: 4 * 2 ** 20 });
const scratch = device.createBuffer("scratch", 64);
await device.read(scratch);
(globalThis as { gc?: () => void }).gc?.();
const before = process.memoryUsage.rss();
let there = 0;
let peakExtra = 0;
const extra = () => process.memoryUsage.rss() - before - there;
const sample = () => (peakExtra = Math.max(peakExtra, extra()));
const write = device.write.bind(device);
const idle = device.idle.bind(device);
device.write = (...args) => {
  write(...args);
  sample();
};
device.idle = async () => {
  await idle();
  sample();
  there = device.counters.uploadBytes;
};
const started = performance.now();
const training = { trains: () => false, storage: storage as "f32" | "f16s" };
const model = await Model.load(device, folder!, training, { onProgress: sample });
const seconds = (performance.now() - started) / 1000;
const result: LoadMemory = {
  gpuBytes: there,
  peakExtra,
  endExtra: extra(),
  seconds,
  inexact: model.weights.inexact,
};
process.stdout.write(JSON.stringify(result));
device.close();
