import { DeviceError } from "../core/errors.ts";

/** Kernel tiers: T0 core WGSL, T1 with shader-f16 and subgroups, T2 with subgroup matrices. */
export type Tier = "t0" | "t1" | "t2";

/** The tiers, lowest first. */
export const TIERS: readonly Tier[] = ["t0", "t1", "t2"];

/** The properties of a device that decide which kernels run on it, and with which tunables. */
export interface DeviceProfile {
  tier: Tier;
  /** True when the adapter runs on the CPU (lavapipe, SwiftShader, WARP). */
  software: boolean;
  /** Maximum of the bytes that one storage binding, and so one chunk of a tensor, may have. */
  chunkBytes: number;
}

/** The abilities of an opened device, as plain data that can be printed and stored. */
export interface Capabilities extends DeviceProfile {
  /** Human-readable adapter name, such as `NVIDIA H100` or `llvmpipe (LLVM 19)`. */
  adapter: string;
  vendor: string;
  architecture: string;
  /** True when GPU timestamps can be taken. */
  timestamps: boolean;
}

/** Features that a tier needs beyond core WebGPU. */
export const TIER_FEATURES: Record<Tier, readonly string[]> = {
  t0: [],
  t1: ["shader-f16", "subgroups"],
  t2: ["shader-f16", "subgroups", "chromium-experimental-subgroup-matrix"],
};

/** Returns the highest tier whose features the adapter has. */
export function bestTier(features: ReadonlySet<string>): Tier {
  return [...TIERS].reverse().find((tier) => TIER_FEATURES[tier].every((f) => features.has(f)))!;
}

/**
 * Finds the tier to use, given what the adapter has and what the caller asked for.
 *
 * @throws {DeviceError} when the requested tier needs a feature that the adapter lacks.
 */
export function chooseTier(adapter: GPUAdapter, requested: Tier | undefined): Tier {
  const features = adapter.features as unknown as ReadonlySet<string>;
  if (requested === undefined) return bestTier(features);
  const missing = TIER_FEATURES[requested].filter((feature) => !features.has(feature));
  if (missing.length > 0) {
    throw new DeviceError(
      "tier-unavailable",
      `tier ${requested} needs ${missing.join(", ")}, which the adapter ${adapter.info.description} lacks.`,
      { hint: `Leave the tier out, or ask for ${bestTier(features)}.` },
    );
  }
  return requested;
}

/** Names by which drivers that compute on the processor call themselves. */
const SOFTWARE = /llvmpipe|lavapipe|swiftshader|basic render driver|\bwarp\b|software/i;

/**
 * Says whether an adapter computes on the processor: good for trying things out, not for training.
 *
 * Browsers may leave every name empty; then only their own `isFallbackAdapter` decides.
 */
export function isSoftware(info: Partial<GPUAdapterInfo>): boolean {
  if (info.isFallbackAdapter === true) return true;
  const names = [info.vendor, info.architecture, info.device, info.description];
  return names.some((name) => name !== undefined && SOFTWARE.test(name));
}
