import { defineKernel, grid1d } from "../gpu/kernel.ts";

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
