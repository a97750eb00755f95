import { create, globals } from "webgpu";

import { DeviceError } from "../core/errors.ts";
import type { GpuProvider, ProviderFlags } from "./provider.ts";

export { isSoftware } from "./software.ts";

/**
 * What Dawn is asked for: experimental features such as subgroup matrices, f16 on NVIDIA (which
 * Dawn hides by default on Vulkan) and timestamps in nanoseconds instead of steps of 65 us.
 */
const DAWN_FLAGS = [
  "enable-dawn-features=allow_unsafe_apis,vulkan_enable_f16_on_nvidia",
  "disable-dawn-features=timestamp_quantization",
];

/** Never emptied: Dawn aborts the process when an object of `create` is collected. */
const instances = new Map<string, GPU>();

/**
 * Opens WebGPU through Dawn, one instance per set of flags and process, and defines WebGPU's
 * global names (`GPUBufferUsage`, ...) where Node lacks them.
 *
 * @throws {DeviceError} when Dawn refuses to start.
 */
export async function openProvider(flags: ProviderFlags = {}): Promise<GpuProvider> {
  const backend = flags.backend ?? "";
  let gpu = instances.get(backend);
  if (gpu === undefined) {
    gpu = start(backend === "" ? DAWN_FLAGS : [...DAWN_FLAGS, `backend=${backend}`]);
    instances.set(backend, gpu);
  }
  // Nothing to give back: the instance outlives every caller, see `instances`.
  return { gpu, dispose: () => {} };
}

function start(flags: string[]): GPU {
  for (const [name, value] of Object.entries(globals)) {
    if (!(name in globalThis)) Object.defineProperty(globalThis, name, { value, writable: true });
  }
  try {
    return create(flags);
  } catch (cause) {
    throw new DeviceError("dawn-failed", `Dawn does not start (${String(cause)}).`, {
      hint: "Run `npm ci` again; Dawn supports Linux with glibc, macOS and Windows.",
      cause,
    });
  }
}
