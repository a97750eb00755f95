import {
  geluBackwardKernel,
  geluKernel,
  swigluBackwardKernel,
  swigluKernel,
} from "../kernels/pointwise.ts";
import type { Graph, Op, Tensor, Tensors } from "../graph/graph.ts";
import { at, elements } from "./rowwise.ts";

const geluBackwardOp: Op<Tensors<"dy" | "x">, Tensors<"dx">> = {
  name: "gelu-backward",
  lower({ dy, x }, { dx }, to) {
    for (const chunk of to.chunks(x)) {
      to.dispatch({
        kernel: geluBackwardKernel,
        buffers: { dy: at(dy, chunk), x: at(x, chunk), dx: at(dx, chunk) },
        params: { count: elements(chunk, x) },
      });
    }
  },
};

const geluOp: Op<Tensors<"x">, Tensors<"y">> = {
  name: "gelu",
  lower({ x }, { y }, to) {
    for (const chunk of to.chunks(x)) {
      to.dispatch({
        kernel: geluKernel,
        buffers: { x: at(x, chunk), y: at(y, chunk) },
        params: { count: elements(chunk, x) },
      });
    }
  },
  backward({ x }, { y }, tape) {
    const dx = tape.graph.value(`d${x.name}`, x.rows, x.width);
    tape.graph.add(geluBackwardOp, { dy: tape.gradient(y), x }, { dx });
    tape.add(x, dx);
  },
};

/** GELU in its exact (erf) form, elementwise. */
export function gelu(graph: Graph, x: Tensor): Tensor {
  const y = graph.value(`gelu(${x.name})`, x.rows, x.width);
  graph.add(geluOp, { x }, { y });
  return y;
}

const swigluBackwardOp: Op<Tensors<"dy" | "gate" | "up">, Tensors<"dgate" | "dup">> = {
  name: "swiglu-backward",
  lower({ dy, gate, up }, { dgate, dup }, to) {
    for (const chunk of to.chunks(dy)) {
      to.dispatch({
        kernel: swigluBackwardKernel,
        buffers: {
          dy: at(dy, chunk),
          gate: at(gate, chunk),
          up: at(up, chunk),
          dgate: at(dgate, chunk),
          dup: at(dup, chunk),
        },
        params: { count: elements(chunk, dy) },
      });
    }
  },
};

const swigluOp: Op<Tensors<"gate" | "up">, Tensors<"y">> = {
  name: "swiglu",
  lower({ gate, up }, { y }, to) {
    for (const chunk of to.chunks(gate)) {
      to.dispatch({
        kernel: swigluKernel,
        buffers: { gate: at(gate, chunk), up: at(up, chunk), y: at(y, chunk) },
        params: { count: elements(chunk, gate) },
      });
    }
  },
  backward({ gate, up }, { y }, tape) {
    const dgate = tape.graph.value("dgate", gate.rows, gate.width);
    const dup = tape.graph.value("dup", up.rows, up.width);
    tape.graph.add(swigluBackwardOp, { dy: tape.gradient(y), gate, up }, { dgate, dup });
    tape.add(gate, dgate);
    tape.add(up, dup);
  },
};

/** SwiGLU: silu(gate) * up, elementwise (Shazeer 2020, eq. 6). */
export function swiglu(graph: Graph, gate: Tensor, up: Tensor): Tensor {
  const y = graph.value("swiglu", gate.rows, gate.width);
  graph.add(swigluOp, { gate, up }, { y });
  return y;
}
