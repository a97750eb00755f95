import { defineKernel, grid1d } from "../gpu/kernel.ts";

/**
 * LayerNorm, gradient of the input.
 *
 * dy, x, dx: [rows, cols] f32; weight: [cols]; stats: [rows, 2] as `layer-norm` wrote them.
 */
export const layerNormBackwardKernel = defineKernel({
  name: "layer-norm-backward",
  shader: new URL("../../shaders/layer-norm-backward.wgsl", import.meta.url),
  buffers: { dy: "read", x: "read", weight: "read", stats: "read", dx: "write" },
  params: { rows: "u32", cols: "u32" },
  tunables: { WG: [64, 8, 128], THREAD_A_ROW: [false, true] },
  grid: ({ rows }, { WG, THREAD_A_ROW }) =>
    grid1d(THREAD_A_ROW === true ? Math.ceil(rows / Number(WG)) : rows),
});
