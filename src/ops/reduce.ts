import { colSumKernel } from "../kernels/rows.ts";
import { evaluate, type Value } from "../graph/extent.ts";
import type { Graph, Op, Tensor, Tensors } from "../graph/graph.ts";
import { at } from "./rowwise.ts";

/** Maximum number of parts into which a reduction over rows is cut: their sums are added in order. */
export const PARTS = 32;

/** Rows of one part, so that `rows` fall into at most `parts`. */
export function rowsPerPart(rows: Value, parts: number): Value {
  return (environment) => Math.max(1, Math.ceil(evaluate(rows, environment) / parts));
}

/** Parts that are not empty. */
export function partCount(rows: Value, parts: number): Value {
  return (environment) => {
    const count = evaluate(rows, environment);
    return Math.ceil(count / Math.max(1, Math.ceil(count / parts)));
  };
}

function columnSumOp(
  scale: Value,
  accumulate: boolean,
): Op<Tensors<"x">, Tensors<"sum" | "partial">> {
  return {
    name: "column-sum",
    lower({ x }, { sum, partial }, to) {
      // The sum is [1, width] or has the same elements as a parameter of any shape.
      const parts = to.chunks(partial)[0].capacity;
      to.chunks(x).forEach((chunk, index) => {
        to.dispatch({
          kernel: colSumKernel,
          buffers: { input: at(x, chunk), output: at(partial, 0) },
          params: {
            rows: chunk.rows,
            cols: x.width,
            rowsPerBlock: rowsPerPart(chunk.rows, parts),
            scale: 1,
          },
        });
        to.dispatch({
          kernel: colSumKernel,
          consts: { ACCUMULATE: accumulate || index > 0 },
          buffers: { input: at(partial, 0), output: at(sum, 0) },
          params: {
            rows: partCount(chunk.rows, parts),
            cols: x.width,
            rowsPerBlock: parts,
            scale,
          },
        });
      });
    },
  };
}

/** Adds `scale` times the column sums of x [rows, width] into a gradient buffer, in a fixed order. */
export function accumulateColumns(graph: Graph, x: Tensor, into: Tensor, scale: Value = 1): void {
  const partial = graph.value("column-parts", PARTS, x.width);
  graph.add(columnSumOp(scale, true), { x }, { sum: into, partial });
}

/** Column sums of x [rows, width] as a [1, width] tensor. */
export function columnSum(graph: Graph, x: Tensor): Tensor {
  const sum = graph.value(`sum(${x.name})`, 1, x.width);
  const partial = graph.value("column-parts", PARTS, x.width);
  graph.add(columnSumOp(1, false), { x }, { sum, partial });
  return sum;
}
