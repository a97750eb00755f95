import { defineKernel, grid1d } from "../gpu/kernel.ts";

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
  libraries: { weight: ["f32", "f16s"] },
  constants: { ACCUMULATE: false },
  grid: ({ m, k }, { WG, ROWS, COLS }) =>
    grid1d(Math.ceil(m / Number(ROWS)) * Math.ceil(k / (Number(WG) * Number(COLS)))),
});
