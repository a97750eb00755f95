import { expect } from "vitest";
import type { Device } from "../../src/gpu/device.ts";
import {
  kernelConsts,
  paramsBytes,
  writeParams,
  type BuffersOf,
  type ConstsOf,
  type Kernel,
  type LibrariesOf,
  type ParamsOf,
} from "../../src/gpu/kernel.ts";

/** Data of one buffer. */
export type Data = Float32Array | Uint32Array | Int32Array;

/** One run of a kernel and what must come out. */
export interface KernelCase<K extends Kernel = Kernel> {
  consts?: ConstsOf<K>;
  library?: LibrariesOf<K>;
  /** Every buffer of the kernel: inputs with their data, outputs with their initial content. */
  buffers: BuffersOf<K, Data>;
  params: ParamsOf<K, number>;
  /** Expected content of outputs, from the float64 reference; buffers left out are not compared. */
  expected: Partial<BuffersOf<K, ArrayLike<number>>>;
  /** Normalised mean squared error allowed per output (sum (y-r)^2 / sum r^2); default 1e-10. */
  nmse?: number;
  /** Largest absolute difference allowed per element, when the case needs one too. */
  absolute?: number;
}

const GUARD_WORDS = 64;
const GUARD = 0x7fc0dead;

/** Runs a kernel once and returns its buffers, having checked the guard words around outputs. */
export async function runKernel<K extends Kernel>(
  device: Device,
  kernel: K,
  typed: Omit<KernelCase<K>, "expected">,
): Promise<Record<string, Data>> {
  const run: Omit<KernelCase, "expected"> = typed;
  const pipeline = await device.pipelines.get(kernel, run);
  const arena = device.createBuffer("params", 256, 0x40);
  const view = new DataView(new ArrayBuffer(paramsBytes(kernel)));
  writeParams(kernel, view, 0, run.params);
  device.write(arena, 0, view);
  const guard = new Uint32Array(GUARD_WORDS).fill(GUARD);
  const bindings: Record<string, { buffer: GPUBuffer; offset: number; size: number }> = {};
  for (const name of Object.keys(kernel.buffers)) {
    const data = run.buffers[name];
    if (data === undefined) throw new Error(`the case has no buffer ${name}`);
    const bytes = Math.max(4, data.byteLength);
    const buffer = device.createBuffer(name, 256 + bytes + 256);
    device.write(buffer, 0, guard);
    device.write(buffer, 256, data);
    device.write(buffer, 256 + bytes, guard);
    // Outputs are bound with their tail guard, so that a stray write lands there and is seen.
    const size = kernel.buffers[name] === "read" ? bytes : bytes + 256;
    bindings[name] = { buffer, offset: 256, size };
  }
  const group = device.pipelines.bind(pipeline, bindings, arena);
  const grid = kernel.grid(run.params, kernelConsts(kernel, run.consts));
  device.submit((encoder) => {
    const pass = encoder.beginComputePass();
    pass.setPipeline(pipeline.raw);
    pass.setBindGroup(0, group, [0]);
    pass.dispatchWorkgroups(...grid);
    pass.end();
  });
  const results: Record<string, Data> = {};
  for (const [name, access] of Object.entries(kernel.buffers)) {
    const { buffer } = bindings[name]!;
    if (access !== "read") {
      const data = run.buffers[name]!;
      const whole = new Uint32Array(await device.read(buffer));
      const words = Math.max(1, data.length);
      for (let i = 0; i < GUARD_WORDS; i++) {
        expect(whole[i], `${kernel.name}: word ${i - GUARD_WORDS} before ${name}`).toBe(GUARD);
        expect(whole[GUARD_WORDS + words + i], `${kernel.name}: word ${i} after ${name}`).toBe(
          GUARD,
        );
      }
      const Type = data.constructor as Float32ArrayConstructor;
      results[name] = new Type(whole.buffer, 256, data.length);
    }
    device.destroyBuffer(buffer);
  }
  device.destroyBuffer(arena);
  return results;
}

/** Runs a kernel and compares its outputs with a float64 reference; prints the worst element. */
export async function checkKernel<K extends Kernel>(
  device: Device,
  kernel: K,
  run: KernelCase<K>,
): Promise<void> {
  const results = await runKernel(device, kernel, run);
  const expected = run.expected as Readonly<Record<string, ArrayLike<number>>>;
  for (const [name, want] of Object.entries(expected)) {
    compare(`${kernel.name}.${name}`, results[name]!, want, run.nmse ?? 1e-10, run.absolute);
  }
}

/** Fails when two tensors differ by more than the allowance; the message shows the worst element. */
export function compare(
  label: string,
  got: ArrayLike<number>,
  want: ArrayLike<number>,
  nmse: number,
  absolute?: number,
): void {
  expect(got.length, `${label}: length`).toBe(want.length);
  let error = 0;
  let energy = 0;
  let worst = 0;
  let worstAt = 0;
  for (let i = 0; i < want.length; i++) {
    const difference = Math.abs(got[i]! - want[i]!);
    if (Number.isNaN(got[i]!) !== Number.isNaN(want[i]!)) {
      throw new Error(`${label}[${i}]: got ${got[i]}, want ${want[i]}`);
    }
    error += difference ** 2;
    energy += want[i]! ** 2;
    if (difference > worst) [worst, worstAt] = [difference, i];
  }
  const ratio = energy > 0 ? error / energy : error;
  const detail = `${label}: nmse ${ratio.toExponential(2)} of ${nmse.toExponential(2)}; worst at [${worstAt}] got ${got[worstAt]} want ${want[worstAt]}`;
  expect(ratio <= nmse, detail).toBe(true);
  if (absolute !== undefined) expect(worst <= absolute, detail).toBe(true);
}

/** Central differences of a scalar function, in float64: the gradient that a backward must equal. */
export function differences(
  value: (x: Float64Array) => number,
  at: Float64Array,
  step = 1e-5,
): Float64Array {
  const x = Float64Array.from(at);
  return Float64Array.from(at, (centre, i) => {
    x[i] = centre + step;
    const above = value(x);
    x[i] = centre - step;
    const below = value(x);
    x[i] = centre;
    return (above - below) / (2 * step);
  });
}
