import { DeviceError } from "../core/errors.ts";
import type { GpuProvider, ProviderFlags } from "./provider.ts";

export type { GpuProvider, ProviderFlags } from "./provider.ts";

/**
 * The flags for Dawn: experimental features such as subgroup matrices, f16 on NVIDIA (which
 * Dawn hides by default on Vulkan) and timestamps in nanoseconds instead of steps of 65 us.
 */
const DAWN_FLAGS = [
  "enable-dawn-features=allow_unsafe_apis,vulkan_enable_f16_on_nvidia",
  "disable-dawn-features=timestamp_quantization",
];

/** Never emptied: Dawn aborts the process when an object of `create` is collected. */
const instances = new Map<string, GPU>();

/**
 * Opens WebGPU through Dawn, one instance per backend and process, and defines WebGPU's global
 * names (`GPUBufferUsage`, ...) where Node lacks them.
 *
 * @throws {DeviceError} when Dawn cannot be loaded or refuses to start.
 */
export async function openProvider(flags: ProviderFlags = {}): Promise<GpuProvider> {
  const wishes = Object.entries(flags).map(([name, value]) => `${name}=${String(value)}`);
  const key = wishes.join(" ");
  let gpu = instances.get(key);
  if (gpu === undefined) {
    gpu = await start([...DAWN_FLAGS, ...wishes]);
    instances.set(key, gpu);
  }
  // Nothing to give back: the instance outlives every caller, see `instances`.
  return { gpu, dispose: () => {} };
}

async function start(flags: string[]): Promise<GPU> {
  try {
    const { create, globals } = await import("webgpu");
    for (const [name, value] of Object.entries(globals)) {
      if (name in globalThis) continue;
      Object.defineProperty(globalThis, name, { value, writable: true, configurable: true });
    }
    return create(flags);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    const where = `${process.platform}-${process.arch}`;
    throw new DeviceError("dawn-failed", `Dawn does not start on ${where}: ${why}.`, {
      hint: "Run `npm ci` again; Dawn needs Linux with glibc, macOS or Windows.",
      cause,
    });
  }
}

/** Never written: waiting on it is how the event loop naps. */
const napping = new Int32Array(new SharedArrayBuffer(4));

/**
 * Waits for GPU work without burning a core.
 *
 * While a WebGPU promise is pending, Dawn polls at every turn of the event loop, which then turns as
 * fast as it can and takes a core from whatever else computes (a software driver, decoders). After
 * the first millisecond the loop therefore naps for one millisecond per turn; other events are
 * still served.
 */
export async function whileWaiting<T>(work: Promise<T>): Promise<T> {
  let pending = true;
  const started = performance.now();
  const nap = (): void => {
    if (!pending) return;
    if (performance.now() - started > 1) Atomics.wait(napping, 0, 0, 1);
    setImmediate(nap);
  };
  setImmediate(nap);
  try {
    return await work;
  } finally {
    pending = false;
  }
}
