import { ShapeError } from "../core/errors.ts";
import { evaluate, type Value } from "../graph/extent.ts";
import type { Chunk, Lowering, Tensor } from "../graph/graph.ts";

/** Returns the binding of one chunk of a tensor. */
export function at(tensor: Tensor, chunk: Chunk | number): { tensor: Tensor; chunk: number } {
  return { tensor, chunk: typeof chunk === "number" ? chunk : chunk.index };
}

/** Returns the number of elements in a chunk of a tensor, at replay. */
export function elements(chunk: Chunk, { width }: Tensor): Value {
  return (environment) => evaluate(chunk.rows, environment) * width;
}

/** Requires a tensor in one chunk, for ops that index freely into it or whose windows straddle borders. */
export function whole(to: Lowering, tensor: Tensor): Value {
  const chunks = to.chunks(tensor);
  if (chunks.length === 1) return chunks[0].rows;
  const rows = chunks.reduce((sum, { capacity }) => sum + capacity, 0);
  throw new ShapeError(
    "tensor-in-chunks",
    `${tensor.name} has ${rows} rows of ${tensor.width}, of which one binding of this adapter ` +
      `holds ${chunks[0].capacity}; this op needs all of them in one.`,
    { hint: "Put fewer tokens or shorter media into one pass." },
  );
}
