/*
 * Which kernel a device gets for an op, and with which tunables: everything that depends on the kind
 * of device is decided here, by its profile. A test selects every entry, and the laws of training are
 * run with the choices of both kinds of device, whichever the tests run on.
 */
import type { DeviceProfile } from "../gpu/capabilities.ts";
import type { Kernel } from "../gpu/kernel.ts";
import {
  attentionDecodeKernel,
  attentionDecodeWideKernel,
  ropeDecodeKernel,
  ropeKernel,
} from "./attention.ts";
import { convPackBackwardKernel, convPackKernel, poolRowsKernel } from "./conv.ts";
import { logitBackwardKernel, logitStatsKernel } from "./logits.ts";
import {
  matmulNnKernel,
  matmulNnTiledKernel,
  matmulNtKernel,
  matmulNtTiledKernel,
  matmulSkinnyKernel,
  matmulTnKernel,
  matmulTnTiledKernel,
} from "./matmul.ts";
import {
  layerNormBackwardKernel,
  layerNormKernel,
  rmsNormBackwardKernel,
  rmsNormKernel,
} from "./norm.ts";
import { addRowsKernel, bucketSumKernel, copyColumnsKernel, gatherRowsKernel } from "./rows.ts";
import { sampleDrawKernel, sampleScoresKernel } from "./sample.ts";

type Tunables = Readonly<Record<string, number | boolean>>;

const NORMS = [rmsNormKernel, rmsNormBackwardKernel, layerNormKernel, layerNormBackwardKernel];
const ROWWISE: readonly Kernel[] = [
  ...[ropeKernel, ropeDecodeKernel, gatherRowsKernel, bucketSumKernel, addRowsKernel],
  ...[copyColumnsKernel, poolRowsKernel, convPackKernel, convPackBackwardKernel],
];

/**
 * Tunables for adapters that run on the processor, by kernel; the kernels' defaults are for GPUs.
 *
 * lavapipe computes eight lanes at a time and pays for every such group it starts, and for barriers:
 * so eight threads a row, four rows a workgroup, and norms with one thread a row (7 times as fast
 * for rows of 64).
 */
const SOFTWARE_TUNABLES: ReadonlyMap<Kernel, Tunables> = new Map<Kernel, Tunables>([
  ...NORMS.map((kernel) => [kernel, { WG: 8, THREAD_A_ROW: true }] as const),
  ...ROWWISE.map((kernel) => [kernel, { WG: 8, ROWS: 4 }] as const),
  [logitStatsKernel, { WG: 8 }],
  [logitBackwardKernel, { WG: 8, PER: 64 }],
  [sampleScoresKernel, { WG: 8 }],
  [sampleDrawKernel, { WG: 8 }],
]);

/**
 * Values of a kernel's tunables for a device; empty where the defaults are right.
 *
 * Products and attention, which have several kernels, are chosen by functions of their own.
 */
export function chooseTunables({ software }: DeviceProfile, kernel: Kernel): Tunables {
  return (software ? SOFTWARE_TUNABLES.get(kernel) : undefined) ?? {};
}

/** The three products of a linear layer: y = x w^T, dx = dy w, dw = dy^T x. */
export type MatmulLayout = "nt" | "nn" | "tn";

/** Sizes as the kernels name them: m rows, n output features, k input features. */
export interface MatmulSize {
  /** Most rows that the dispatch will ever have: its capacity, so that a plan keeps one pipeline. */
  m: number;
  n: number;
  k: number;
}

/** A kernel with its tunables; all kernels of a layout have the same bindings and parameters. */
export interface MatmulChoice {
  kernel: Kernel;
  consts: Record<string, number>;
}

/** The smallest of the values, in ascending order, that is at least `size`, or else the last. */
const atLeast = (size: number, values: readonly number[]): number =>
  values.find((value) => value >= size) ?? values.at(-1)!;

/**
 * Processor: a register tile per thread, eight threads side by side as lavapipe's vectors are wide.
 *
 * 16 x 4 was the fastest nearly everywhere (`npm run bench`); narrower only where it would be wasted.
 */
function softwareTile(rows: number, columns: number): Record<string, number> {
  return {
    WG: 8,
    ROWS: atLeast(rows, [4, 8, 16]),
    COLS: atLeast(Math.ceil(columns / 8), [1, 2, 4]),
  };
}

/** Graphics processor: 4 x 4 outputs a thread; half the tile where that gives too few workgroups. */
function gpuTile(rows: number, columns: number): Record<string, number> {
  const tiles = Math.ceil(rows / 64) * Math.ceil(columns / 64);
  return { TILE: tiles < 64 ? 32 : 64, PER: 4 };
}

/**
 * Chooses the kernel and tile for a product.
 *
 * @param size of which only n and k, and the capacity m, may differ between plans.
 */
export function chooseMatmul(
  { software }: DeviceProfile,
  layout: MatmulLayout,
  { m, n, k }: MatmulSize,
): MatmulChoice {
  if (software) {
    if (layout === "nt") return { kernel: matmulNtKernel, consts: softwareTile(m, n) };
    if (layout === "nn") return { kernel: matmulNnKernel, consts: softwareTile(m, k) };
    return { kernel: matmulTnKernel, consts: softwareTile(n, k) };
  }
  if (layout === "nt") {
    if (m <= 16) {
      const ROWS = atLeast(m, [1, 2, 4, 8, 16]);
      return { kernel: matmulSkinnyKernel, consts: { WG: 64, LANES: k < 512 ? 16 : 32, ROWS } };
    }
    return { kernel: matmulNtTiledKernel, consts: gpuTile(m, n) };
  }
  if (layout === "nn") return { kernel: matmulNnTiledKernel, consts: gpuTile(m, k) };
  return { kernel: matmulTnTiledKernel, consts: gpuTile(n, k) };
}

/** Constants of an attention kernel: threads, threads per (row, head), keys in flight, staging. */
export type AttentionConsts = Readonly<Record<string, number | boolean>>;

/** Constants of the attention kernels that have some to choose, and which kernel decodes. */
export interface AttentionTile {
  forward: AttentionConsts;
  backwardQ: AttentionConsts;
  backwardKv: AttentionConsts;
  decode: AttentionConsts;
  decodeKernel: typeof attentionDecodeKernel;
}

/**
 * A software driver runs a workgroup of eight threads as the lanes of one vector: no barrier, no
 * copies, and keys at uniform addresses are read once for all lanes.
 */
const SOFTWARE_ATTENTION: AttentionTile = {
  forward: { WG: 8, SPLIT: 1, KEYS: 4, STAGE: false },
  backwardQ: { WG: 8, SPLIT: 1, KEYS: 2, STAGE: false },
  backwardKv: { WG: 8, SPLIT: 1, QUERIES: 2, STAGE: false },
  decode: { WG: 8, KEYS: 4 },
  decodeKernel: attentionDecodeKernel,
};

/** On a GPU keys go through workgroup memory, and large heads are split so that they fit registers. */
function gpuAttention(split: number): AttentionTile {
  return {
    forward: { WG: 128, SPLIT: split, KEYS: 8, STAGE: true },
    backwardQ: { WG: 128, SPLIT: split, KEYS: 4, STAGE: true },
    backwardKv: { WG: 128, SPLIT: split, QUERIES: 4, STAGE: true },
    decode: { WG: 128 },
    decodeKernel: attentionDecodeWideKernel,
  };
}

/**
 * Chooses the constants of the attention kernels for a head size; HEAD_DIM is the caller's to add.
 *
 * headDim: a multiple of 4 up to 128.
 */
export function chooseAttention({ software }: DeviceProfile, headDim: number): AttentionTile {
  if (software) return SOFTWARE_ATTENTION;
  if (headDim >= 64 && headDim % 16 === 0) return gpuAttention(4);
  return gpuAttention(headDim % 8 === 0 ? 2 : 1);
}
