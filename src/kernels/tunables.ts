import type { Kernel } from "../gpu/kernel.ts";

/**
 * Tunables for adapters that run on the processor, by kernel; the kernels' defaults are for GPUs.
 *
 * lavapipe computes eight lanes at a time and pays for every such group it starts, and for barriers:
 * so eight threads a row, four rows a workgroup, and norms with one thread a row (7 times as fast
 * for rows of 64).
 */
const SOFTWARE: Readonly<Record<string, Record<string, number | boolean>>> = {
  "rms-norm": { WG: 8, THREAD_A_ROW: true },
  "rms-norm-backward": { WG: 8, THREAD_A_ROW: true },
  "layer-norm": { WG: 8, THREAD_A_ROW: true },
  "layer-norm-backward": { WG: 8, THREAD_A_ROW: true },
  rope: { WG: 8, ROWS: 4 },
  "rope-decode": { WG: 8, ROWS: 4 },
  "gather-rows": { WG: 8, ROWS: 4 },
  "bucket-sum": { WG: 8, ROWS: 4 },
  "add-rows": { WG: 8, ROWS: 4 },
  "copy-columns": { WG: 8, ROWS: 4 },
  "pool-rows": { WG: 8, ROWS: 4 },
  "conv-pack": { WG: 8, ROWS: 4 },
  "conv-pack-backward": { WG: 8, ROWS: 4 },
  "logit-stats": { WG: 8 },
  "logit-backward": { WG: 8, PER: 64 },
  "sample-scores": { WG: 8 },
  "sample-draw": { WG: 8 },
};

/** The kernels of the table. */
export const TUNED: readonly string[] = Object.keys(SOFTWARE);

/**
 * Values of a kernel's tunables for an adapter; empty where the defaults are right.
 *
 * Matrix products have a table of their own, `chooseMatmul`.
 *
 * @param software true on an adapter that runs on the processor (`capabilities.software`).
 */
export function tunablesFor(kernel: Kernel, software: boolean): Record<string, number | boolean> {
  return (software ? SOFTWARE[kernel.name] : undefined) ?? {};
}
