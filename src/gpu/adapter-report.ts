import { openProvider } from "#gpu";
import { bestTier, isSoftware, type Tier } from "./capabilities.ts";

/** The adapter that WebGPU offers here, as plain data that can be printed, copied and compared. */
export interface AdapterReport {
  /** The adapter's own description; browsers may leave it empty. */
  adapter: string;
  vendor: string;
  architecture: string;
  /** True when it computes on the processor. */
  software: boolean;
  /** The highest tier of kernels that it can run. */
  tier: Tier;
  /** Names of its optional features, sorted. */
  features: string[];
  /** Its limits in bytes and counts. */
  limits: Record<string, number>;
}

/**
 * Reports the adapter that a run would use, in Node as in a page; nothing is opened on it.
 *
 * @returns null where WebGPU offers none.
 * @throws {DeviceError} where there is no WebGPU at all.
 */
export async function adapterReport(): Promise<AdapterReport | null> {
  const provider = await openProvider({});
  try {
    const adapter = await provider.gpu.requestAdapter({ powerPreference: "high-performance" });
    if (adapter === null) return null;
    const { info, limits } = adapter;
    const features = [...adapter.features].sort();
    const counts: Record<string, number> = {};
    for (const name in limits) {
      const value: unknown = limits[name as keyof GPUSupportedLimits];
      if (typeof value === "number") counts[name] = value;
    }
    return {
      ...{ adapter: info.description || info.device, vendor: info.vendor },
      ...{ architecture: info.architecture, software: isSoftware(info) },
      ...{ tier: bestTier(new Set(features)), features, limits: counts },
    };
  } finally {
    provider.dispose();
  }
}
