/**
 * Times the attention kernels on the shapes of training and prints useful GFLOP/s (pairs that are
 * seen), one JSON line each. `npx tsx test/bench/attention.ts [case] [NAME=value ...]`; constants
 * override those of the table. Times are of the host around a queue of repeats.
 */
import { openDevice, type Device } from "../../src/gpu/device.ts";
import { paramsBytes, writeParams, type Kernel } from "../../src/gpu/kernel.ts";
import {
  attentionBackwardKvKernel,
  attentionBackwardQKernel,
  attentionDeltaKernel,
  attentionKernel,
} from "../../src/kernels/attention.ts";
import { packTables, type Packed } from "../helpers/prompt-trees.ts";
import { randomF32 } from "../helpers/random-data.ts";

interface Shape {
  packed: Packed[];
  heads: number;
  kvHeads: number;
  headDim: number;
}

const tree = (count: number, prompt: number, branches: number, length: number): Packed[] =>
  Array.from({ length: count }, () => ({ prompt, branches: Array(branches).fill(length) }));
const windows = (count: number, window: number): Packed[] =>
  Array.from({ length: count }, () => ({ window }));

const SHAPES: Record<string, Shape> = {
  decoder: { packed: tree(32, 73, 4, 31), heads: 2, kvHeads: 1, headDim: 32 },
  decoder8: { packed: tree(16, 96, 8, 8), heads: 2, kvHeads: 1, headDim: 32 },
  vision: { packed: windows(256, 16), heads: 2, kvHeads: 2, headDim: 16 },
  audio: { packed: windows(32, 100), heads: 2, kvHeads: 2, headDim: 16 },
  omni7b: { packed: tree(1, 512, 8, 128), heads: 28, kvHeads: 4, headDim: 128 },
};

interface Timing {
  /** Milliseconds of one dispatch: the best of eight queues, since the machine may be shared. */
  ms: number;
  /** Processor milliseconds of one dispatch, all threads; says more than `ms` on a busy machine. */
  cpuMs: number;
}

async function time(device: Device, run: (repeats: number) => void): Promise<Timing> {
  let ms = Infinity;
  let repeats = 1;
  for (let round = 0; round < 9; round++) {
    const start = performance.now();
    run(repeats);
    await device.idle();
    const each = (performance.now() - start) / repeats;
    if (round > 0) ms = Math.min(ms, each);
    repeats = Math.max(1, Math.min(1000, Math.round(60 / each)));
  }
  // A pending WebGPU promise keeps a core busy, so the work is slept through before it is awaited.
  const before = process.cpuUsage();
  run(repeats);
  await new Promise((resolve) => setTimeout(resolve, repeats * ms * 4 + 100));
  await device.idle();
  const used = process.cpuUsage(before);
  return { ms, cpuMs: (used.user + used.system) / 1000 / repeats };
}

async function bench(
  device: Device,
  kernel: Kernel,
  consts: Record<string, number | boolean>,
  buffers: Record<string, GPUBuffer>,
  params: Record<string, number>,
): Promise<Timing> {
  const pipeline = await device.pipelines.get(kernel, { consts });
  const arena = device.createBuffer("params", 256, 0x40);
  const view = new DataView(new ArrayBuffer(paramsBytes(kernel)));
  writeParams(kernel, view, 0, params);
  device.write(arena, 0, view);
  const bindings = Object.fromEntries(
    Object.keys(kernel.buffers).map((name) => [name, { buffer: buffers[name]! }]),
  );
  const group = device.pipelines.bind(pipeline, bindings, arena);
  const grid = kernel.grid(params, pipeline.consts);
  return time(device, (repeats) =>
    device.submit((encoder) => {
      const pass = encoder.beginComputePass();
      pass.setPipeline(pipeline.raw);
      pass.setBindGroup(0, group, [0]);
      for (let i = 0; i < repeats; i++) pass.dispatchWorkgroups(...grid);
      pass.end();
    }),
  );
}

const args = process.argv.slice(2);
const overrides = Object.fromEntries(
  args
    .filter((a) => a.includes("="))
    .map((a) => {
      const [name, value] = a.split("=") as [string, string];
      return [name, value === "true" ? true : value === "false" ? false : Number(value)];
    }),
);
const names = args.filter((a) => !a.includes("="));
const device = await openDevice();
for (const [name, { packed, heads, kvHeads, headDim }] of Object.entries(SHAPES)) {
  if (names.length > 0 && !names.includes(name)) continue;
  const { rows, segments, keyRanges, pairs } = packTables(packed);
  const upload = (label: string, data: Float32Array | Uint32Array) => {
    const buffer = device.createBuffer(label, data.byteLength);
    device.write(buffer, 0, data);
    return buffer;
  };
  const q = heads * headDim;
  const kv = kvHeads * headDim;
  const buffers = {
    q: upload("q", randomF32(rows * q, 1)),
    k: upload("k", randomF32(rows * kv, 2)),
    v: upload("v", randomF32(rows * kv, 3)),
    dO: upload("dO", randomF32(rows * q, 4)),
    o: upload("o", new Float32Array(rows * q)),
    lse: upload("lse", new Float32Array(rows * heads)),
    stats: upload("stats", new Float32Array(rows * heads * 2)),
    dq: upload("dq", new Float32Array(rows * q)),
    dk: upload("dk", new Float32Array(rows * kv)),
    dv: upload("dv", new Float32Array(rows * kv)),
    segments: upload("segments", segments),
    keyRanges: upload("keyRanges", keyRanges),
  };
  const scale = headDim ** -0.5;
  const forward = { rows, heads, kvHeads, keyFirst: 0, keyCount: rows, scale };
  const runs: [Kernel, Record<string, number>, number][] = [
    [attentionKernel, forward, 4],
    [attentionDeltaKernel, { rows, heads }, 0],
    [attentionBackwardQKernel, forward, 6],
    [
      attentionBackwardKvKernel,
      { keys: rows, heads, kvHeads, rowFirst: 0, rowCount: rows, scale },
      8,
    ],
  ];
  for (const [kernel, params, flops] of runs) {
    const allowed = Object.fromEntries(
      Object.entries(overrides).filter(([key]) => key in kernel.tunables),
    );
    const consts = { HEAD_DIM: headDim, ...allowed };
    const { ms, cpuMs } = await bench(device, kernel, consts, buffers, params);
    const gflops = (pairs * heads * headDim * flops) / ms / 1e6;
    console.log(
      JSON.stringify({
        case: name,
        kernel: kernel.name,
        consts: allowed,
        rows,
        ms: Number(ms.toFixed(3)),
        cpuMs: Number(cpuMs.toFixed(3)),
        gflops: Number(gflops.toFixed(2)),
        adapter: device.capabilities.adapter,
      }),
    );
  }
  for (const buffer of Object.values(buffers)) device.destroyBuffer(buffer);
}
device.close();
