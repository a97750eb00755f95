import type { Kernel } from "../gpu/kernel.ts";
import { matmulNnTiledKernel } from "./matmul-nn-tiled.ts";
import { matmulNnKernel } from "./matmul-nn.ts";
import { matmulNtTiledKernel } from "./matmul-nt-tiled.ts";
import { matmulNtKernel } from "./matmul-nt.ts";
import { matmulSkinnyKernel } from "./matmul-skinny.ts";
import { matmulTnTiledKernel } from "./matmul-tn-tiled.ts";
import { matmulTnKernel } from "./matmul-tn.ts";

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
 * @param software true on an adapter that runs on the processor (`capabilities.software`).
 */
export function chooseMatmul(
  layout: MatmulLayout,
  { m, n, k }: MatmulSize,
  software: boolean,
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

/** Rows from which one more split pays for its partial sum. */
const SPLIT_ROWS = 64;

/**
 * Rows per split of `matmul-tn` for `rows` rows: at most `splits` parts, none of them tiny.
 *
 * The number of splits is ceil(rows / rowsPerSplit).
 */
export function splitRows(rows: number, splits: number): number {
  return Math.max(SPLIT_ROWS, Math.ceil(rows / splits));
}
