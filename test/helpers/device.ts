import { afterAll, beforeAll, inject } from "vitest";
import type { DeviceProfile, Tier } from "../../src/gpu/capabilities.ts";
import { openDevice, type Device, type DeviceOptions } from "../../src/gpu/device.ts";

declare module "vitest" {
  export interface ProvidedContext {
    tier: Tier;
  }
}

/** The profile of a device of either kind, with the limits that every device has. */
export function profileOf(software: boolean): DeviceProfile {
  return { tier: "t0", software, chunkBytes: 2 ** 27 };
}

/** Opens a device whose kernels and tunables are those of a GPU, whatever it runs on. */
export const AS_GPU: DeviceOptions = { profile: { software: false } };

/** Opens one device of the project's tier for a test file; `device()` gives it inside tests. */
export function useDevice(options: DeviceOptions = {}): () => Device {
  let device: Device | undefined;
  beforeAll(async () => {
    device = await openDevice({ tier: inject("tier"), ...options });
  });
  afterAll(() => device?.close());
  return () => device!;
}
