import { afterAll, beforeAll, inject } from "vitest";
import type { Tier } from "../../src/gpu/capabilities.ts";
import { openDevice, type Device, type DeviceOptions } from "../../src/gpu/device.ts";

declare module "vitest" {
  export interface ProvidedContext {
    tier: Tier;
  }
}

/** Opens one device of the project's tier for a test file; `device()` gives it inside tests. */
export function useDevice(options: DeviceOptions = {}): () => Device {
  let device: Device | undefined;
  beforeAll(async () => {
    device = await openDevice({ tier: inject("tier"), ...options });
  });
  afterAll(() => device?.close());
  return () => device!;
}
