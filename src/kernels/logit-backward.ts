import { defineKernel, grid1d } from "../gpu/kernel.ts";

/**
 * Turns a tile of logits into its gradient, in place.
 *
 * logits: [rows, cols], the tokens from `first`; targets: u32 [rows]; out: [rows, 3] of
 * `logitFinishKernel`; grad: [rows, 2] = (dL/dlogp, dL/dentropy).
 */
export const logitBackwardKernel = defineKernel({
  name: "logit-backward",
  shader: new URL("../../shaders/logit-backward.wgsl", import.meta.url),
  buffers: { logits: "update", targets: "read", out: "read", grad: "read" },
  params: { rows: "u32", cols: "u32", first: "u32", invTemperature: "f32" },
  tunables: { WG: [64, 8, 128], PER: [8, 64] },
  grid: ({ rows, cols }, consts) =>
    grid1d(rows * Math.ceil(cols / (Number(consts["WG"]) * Number(consts["PER"])))),
});
