import type { Graph, Op, Tensor, Tensors } from "../../../src/graph/graph.ts";
import { at, elements } from "../../../src/ops/rowwise.ts";
import { softsignBackwardKernel, softsignKernel } from "./kernels.ts";

function backwardOp(sharpness: number): Op<Tensors<"dy" | "x">, Tensors<"dx">> {
  return {
    name: "softsign-backward",
    lower({ dy, x }, { dx }, to) {
      for (const chunk of to.chunks(x)) {
        to.dispatch({
          kernel: softsignBackwardKernel,
          buffers: { dy: at(dy, chunk), x: at(x, chunk), dx: at(dx, chunk) },
          params: { count: elements(chunk, x), sharpness },
        });
      }
    },
  };
}

function forwardOp(sharpness: number): Op<Tensors<"x">, Tensors<"y">> {
  return {
    name: "softsign",
    lower({ x }, { y }, to) {
      for (const chunk of to.chunks(x)) {
        to.dispatch({
          kernel: softsignKernel,
          buffers: { x: at(x, chunk), y: at(y, chunk) },
          params: { count: elements(chunk, x), sharpness },
        });
      }
    },
    backward({ x }, { y }, tape) {
      const dx = tape.graph.value(`d${x.name}`, x.rows, x.width);
      tape.graph.add(backwardOp(sharpness), { dy: tape.gradient(y), x }, { dx });
      tape.add(x, dx);
    },
  };
}

/** Softsign of a given sharpness, elementwise: s x / (1 + |s x|). */
export function softsign(graph: Graph, x: Tensor, sharpness: number): Tensor {
  const y = graph.value(`softsign(${x.name})`, x.rows, x.width);
  graph.add(forwardOp(sharpness), { x }, { y });
  return y;
}
