import { defineKernel } from "../gpu/kernel.ts";

/** Moves the decode state one step on: state[0] += 1. Parameter `unused` is 0. */
export const advanceKernel = defineKernel({
  name: "advance",
  shader: new URL("../../shaders/advance.wgsl", import.meta.url),
  buffers: { state: "update" },
  params: { unused: "u32" },
  grid: () => [1, 1, 1],
});
