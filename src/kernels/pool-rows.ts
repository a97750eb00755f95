import { defineKernel, grid1d } from "../gpu/kernel.ts";

/**
 * Mean of two neighbouring rows: y[i, :] = (x[first[i], :] + x[first[i] + 1, :]) / 2.
 *
 * x: [rowsIn, cols] f32; first: [rows] u32; y: [rows, cols] f32. Its gradient is `gather-rows` with scale 0.5.
 */
export const poolRowsKernel = defineKernel({
  name: "pool-rows",
  shader: new URL("../../shaders/pool-rows.wgsl", import.meta.url),
  buffers: { x: "read", first: "read", y: "write" },
  params: { rows: "u32", cols: "u32" },
  tunables: { WG: [64, 8], ROWS: [4, 1] },
  grid: ({ rows }, { ROWS }) => grid1d(Math.ceil(rows / Number(ROWS))),
});
