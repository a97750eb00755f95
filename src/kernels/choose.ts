/*
 * Which kernel a device gets for an op, and with which tunables: everything that depends on the kind
 * of device is decided here, by its profile. A test selects every entry, and the laws of training are
 * run with the choices of both kinds of device, whichever the tests run on.
 */
import type { DeviceProfile } from "../gpu/capabilities.ts";
import type { Consts, Kernel, TunablesOf } from "../gpu/kernel.ts";
import {
  attentionBackwardKvKernel,
  attentionBackwardQKernel,
  attentionDecodeKernel,
  attentionDecodeWideKernel,
  attentionKernel,
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

/** Entries of a table that give several kernels the same tunables. */
function tuned<K extends Kernel>(
  kernels: readonly K[],
  values: Partial<TunablesOf<K>>,
): [kernel: Kernel, values: Consts][] {
  return kernels.map((kernel) => [kernel, values as Consts]);
}

/**
 * Tunables for adapters that run on the processor, by kernel; the kernels' defaults are for GPUs.
 *
 * lavapipe computes eight lanes at a time and pays for every such group it starts, and for barriers:
 * so eight threads a row, four rows a workgroup, and norms with one thread a row (7 times as fast
 * for rows of 64).
 */
const SOFTWARE_TUNABLES: ReadonlyMap<Kernel, Consts> = new Map<Kernel, Consts>([
  ...tuned([rmsNormKernel, rmsNormBackwardKernel, layerNormKernel, layerNormBackwardKernel], {
    WG: 8,
    THREAD_A_ROW: true,
  }),
  ...tuned([ropeKernel, ropeDecodeKernel], { WG: 8, ROWS: 4 }),
  ...tuned([gatherRowsKernel, bucketSumKernel, addRowsKernel], { WG: 8, ROWS: 4 }),
  ...tuned([copyColumnsKernel, poolRowsKernel], { WG: 8, ROWS: 4 }),
  ...tuned([convPackKernel, convPackBackwardKernel], { WG: 8, ROWS: 4 }),
  ...tuned([logitStatsKernel, sampleScoresKernel, sampleDrawKernel], { WG: 8 }),
  ...tuned([logitBackwardKernel], { WG: 8, PER: 64 }),
]);

/**
 * Values of a kernel's tunables for a device; empty where the defaults are right.
 *
 * Products and attention, which have several kernels, are chosen by functions of their own.
 */
export function chooseTunables({ software }: DeviceProfile, kernel: Kernel): Consts {
  return (software ? SOFTWARE_TUNABLES.get(kernel) : undefined) ?? {};
}

/** The three products of a linear layer: y = x w^T, dx = dy w, dw = dy^T x. */
export type MatmulLayout = "nt" | "nn" | "tn";

/** Sizes as the kernels name them: m rows, n output features, k input features. */
export interface MatmulSize {
  /** Maximum of rows of the dispatch: its capacity, so that a plan keeps one pipeline. */
  m: number;
  n: number;
  k: number;
}

/** A kernel with a value for each of its tunables. */
export type ChosenKernel<K extends Kernel> = K extends Kernel
  ? { kernel: K; consts: TunablesOf<K> }
  : never;

/** The kernels of each product; all of a product have the same bindings and parameters. */
interface MatmulKernels {
  nt: typeof matmulNtKernel | typeof matmulNtTiledKernel | typeof matmulSkinnyKernel;
  nn: typeof matmulNnKernel | typeof matmulNnTiledKernel;
  tn: typeof matmulTnKernel | typeof matmulTnTiledKernel;
}

/** A kernel for a product, with its tile. */
export type MatmulChoice<L extends MatmulLayout> = ChosenKernel<MatmulKernels[L]>;

/** The smallest of the values, in ascending order, that is at least `size`, or else the last. */
const atLeast = (size: number, values: readonly number[]): number =>
  values.find((value) => value >= size) ?? values.at(-1)!;

/**
 * Processor: a register tile per thread, eight threads side by side as lavapipe's vectors are wide.
 *
 * 16 x 4 was the fastest nearly everywhere (`npm run bench`); narrower only where it would be wasted.
 */
function softwareTile(rows: number, columns: number): TunablesOf<typeof matmulNtKernel> {
  return {
    WG: 8,
    ROWS: atLeast(rows, [4, 8, 16]),
    COLS: atLeast(Math.ceil(columns / 8), [1, 2, 4]),
  };
}

/** Graphics processor: 4 x 4 outputs a thread; half the tile where that gives too few workgroups. */
function gpuTile(rows: number, columns: number): TunablesOf<typeof matmulNtTiledKernel> {
  const tiles = Math.ceil(rows / 64) * Math.ceil(columns / 64);
  return { TILE: tiles < 64 ? 32 : 64, PER: 4 };
}

const MATMUL: {
  [L in MatmulLayout]: (software: boolean, size: MatmulSize) => MatmulChoice<L>;
} = {
  nt(software, { m, n, k }) {
    if (software) return { kernel: matmulNtKernel, consts: softwareTile(m, n) };
    if (m > 16) return { kernel: matmulNtTiledKernel, consts: gpuTile(m, n) };
    const ROWS = atLeast(m, [1, 2, 4, 8, 16]);
    return { kernel: matmulSkinnyKernel, consts: { WG: 64, LANES: k < 512 ? 16 : 32, ROWS } };
  },
  nn: (software, { m, k }) =>
    software
      ? { kernel: matmulNnKernel, consts: softwareTile(m, k) }
      : { kernel: matmulNnTiledKernel, consts: gpuTile(m, k) },
  tn: (software, { n, k }) =>
    software
      ? { kernel: matmulTnKernel, consts: softwareTile(n, k) }
      : { kernel: matmulTnTiledKernel, consts: gpuTile(n, k) },
};

/**
 * Chooses the kernel and tile for a product.
 *
 * @param size of which only n and k, and the capacity m, may differ between plans.
 */
export function chooseMatmul<L extends MatmulLayout>(
  { software }: DeviceProfile,
  layout: L,
  size: MatmulSize,
): MatmulChoice<L> {
  return MATMUL[layout](software, size);
}

/** Tunables of the attention kernels that have some to choose, and which kernel decodes. */
export interface AttentionChoice {
  forward: TunablesOf<typeof attentionKernel>;
  backwardQ: TunablesOf<typeof attentionBackwardQKernel>;
  backwardKv: TunablesOf<typeof attentionBackwardKvKernel>;
  decode: ChosenKernel<typeof attentionDecodeKernel | typeof attentionDecodeWideKernel>;
}

/**
 * A software driver runs a workgroup of eight threads as the lanes of one vector: no barrier, no
 * copies, and keys at uniform addresses are read once for all lanes.
 */
const SOFTWARE_ATTENTION: AttentionChoice = {
  forward: { WG: 8, SPLIT: 1, KEYS: 4, STAGE: false },
  backwardQ: { WG: 8, SPLIT: 1, KEYS: 2, STAGE: false },
  backwardKv: { WG: 8, SPLIT: 1, QUERIES: 2, STAGE: false },
  decode: { kernel: attentionDecodeKernel, consts: { WG: 8, KEYS: 4 } },
};

/** On a GPU keys go through workgroup memory, and large heads are split so that they fit registers. */
function gpuAttention(split: number): AttentionChoice {
  return {
    forward: { WG: 128, SPLIT: split, KEYS: 8, STAGE: true },
    backwardQ: { WG: 128, SPLIT: split, KEYS: 4, STAGE: true },
    backwardKv: { WG: 128, SPLIT: split, QUERIES: 4, STAGE: true },
    decode: { kernel: attentionDecodeWideKernel, consts: { WG: 128 } },
  };
}

/**
 * Chooses the constants of the attention kernels for a head size; HEAD_DIM is the caller's to add.
 *
 * headDim: a multiple of 4 up to 128.
 */
export function chooseAttention({ software }: DeviceProfile, headDim: number): AttentionChoice {
  if (software) return SOFTWARE_ATTENTION;
  if (headDim >= 64 && headDim % 16 === 0) return gpuAttention(4);
  return gpuAttention(headDim % 8 === 0 ? 2 : 1);
}
