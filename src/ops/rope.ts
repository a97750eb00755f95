import { ropeDecodeKernel, ropeKernel } from "../kernels/attention.ts";
import type { Graph, Op, Tensor, Tensors } from "../graph/graph.ts";
import { wholeRows } from "./decode.ts";
import { at } from "./rowwise.ts";

function ropeOp(headDim: number, sign: 1 | -1): Op<Tensors<"x" | "table">, Tensors<"y">> {
  return {
    name: "rope",
    lower({ x, table }, { y }, to) {
      for (const chunk of to.chunks(x)) {
        to.dispatch({
          kernel: ropeKernel,
          buffers: { x: at(x, chunk), table: at(table, chunk), y: at(y, chunk) },
          params: { rows: chunk.rows, heads: x.width / headDim, headDim, sign },
        });
      }
    },
    backward({ x, table }, { y }, tape) {
      if (!tape.needs(x)) return;
      const dx = tape.graph.value(`d${x.name}`, x.rows, x.width);
      const back = ropeOp(headDim, sign === 1 ? -1 : 1);
      tape.graph.add(back, { x: tape.gradient(y), table }, { y: dx });
      tape.add(x, dx);
    },
  };
}

/**
 * Rotary embedding (rotate-half) of every head of x [rows, heads * headDim] by the row's angles.
 *
 * table: [rows, headDim] f32, cosines of the headDim/2 angles, then sines; its gradient is the
 * rotation back. With `into` the result goes to a cache instead of a planned tensor. One op serves
 * 1-D, M-RoPE and 2-D rotary: they differ in the table alone.
 */
export function rope(
  graph: Graph,
  x: Tensor,
  table: Tensor,
  headDim: number,
  into?: Tensor,
): Tensor {
  const y = into ?? graph.value(`rope(${x.name})`, x.rows, x.width);
  graph.add(ropeOp(headDim, 1), { x, table }, { y });
  return y;
}

function ropeDecodeOp(
  headDim: number,
): Op<Tensors<"x" | "table" | "base" | "state">, Tensors<"y">> {
  return {
    name: "rope-decode",
    lower({ x, table, base, state }, { y }, to) {
      to.dispatch({
        kernel: ropeDecodeKernel,
        buffers: {
          x: at(x, 0),
          table: at(table, 0),
          base: at(base, 0),
          state: at(state, 0),
          y: at(y, 0),
        },
        params: { rows: wholeRows(to, x), heads: x.width / headDim, headDim, sign: 1 },
      });
    },
  };
}

/**
 * Rotary embedding of one decode step: row r takes table row base[r] + step.
 *
 * x: [rows, heads * headDim]; table: [positions, headDim]; base: [rows, 1] u32; state: step counter.
 */
export function ropeDecode(
  graph: Graph,
  x: Tensor,
  { headDim, ...step }: Tensors<"table" | "base" | "state"> & { headDim: number },
): Tensor {
  const y = graph.value(`rope(${x.name})`, x.rows, x.width);
  graph.add(ropeDecodeOp(headDim), { x, ...step }, { y });
  return y;
}
