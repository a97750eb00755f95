/**
 * Times the matrix products of the tiny model on this adapter, as the table selects them.
 *
 * `npx tsx test/bench/matmul.ts [t0|t1|t2]`. One line a shape: GFLOP/s by wall clock, best of several
 * submits of at least 100 dispatches, and on a processor GFLOP per second of processor time too,
 * which other work on the machine disturbs less (a pending promise adds up to one core to it).
 */
import { colSumKernel } from "../../src/kernels/rows.ts";
import { splitRows } from "../../src/kernels/matmul.ts";
import { chooseMatmul, type MatmulLayout } from "../../src/kernels/choose.ts";
import { TIERS, type Tier } from "../../src/gpu/capabilities.ts";
import { BUFFER_USAGE, openDevice, type Device } from "../../src/gpu/device.ts";
import { kernelConsts, paramsBytes, writeParams, type Kernel } from "../../src/gpu/kernel.ts";

/** m, n, k of the layers; m is 128 in decoding. */
const SHAPES = [
  [6000, 64, 64],
  [6000, 192, 64],
  [6000, 64, 192],
  [6000, 384, 64],
  [2048, 144, 48],
  [2048, 384, 48],
  [2048, 48, 192],
  [2048, 32, 1176],
  [6000, 96, 32],
  [6000, 128, 128],
  [128, 64, 64],
  [128, 384, 64],
] as const;

const DISPATCHES = 100;
const SUBMITS = 3;
const SPLITS = 32;

/** One kernel call, ready to be recorded. */
interface Call {
  pipeline: GPUComputePipeline;
  group: GPUBindGroup;
  grid: readonly [number, number, number];
}

async function prepare(
  device: Device,
  kernel: Kernel,
  consts: Record<string, number | boolean>,
  elements: Record<string, number>,
  params: Record<string, number>,
): Promise<Call> {
  const library = Object.fromEntries(
    Object.entries(kernel.libraries).map(([name, variants]) => [name, variants[0]!]),
  );
  const pipeline = await device.pipelines.get(kernel, { consts, library });
  const arena = device.createBuffer("params", 256, BUFFER_USAGE.uniform);
  const view = new DataView(new ArrayBuffer(paramsBytes(kernel)));
  writeParams(kernel, view, 0, params);
  device.write(arena, 0, view);
  const bindings = Object.fromEntries(
    Object.keys(kernel.buffers).map((name) => {
      const data = Float32Array.from({ length: elements[name]! }, (_, i) => Math.sin(i));
      const buffer = device.createBuffer(name, data.byteLength);
      device.write(buffer, 0, data);
      return [name, { buffer }];
    }),
  );
  return {
    pipeline: pipeline.raw,
    group: device.pipelines.bind(pipeline, bindings, arena),
    grid: kernel.grid(params, kernelConsts(kernel, consts)),
  };
}

async function calls(
  device: Device,
  layout: MatmulLayout,
  [m, n, k]: readonly [number, number, number],
): Promise<Call[]> {
  const { kernel, consts } = chooseMatmul(device.capabilities, layout, { m, n, k });
  const base = { m, n, k, yStride: n, yOffset: 0, scale: 1 };
  if (layout === "nt") {
    const sizes = { x: m * k, weight: n * k, bias: 4, residual: 4, y: m * n };
    return [await prepare(device, kernel, consts, sizes, base)];
  }
  if (layout === "nn") {
    const sizes = { dy: m * n, weight: n * k, dx: m * k };
    return [await prepare(device, kernel, consts, sizes, base)];
  }
  const rowsPerSplit = splitRows(m, SPLITS);
  const splits = Math.ceil(m / rowsPerSplit);
  const sizes = { dy: m * n, x: m * k, partial: splits * n * k };
  const sums = { rows: splits, cols: n * k, rowsPerBlock: splits, scale: 1 };
  return [
    await prepare(device, kernel, consts, sizes, { ...base, rowsPerSplit, splits }),
    await prepare(device, colSumKernel, {}, { input: splits * n * k, output: n * k }, sums),
  ];
}

/** Milliseconds of one run of the calls: by the wall, and of all the process's threads. */
async function time(device: Device, list: Call[]): Promise<{ wall: number; processor: number }> {
  const run = async (times: number) => {
    const start = performance.now();
    const used = process.cpuUsage();
    device.submit((encoder) => {
      const pass = encoder.beginComputePass();
      for (let i = 0; i < times; i++) {
        for (const { pipeline, group, grid } of list) {
          pass.setPipeline(pipeline);
          pass.setBindGroup(0, group, [0]);
          pass.dispatchWorkgroups(...grid);
        }
      }
      pass.end();
    });
    await device.idle();
    const { user, system } = process.cpuUsage(used);
    return { wall: performance.now() - start, processor: (user + system) / 1000 };
  };
  await run(10);
  const best = { wall: Infinity, processor: Infinity };
  for (let i = 0; i < SUBMITS; i++) {
    const { wall, processor } = await run(DISPATCHES);
    best.wall = Math.min(best.wall, wall / DISPATCHES);
    best.processor = Math.min(best.processor, processor / DISPATCHES);
  }
  return best;
}

async function main(): Promise<void> {
  const tier = TIERS.find((name) => name === process.argv[2]);
  const device = await openDevice(tier === undefined ? {} : { tier: tier satisfies Tier });
  const { adapter, software } = device.capabilities;
  console.log(`${adapter}, tier ${device.capabilities.tier}, ${software ? "software" : "GPU"}`);
  console.log("      m     n     k  layout  GFLOP/s  per processor second");
  for (const shape of SHAPES) {
    for (const layout of ["nt", "nn", "tn"] as const) {
      const { wall, processor } = await time(device, await calls(device, layout, shape));
      const flops = 2 * shape[0] * shape[1] * shape[2];
      const [m, n, k] = shape.map((size) => String(size).padStart(5));
      const rates = [wall, processor].map((ms) => (flops / ms / 1e6).toFixed(1).padStart(8));
      console.log(` ${m} ${n} ${k}  ${layout.padEnd(6)} ${rates[0]!} ${rates[1]!}`);
    }
  }
  device.close();
}

await main();
