import { ropeDecodeKernel, ropeKernel } from "../../kernels/attention.ts";
import type { Graph, Op, Tensor } from "../graph.ts";
import { at } from "./rowwise.ts";

function ropeOp(headDim: number, sign: 1 | -1): Op {
  return {
    name: "rope",
    lower({ inputs: [x, table], outputs: [y] }, to) {
      for (const chunk of to.chunks(x!)) {
        to.dispatch({
          kernel: ropeKernel,
          buffers: { x: at(x!, chunk), table: at(table!, chunk), y: at(y!, chunk) },
          params: { rows: chunk.rows, heads: x!.width / headDim, headDim, sign },
        });
      }
    },
    backward({ inputs: [x, table] }, [dy], tape) {
      if (!tape.needs(x!)) return;
      const dx = tape.graph.value(`d${x!.name}`, x!.rows, x!.width);
      tape.graph.add(ropeOp(headDim, sign === 1 ? -1 : 1), [dy!, table!], [dx]);
      tape.add(x!, dx);
    },
  };
}

/**
 * Rotary embedding (rotate-half) of every head of x [rows, heads * headDim] by the row's angles.
 *
 * table: [rows, headDim] f32, cosines of the headDim/2 angles, then sines; its gradient is the
 * rotation back. With `into` the result goes to a cache instead of a planned tensor. One op serves 1-D, M-RoPE and 2-D rotary: they differ in the table alone.
 */
export function rope(
  graph: Graph,
  x: Tensor,
  table: Tensor,
  headDim: number,
  into?: Tensor,
): Tensor {
  const y = into ?? graph.value(`rope(${x.name})`, x.rows, x.width);
  graph.add(ropeOp(headDim, 1), [x, table], [y]);
  return y;
}

/**
 * Rotary embedding of one decode step: row r takes table row base[r] + step.
 *
 * x: [rows, heads * headDim]; table: [positions, headDim]; base: [rows, 1] u32; state: step counter.
 */
export function ropeDecode(
  graph: Graph,
  x: Tensor,
  { table, base, state, headDim }: { table: Tensor; base: Tensor; state: Tensor; headDim: number },
): Tensor {
  const y = graph.value(`rope(${x.name})`, x.rows, x.width);
  const op: Op = {
    name: "rope-decode",
    lower(node, to) {
      const [from, angles, first, step] = node.inputs as [Tensor, Tensor, Tensor, Tensor];
      const [chunk] = to.chunks(from);
      to.dispatch({
        kernel: ropeDecodeKernel,
        buffers: {
          x: at(from, 0),
          table: at(angles, 0),
          base: at(first, 0),
          state: at(step, 0),
          y: at(node.outputs[0]!, 0),
        },
        params: { rows: chunk!.rows, heads: from.width / headDim, headDim, sign: 1 },
      });
    },
  };
  graph.add(op, [x, table, base, state], [y]);
  return y;
}
