import { DeviceError } from "../core/errors.ts";
import type { GpuProvider, ProviderFlags } from "./provider.ts";

export type { GpuProvider, ProviderFlags } from "./provider.ts";

/**
 * Opens WebGPU as this browser offers it.
 *
 * @throws {DeviceError} when the browser has no WebGPU, or when Dawn's null backend is asked for,
 *   which only Node has.
 */
export async function openProvider(flags: ProviderFlags = {}): Promise<GpuProvider> {
  if (flags.adapter !== undefined) {
    throw new DeviceError("no-such-adapter", "A page cannot choose its adapter by a name.", {
      hint: "Leave it out: the browser gives the one that its settings prefer.",
    });
  }
  if (flags.backend !== undefined) {
    throw new DeviceError("no-such-backend", `A browser has no "${flags.backend}" backend.`, {
      hint: "Check shaders without a GPU in Node.",
    });
  }
  // The types promise `navigator.gpu`; browsers without WebGPU do not keep that promise.
  const gpu = (globalThis.navigator as Navigator | undefined)?.gpu as GPU | undefined;
  if (gpu === undefined) throw noWebGpu(globalThis.isSecureContext);
  return { gpu, dispose: () => {} };
}

function noWebGpu(secure: boolean | undefined): DeviceError {
  if (secure === false) {
    return new DeviceError(
      "insecure-page",
      "This page was not loaded securely, so it has no WebGPU.",
      {
        hint: "Open it over https, or from localhost.",
      },
    );
  }
  return new DeviceError("no-webgpu", "This browser has no WebGPU (navigator.gpu is missing).", {
    hint:
      "Use Chrome or Edge 113+ (on Linux with --enable-unsafe-webgpu --enable-features=Vulkan), " +
      "Safari 26+ or Firefox 141+.",
  });
}

/** Waits for GPU work; a browser waits without polling. */
export function whileWaiting<T>(work: Promise<T>): Promise<T> {
  return work;
}
