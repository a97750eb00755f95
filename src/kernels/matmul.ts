import { STORAGE_NAMES } from "../core/storage-types.ts";
import { defineKernel, grid1d } from "../gpu/kernel.ts";

/**
 * Matrix product with a transposed weight, the forward pass of a linear layer.
 *
 * y[m, yOffset + n] = scale * sum_k x[m, k] weight[n, k] (+ bias) (+ residual) (+ y), each with its
 * constant; bias and residual are indexed like y. x: [m, k] f32; weight: [n, k] f32, or f16s with rows
 * padded to a multiple of 4; y, residual: [m, yStride] f32. Bindings that a constant switches off
 * may be any buffer. Accumulates in f32.
 */
export const matmulNtKernel = defineKernel({
  name: "matmul-nt",
  shader: new URL("../../shaders/matmul-nt.wgsl", import.meta.url),
  buffers: { x: "read", weight: "read", bias: "read", residual: "read", y: "update" },
  params: { m: "u32", n: "u32", k: "u32", yStride: "u32", yOffset: "u32", scale: "f32" },
  tunables: { WG: [8], ROWS: [16, 8, 4], COLS: [4, 2, 1] },
  libraries: { weight: STORAGE_NAMES },
  constants: { BIAS: false, RESIDUAL: false, ACCUMULATE: false },
  grid: ({ m, n }, { WG, ROWS, COLS }) =>
    grid1d(Math.ceil(m / Number(ROWS)) * Math.ceil(n / (Number(WG) * Number(COLS)))),
});

/**
 * `matmul-nt` through workgroup memory, for GPUs: same bindings and parameters.
 *
 * The tunables are outputs per side of a workgroup's tile and of a thread's part of it.
 */
export const matmulNtTiledKernel = defineKernel({
  name: "matmul-nt-tiled",
  shader: new URL("../../shaders/matmul-nt-tiled.wgsl", import.meta.url),
  buffers: { x: "read", weight: "read", bias: "read", residual: "read", y: "update" },
  params: { m: "u32", n: "u32", k: "u32", yStride: "u32", yOffset: "u32", scale: "f32" },
  tunables: { TILE: [64, 32], PER: [4, 8] },
  libraries: { weight: STORAGE_NAMES },
  constants: { BIAS: false, RESIDUAL: false, ACCUMULATE: false },
  grid: ({ m, n }, { TILE }) => grid1d(Math.ceil(m / Number(TILE)) * Math.ceil(n / Number(TILE))),
});

/**
 * `matmul-nt` for few rows, with the sum over k shared by threads: same bindings and parameters.
 *
 * Meant for m <= ROWS; right for any m. The tunables are threads per workgroup, threads per output
 * column, and rows per thread.
 */
export const matmulSkinnyKernel = defineKernel({
  name: "matmul-skinny",
  shader: new URL("../../shaders/matmul-skinny.wgsl", import.meta.url),
  buffers: { x: "read", weight: "read", bias: "read", residual: "read", y: "update" },
  params: { m: "u32", n: "u32", k: "u32", yStride: "u32", yOffset: "u32", scale: "f32" },
  tunables: { WG: [64, 128], LANES: [16, 32], ROWS: [16, 8, 4, 2, 1] },
  libraries: { weight: STORAGE_NAMES },
  constants: { BIAS: false, RESIDUAL: false, ACCUMULATE: false },
  grid: ({ m, n }, { WG, LANES, ROWS }) =>
    grid1d(Math.ceil(m / Number(ROWS)) * Math.ceil((n * Number(LANES)) / Number(WG))),
});

/**
 * Gradient of a linear layer's input.
 *
 * dx[m, k] = scale * sum_n dy[m, yOffset + n] weight[n, k] (+ dx with ACCUMULATE).
 * dy: [m, yStride] f32; weight: [n, k] f32 or f16s; dx: [m, k] f32. Accumulates in f32.
 */
export const matmulNnKernel = defineKernel({
  name: "matmul-nn",
  shader: new URL("../../shaders/matmul-nn.wgsl", import.meta.url),
  buffers: { dy: "read", weight: "read", dx: "update" },
  params: { m: "u32", n: "u32", k: "u32", yStride: "u32", yOffset: "u32", scale: "f32" },
  tunables: { WG: [8], ROWS: [16, 8, 4], COLS: [4, 2, 1] },
  libraries: { weight: STORAGE_NAMES },
  constants: { ACCUMULATE: false },
  grid: ({ m, k }, { WG, ROWS, COLS }) =>
    grid1d(Math.ceil(m / Number(ROWS)) * Math.ceil(k / (Number(WG) * Number(COLS)))),
});

/**
 * `matmul-nn` through workgroup memory, for GPUs: same bindings and parameters.
 *
 * The tunables are outputs per side of a workgroup's tile and of a thread's part of it.
 */
export const matmulNnTiledKernel = defineKernel({
  name: "matmul-nn-tiled",
  shader: new URL("../../shaders/matmul-nn-tiled.wgsl", import.meta.url),
  buffers: { dy: "read", weight: "read", dx: "update" },
  params: { m: "u32", n: "u32", k: "u32", yStride: "u32", yOffset: "u32", scale: "f32" },
  tunables: { TILE: [64, 32], PER: [4, 8] },
  libraries: { weight: STORAGE_NAMES },
  constants: { ACCUMULATE: false },
  grid: ({ m, k }, { TILE }) => grid1d(Math.ceil(m / Number(TILE)) * Math.ceil(k / Number(TILE))),
});

/**
 * Gradient of a linear layer's weight, in parts over the rows.
 *
 * partial[s, n, k] = sum over rows m of [s * rowsPerSplit, (s + 1) * rowsPerSplit) of
 * dy[m, yOffset + n] x[m, k] (+ partial with ACCUMULATE). With splits = 1 it is the gradient itself;
 * otherwise `col-sum` over [splits, n * k] adds the parts in order. dy: [m, yStride]; x: [m, k]; f32.
 */
export const matmulTnKernel = defineKernel({
  name: "matmul-tn",
  shader: new URL("../../shaders/matmul-tn.wgsl", import.meta.url),
  buffers: { dy: "read", x: "read", partial: "update" },
  params: {
    m: "u32",
    n: "u32",
    k: "u32",
    yStride: "u32",
    yOffset: "u32",
    rowsPerSplit: "u32",
    splits: "u32",
  },
  tunables: { WG: [8], ROWS: [16, 8, 4], COLS: [4, 2, 1] },
  constants: { ACCUMULATE: false },
  grid: ({ n, k, splits }, { WG, ROWS, COLS }) =>
    grid1d(splits * Math.ceil(n / Number(ROWS)) * Math.ceil(k / (Number(WG) * Number(COLS)))),
});

/**
 * `matmul-tn` through workgroup memory, for GPUs: same bindings and parameters.
 *
 * The tunables are outputs per side of a workgroup's tile and of a thread's part of it.
 */
export const matmulTnTiledKernel = defineKernel({
  name: "matmul-tn-tiled",
  shader: new URL("../../shaders/matmul-tn-tiled.wgsl", import.meta.url),
  buffers: { dy: "read", x: "read", partial: "update" },
  params: {
    m: "u32",
    n: "u32",
    k: "u32",
    yStride: "u32",
    yOffset: "u32",
    rowsPerSplit: "u32",
    splits: "u32",
  },
  tunables: { TILE: [64, 32], PER: [4, 8] },
  constants: { ACCUMULATE: false },
  grid: ({ n, k, splits }, { TILE }) =>
    grid1d(splits * Math.ceil(n / Number(TILE)) * Math.ceil(k / Number(TILE))),
});

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
