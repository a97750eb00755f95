import type { Kernel } from "../../gpu/kernel.ts";
import { evaluate, type Value } from "../extent.ts";
import type { Chunk, Lowering, Tensor } from "../graph.ts";

/** The binding of one chunk of a tensor. */
export function at(tensor: Tensor, chunk: Chunk | number): { tensor: Tensor; chunk: number } {
  return { tensor, chunk: typeof chunk === "number" ? chunk : chunk.index };
}

/** Number of elements in a chunk of a tensor, at replay. */
function elements(chunk: Chunk, width: number): Value {
  return (environment) => evaluate(chunk.rows, environment) * width;
}

/** Launches an elementwise kernel with parameter `count` over every chunk of equally shaped tensors. */
export function lowerElementwise(
  to: Lowering,
  kernel: Kernel,
  tensors: Record<string, Tensor>,
  params: Record<string, Value> = {},
): void {
  const [shape] = Object.values(tensors);
  for (const chunk of to.chunks(shape!)) {
    const buffers = Object.fromEntries(
      Object.entries(tensors).map(([name, tensor]) => [name, at(tensor, chunk)]),
    );
    to.dispatch({ kernel, buffers, params: { count: elements(chunk, shape!.width), ...params } });
  }
}
