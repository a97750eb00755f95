import type { Kernel } from "../../gpu/kernel.ts";
import { chooseMatmul, type MatmulLayout } from "../../kernels/choose.ts";
import type { Lowering } from "../graph.ts";

/**
 * The kernel and constants of a matrix product on this device, ready to be spread into a dispatch.
 *
 * @param size [most rows, output features, input features].
 */
export function matmul(
  to: Lowering,
  layout: MatmulLayout,
  [m, n, k]: readonly [number, number, number],
  consts: Record<string, boolean> = {},
): { kernel: Kernel; consts: Record<string, number | boolean> } {
  const choice = chooseMatmul(to.profile, layout, { m, n, k });
  return { kernel: choice.kernel, consts: { ...choice.consts, ...consts } };
}
