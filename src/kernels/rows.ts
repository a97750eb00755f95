import { STORAGE_NAMES } from "../core/storage-types.ts";
import { defineKernel, grid1d } from "../gpu/kernel.ts";

/**
 * Rows of a table by index.
 *
 * y[i, :] = scale * weight[index[i] - first, :] where index[i] lies in [first, first + srcRows)
 * (added to y with ACCUMULATE). Other rows become zero, or stay with KEEP or ACCUMULATE: a table in
 * chunks is gathered by one call without KEEP, then one with KEEP for every further chunk.
 * weight: [srcRows, cols] f32, or f16s with rows padded to a multiple of 4; index: [rows] u32,
 * 0xffffffff for none; y: [rows, cols] f32.
 */
export const gatherRowsKernel = defineKernel({
  name: "gather-rows",
  shader: new URL("../../shaders/gather-rows.wgsl", import.meta.url),
  buffers: { weight: "read", index: "read", y: "update" },
  params: { rows: "u32", cols: "u32", first: "u32", srcRows: "u32", scale: "f32" },
  tunables: { WG: [64, 8], ROWS: [4, 1] },
  libraries: { weight: STORAGE_NAMES },
  constants: { KEEP: false, ACCUMULATE: false },
  grid: ({ rows }, { ROWS }) => grid1d(Math.ceil(rows / Number(ROWS))),
});

/**
 * Gradient of a gather: sums the rows that were taken from each source row, in a fixed order.
 *
 * y[i, :] = sum over j in [start[first + i], start[first + i + 1]) of x[order[j] - xFirst, :], leaving out
 * rows of x outside [0, xRows). x: [xRows, cols] f32; order: gathered rows; start: all group borders;
 * y: [rows, cols] f32, zero where nothing was gathered. x in chunks: the first without ACCUMULATE, the
 * others in order with it, which gives the bits of one call.
 */
export const gatherSumKernel = defineKernel({
  name: "gather-sum",
  shader: new URL("../../shaders/gather-sum.wgsl", import.meta.url),
  buffers: { x: "read", order: "read", start: "read", y: "update" },
  params: { rows: "u32", cols: "u32", first: "u32", xFirst: "u32", xRows: "u32" },
  tunables: { WG: [64, 256] },
  constants: { ACCUMULATE: false },
  grid: ({ rows, cols }, { WG }) => grid1d(Math.ceil((rows * cols) / Number(WG))),
});

/**
 * Gradient of an embedding table: sums rows by token, in a fixed order.
 *
 * table[token[b] - first, :] += sum over j in [start[b], start[b + 1]) of dy[order[j] - dyFirst, :];
 * buckets whose token lies outside [first, first + tableRows) and rows outside dy are skipped. dy:
 * [dyRows, cols] f32; order: row numbers; start: [buckets + 1]; token: [buckets], distinct; table:
 * [tableRows, cols] f32. dy in chunks takes one call for each.
 */
export const bucketSumKernel = defineKernel({
  name: "bucket-sum",
  shader: new URL("../../shaders/bucket-sum.wgsl", import.meta.url),
  buffers: { dy: "read", order: "read", start: "read", token: "read", table: "update" },
  params: {
    buckets: "u32",
    cols: "u32",
    first: "u32",
    tableRows: "u32",
    dyFirst: "u32",
    dyRows: "u32",
  },
  tunables: { WG: [64, 8], ROWS: [4, 1] },
  grid: ({ buckets }, { ROWS }) => grid1d(Math.ceil(buckets / Number(ROWS))),
});

/**
 * Rows plus rows of a table by index (a learned or fixed position table): y[i, :] = x[i, :] + table[index[i], :].
 *
 * x, y: [rows, cols] f32; table: [tableRows, cols] f32; index: [rows] u32, each below tableRows.
 */
export const addRowsKernel = defineKernel({
  name: "add-rows",
  shader: new URL("../../shaders/add-rows.wgsl", import.meta.url),
  buffers: { x: "read", table: "read", index: "read", y: "write" },
  params: { rows: "u32", cols: "u32" },
  tunables: { WG: [64, 8], ROWS: [4, 1] },
  grid: ({ rows }, { ROWS }) => grid1d(Math.ceil(rows / Number(ROWS))),
});

/**
 * Copies columns between matrices: y[r, dstFirst + c] = x[r, srcFirst + c] for c < cols.
 *
 * x: [rows, srcCols] f32; y: [rows, dstCols] f32, whose other columns stay as they are. With ZERO
 * the columns become zero and x, which must still be bound, is not read.
 */
export const copyColumnsKernel = defineKernel({
  name: "copy-columns",
  shader: new URL("../../shaders/copy-columns.wgsl", import.meta.url),
  buffers: { x: "read", y: "update" },
  params: {
    rows: "u32",
    cols: "u32",
    srcCols: "u32",
    srcFirst: "u32",
    dstCols: "u32",
    dstFirst: "u32",
  },
  tunables: { WG: [64, 8], ROWS: [4, 1] },
  constants: { ZERO: false },
  grid: ({ rows }, { ROWS }) => grid1d(Math.ceil(rows / Number(ROWS))),
});

/**
 * Sums of columns over blocks of rows.
 *
 * output[b, c] = scale * sum over rows r of block b of input[r, c] (+ output with ACCUMULATE); the
 * ceil(rows / rowsPerBlock) blocks are in row order. Two calls make an ordered reduction.
 */
export const colSumKernel = defineKernel({
  name: "col-sum",
  shader: new URL("../../shaders/col-sum.wgsl", import.meta.url),
  buffers: { input: "read", output: "update" },
  params: { rows: "u32", cols: "u32", rowsPerBlock: "u32", scale: "f32" },
  tunables: { WG: [64, 256] },
  constants: { ACCUMULATE: false },
  grid: ({ rows, cols, rowsPerBlock }, { WG }) =>
    grid1d(Math.ceil((Math.ceil(rows / rowsPerBlock) * cols) / Number(WG))),
});
