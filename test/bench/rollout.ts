/**
 * Times the kernels of a decode step and of the loss on the shapes of training, one JSON line each.
 * `npx tsx test/bench/rollout.ts [case]`. Milliseconds are the best of eight queues, since the machine
 * may be shared.
 */
import { openDevice, type Device } from "../../src/gpu/device.ts";
import { paramsBytes, writeParams, type Kernel } from "../../src/gpu/kernel.ts";
import { adamwKernel, adamwParams } from "../../src/kernels/optimizer.ts";
import { chooseAttention } from "../../src/kernels/choose.ts";
import { logitBackwardKernel, logitStatsKernel } from "../../src/kernels/logits.ts";
import { sampleDrawKernel, sampleParams, sampleScoresKernel } from "../../src/kernels/sample.ts";
import { randomF32 } from "../helpers/random-data.ts";

type Consts = Record<string, number | boolean>;

async function time(device: Device, run: (repeats: number) => void): Promise<number> {
  let best = Infinity;
  let repeats = 1;
  for (let round = 0; round < 9; round++) {
    const start = performance.now();
    run(repeats);
    await device.idle();
    const each = (performance.now() - start) / repeats;
    if (round > 0) best = Math.min(best, each);
    repeats = Math.max(1, Math.min(1000, Math.round(50 / each)));
  }
  return best;
}

async function bench(
  device: Device,
  label: string,
  kernel: Kernel,
  consts: Consts,
  data: Record<string, Float32Array | Uint32Array>,
  params: Record<string, number>,
): Promise<void> {
  const pipeline = await device.pipelines.get(kernel, { consts });
  const arena = device.createBuffer("params", 256, 0x40);
  const view = new DataView(new ArrayBuffer(paramsBytes(kernel)));
  writeParams(kernel, view, 0, params);
  device.write(arena, 0, view);
  const bindings = Object.fromEntries(
    Object.keys(kernel.buffers).map((name) => {
      const buffer = device.createBuffer(name, data[name]!.byteLength);
      device.write(buffer, 0, data[name]!);
      return [name, { buffer }];
    }),
  );
  const group = device.pipelines.bind(pipeline, bindings, arena);
  const grid = kernel.grid(params, pipeline.consts);
  const ms = await time(device, (repeats) =>
    device.submit((encoder) => {
      const pass = encoder.beginComputePass();
      pass.setPipeline(pipeline.raw);
      pass.setBindGroup(0, group, [0]);
      for (let i = 0; i < repeats; i++) pass.dispatchWorkgroups(...grid);
      pass.end();
    }),
  );
  console.log(
    JSON.stringify({ case: label, kernel: kernel.name, consts, ms: Number(ms.toFixed(3)) }),
  );
  for (const { buffer } of Object.values(bindings)) device.destroyBuffer(buffer);
  device.destroyBuffer(arena);
}

const names = process.argv.slice(2);
const device = await openDevice();
const { software } = device.capabilities;

for (const [label, rows, vocab, options] of [
  ["sample", 128, 512, { topK: 0, topP: 1 }],
  ["sample-filtered", 128, 512, { topK: 50, topP: 0.9 }],
  ["sample-qwen", 8, 151_936, { topK: 50, topP: 0.9 }],
] as const) {
  if (names.length > 0 && !names.includes(label)) continue;
  const words = Math.ceil(vocab / 32);
  const numbers = sampleParams({ temperature: 1, minP: 0, repetitionPenalty: 1, ...options });
  const logits = randomF32(rows * vocab, 1, -8, 8);
  const data = {
    logits,
    scores: logits,
    info: new Uint32Array(rows * 4),
    bans: new Uint32Array(words),
    presence: new Uint32Array(rows * words),
    done: new Uint32Array(rows),
    state: new Uint32Array(1),
    stats: Float32Array.from({ length: rows * 8 }, (_, i) => (i % 8 === 4 ? 8 : 0)),
    next: new Uint32Array(rows),
    choice: new Uint32Array(rows * 8),
  };
  for (const WG of sampleDrawKernel.tunables["WG"]!) {
    await bench(device, label, sampleScoresKernel, { WG }, data, { rows, vocab, ...numbers });
    const params = { rows, vocab, seed: 1, pad: 0, ...numbers };
    await bench(device, label, sampleDrawKernel, { WG }, data, params);
  }
}

for (const [label, rows, cols] of [["logits", 4096, 512]] as const) {
  if (names.length > 0 && !names.includes(label)) continue;
  const data = {
    logits: randomF32(rows * cols, 1, -8, 8),
    targets: new Uint32Array(rows),
    running: new Float32Array(rows * 4),
    out: new Float32Array(rows * 3),
    grad: new Float32Array(rows * 2),
  };
  const params = { rows, cols, first: 0, invTemperature: 1, reset: 1 };
  for (const WG of [8, 64]) {
    await bench(device, label, logitStatsKernel, { WG }, data, params);
    for (const PER of logitBackwardKernel.tunables["PER"]!) {
      await bench(device, label, logitBackwardKernel, { WG, PER }, data, params);
    }
  }
}

for (const [label, prompts, length, branches, heads, kvHeads, headDim, capacity] of [
  ["decode", 32, 73, 4, 2, 1, 32, 31],
  ["decode-7b", 1, 2048, 8, 28, 4, 128, 512],
] as const) {
  if (names.length > 0 && !names.includes(label)) continue;
  const rows = prompts * branches;
  const kv = kvHeads * headDim;
  const data = {
    q: randomF32(rows * heads * headDim, 1),
    prefixK: randomF32(prompts * length * kv, 2),
    prefixV: randomF32(prompts * length * kv, 3),
    suffixK: randomF32(rows * capacity * kv, 4),
    suffixV: randomF32(rows * capacity * kv, 5),
    table: Uint32Array.from({ length: rows * 2 }, (_, i) => {
      return (Math.floor(i / 2 / branches) + (i % 2)) * length;
    }),
    state: Uint32Array.of(capacity >> 1),
    o: new Float32Array(rows * heads * headDim),
  };
  const params = { rows, heads, kvHeads, capacity, scale: headDim ** -0.5 };
  for (const soft of software ? [true, false] : [false]) {
    const profile = { ...device.capabilities, software: soft };
    const { kernel, consts } = chooseAttention(profile, headDim).decode;
    await bench(device, label, kernel, { HEAD_DIM: headDim, ...consts }, data, params);
  }
}

if (names.length === 0 || names.includes("adamw")) {
  const count = 500_000;
  const moments = { m: new Float32Array(count), v: new Float32Array(count) };
  const data = {
    param: randomF32(count, 1),
    grad: randomF32(count, 2),
    clip: Float32Array.of(1, 1),
  };
  const options = { learningRate: 1e-3, beta1: 0.9, beta2: 0.99, eps: 1e-8, weightDecay: 0 };
  for (const WG of adamwKernel.tunables["WG"]!) {
    const params = { count, ...adamwParams({ ...options, step: 1 }) };
    await bench(device, "adamw", adamwKernel, { WG }, { ...data, ...moments }, params);
  }
}
device.close();
