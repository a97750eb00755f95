import {
  geluBackwardKernel,
  geluKernel,
  swigluBackwardKernel,
  swigluKernel,
} from "../../kernels/pointwise.ts";
import type { Graph, Op, Tensor } from "../graph.ts";
import { lowerElementwise } from "./rowwise.ts";

const geluBackwardOp: Op = {
  name: "gelu-backward",
  lower({ inputs: [dy, x], outputs: [dx] }, to) {
    lowerElementwise(to, geluBackwardKernel, { dy: dy!, x: x!, dx: dx! });
  },
};

const geluOp: Op = {
  name: "gelu",
  lower({ inputs: [x], outputs: [y] }, to) {
    lowerElementwise(to, geluKernel, { x: x!, y: y! });
  },
  backward({ inputs: [x] }, [dy], tape) {
    const dx = tape.graph.value(`d${x!.name}`, x!.rows, x!.width);
    tape.graph.add(geluBackwardOp, [dy!, x!], [dx]);
    tape.add(x!, dx);
  },
};

/** GELU in its exact (erf) form, elementwise. */
export function gelu(graph: Graph, x: Tensor): Tensor {
  const y = graph.value(`gelu(${x.name})`, x.rows, x.width);
  graph.add(geluOp, [x], [y]);
  return y;
}

const swigluBackwardOp: Op = {
  name: "swiglu-backward",
  lower({ inputs: [dy, gate, up], outputs: [dgate, dup] }, to) {
    const tensors = { dy: dy!, gate: gate!, up: up!, dgate: dgate!, dup: dup! };
    lowerElementwise(to, swigluBackwardKernel, tensors);
  },
};

const swigluOp: Op = {
  name: "swiglu",
  lower({ inputs: [gate, up], outputs: [y] }, to) {
    lowerElementwise(to, swigluKernel, { gate: gate!, up: up!, y: y! });
  },
  backward({ inputs: [gate, up] }, [dy], tape) {
    const dgate = tape.graph.value("dgate", gate!.rows, gate!.width);
    const dup = tape.graph.value("dup", up!.rows, up!.width);
    tape.graph.add(swigluBackwardOp, [dy!, gate!, up!], [dgate, dup]);
    tape.add(gate!, dgate);
    tape.add(up!, dup);
  },
};

/** SwiGLU: silu(gate) * up, elementwise (Shazeer 2020, eq. 6). */
export function swiglu(graph: Graph, gate: Tensor, up: Tensor): Tensor {
  const y = graph.value("swiglu", gate.rows, gate.width);
  graph.add(swigluOp, [gate, up], [y]);
  return y;
}
