import { convPackBackwardKernel, convPackKernel, poolRowsKernel } from "../kernels/conv.ts";
import type { Graph, Op, Tensor, Tensors } from "../graph/graph.ts";
import { takeRows } from "./rows.ts";
import { at, whole } from "./rowwise.ts";

const packBackwardOp: Op<Tensors<"dy" | "inverse">, Tensors<"dx">> = {
  name: "conv-pack-backward",
  lower({ dy, inverse }, { dx }, to) {
    whole(to, dy);
    to.dispatch({
      kernel: convPackBackwardKernel,
      buffers: { dy: at(dy, 0), inverse: at(inverse, 0), dx: at(dx, 0) },
      params: { rows: whole(to, dx), cols: dx.width, taps: inverse.width },
    });
  },
};

/** Index tables of a one-dimensional convolution over ragged rows. */
export interface ConvWindows {
  /** [outputs, taps] u32: input row of each tap, or `NO_ROW`. */
  index: Tensor;
  /** [inputs, taps] u32: places out * taps + tap that read this input row, or `NO_ROW`. */
  inverse: Tensor;
}

const packOp: Op<Tensors<"x" | "index" | "inverse">, Tensors<"y">> = {
  name: "conv-pack",
  lower({ x, index }, { y }, to) {
    whole(to, x);
    to.dispatch({
      kernel: convPackKernel,
      buffers: { x: at(x, 0), index: at(index, 0), y: at(y, 0) },
      params: { rows: whole(to, y), cols: x.width, taps: index.width },
    });
  },
  backward({ x, inverse }, { y }, tape) {
    if (!tape.needs(x)) return;
    const dx = tape.graph.value(`d${x.name}`, x.rows, x.width);
    tape.graph.add(packBackwardOp, { dy: tape.gradient(y), inverse }, { dx });
    tape.add(x, dx);
  },
};

/** Lays out convolution windows for a matrix product: [outputs, width * taps] in (channel, tap) order. */
export function convPack(graph: Graph, x: Tensor, { index, inverse }: ConvWindows): Tensor {
  const y = graph.value(`windows(${x.name})`, index.rows, x.width * index.width);
  graph.add(packOp, { x, index, inverse }, { y });
  return y;
}

const poolOp: Op<Tensors<"x" | "first" | "inverse">, Tensors<"y">> = {
  name: "pool-rows",
  lower({ x, first }, { y }, to) {
    whole(to, x);
    to.dispatch({
      kernel: poolRowsKernel,
      buffers: { x: at(x, 0), first: at(first, 0), y: at(y, 0) },
      params: { rows: whole(to, y), cols: x.width },
    });
  },
  backward({ x, inverse }, { y }, tape) {
    if (!tape.needs(x)) return;
    tape.add(x, takeRows(tape.graph, tape.gradient(y), inverse, x.rows, 0.5));
  },
};

/**
 * Means of neighbouring row pairs: y[i] = (x[first[i]] + x[first[i] + 1]) / 2.
 *
 * first: [pooled, 1] u32; inverse: [rows, 1] u32, the pooled row of each input row, or `NO_ROW`.
 */
export function poolRows(graph: Graph, x: Tensor, first: Tensor, inverse: Tensor): Tensor {
  const y = graph.value(`pooled(${x.name})`, first.rows, x.width);
  graph.add(poolOp, { x, first, inverse }, { y });
  return y;
}
