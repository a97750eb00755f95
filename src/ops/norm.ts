import { colSumKernel } from "../kernels/rows.ts";
import {
  layerNormBackwardKernel,
  layerNormKernel,
  normWeightGradKernel,
  rmsNormBackwardKernel,
  rmsNormKernel,
} from "../kernels/norm.ts";
import type { Graph, Op, Tape, Tensor, Tensors } from "../graph/graph.ts";
import { accumulateColumns, partCount, PARTS, rowsPerPart } from "./reduce.ts";
import { at } from "./rowwise.ts";

/** The kernel of an input's gradient; both norms' have the same buffers and parameters. */
type BackwardKernel = typeof rmsNormBackwardKernel;

function inputGradientOp(
  kernel: BackwardKernel,
): Op<Tensors<"dy" | "x" | "weight" | "stats">, Tensors<"dx">> {
  return {
    name: kernel.name,
    lower({ dy, x, weight, stats }, { dx }, to) {
      for (const chunk of to.chunks(x)) {
        to.dispatch({
          kernel,
          buffers: {
            dy: at(dy, chunk),
            x: at(x, chunk),
            weight: at(weight, 0),
            stats: at(stats, chunk),
            dx: at(dx, chunk),
          },
          params: { rows: chunk.rows, cols: x.width },
        });
      }
    },
  };
}

const weightGradientOp: Op<Tensors<"dy" | "x" | "stats">, Tensors<"gradient" | "partial">> = {
  name: "norm-weight-gradient",
  lower({ dy, x, stats }, { gradient, partial }, to) {
    const parts = to.chunks(partial)[0].capacity;
    for (const chunk of to.chunks(x)) {
      to.dispatch({
        kernel: normWeightGradKernel,
        buffers: {
          dy: at(dy, chunk),
          x: at(x, chunk),
          stats: at(stats, chunk),
          partial: at(partial, 0),
        },
        params: { rows: chunk.rows, cols: x.width, rowsPerBlock: rowsPerPart(chunk.rows, parts) },
      });
      to.dispatch({
        kernel: colSumKernel,
        consts: { ACCUMULATE: true },
        buffers: { input: at(partial, 0), output: at(gradient, 0) },
        params: {
          rows: partCount(chunk.rows, parts),
          cols: x.width,
          rowsPerBlock: parts,
          scale: 1,
        },
      });
    }
  },
};

function addGradients(
  tape: Tape,
  kernel: BackwardKernel,
  { dy, x, weight, stats }: Tensors<"dy" | "x" | "weight" | "stats">,
): void {
  const { graph } = tape;
  if (tape.needs(x)) {
    const dx = graph.value(`d${x.name}`, x.rows, x.width);
    graph.add(inputGradientOp(kernel), { dy, x, weight, stats }, { dx });
    tape.add(x, dx);
  }
  if (tape.needs(weight)) {
    const partial = graph.value("norm-parts", PARTS, x.width);
    const gradient = tape.parameterGradient(weight);
    graph.add(weightGradientOp, { dy, x, stats }, { gradient, partial });
  }
}

function rmsNormOp(eps: number): Op<Tensors<"x" | "weight">, Tensors<"y" | "stats">> {
  return {
    name: "rms-norm",
    lower({ x, weight }, { y, stats }, to) {
      for (const chunk of to.chunks(x)) {
        to.dispatch({
          kernel: rmsNormKernel,
          buffers: {
            x: at(x, chunk),
            weight: at(weight, 0),
            y: at(y, chunk),
            stats: at(stats, chunk),
          },
          params: { rows: chunk.rows, cols: x.width, eps },
        });
      }
    },
    backward({ x, weight }, { y, stats }, tape) {
      addGradients(tape, rmsNormBackwardKernel, { dy: tape.gradient(y), x, weight, stats });
    },
  };
}

/** RMSNorm over rows; x, y: [rows, width] f32, weight: width elements, statistics in f32. */
export function rmsNorm(graph: Graph, x: Tensor, weight: Tensor, eps: number): Tensor {
  const y = graph.value(`norm(${x.name})`, x.rows, x.width);
  const stats = graph.value("norm-stats", x.rows, 2);
  graph.add(rmsNormOp(eps), { x, weight }, { y, stats });
  return y;
}

function layerNormOp(eps: number): Op<Tensors<"x" | "weight" | "bias">, Tensors<"y" | "stats">> {
  return {
    name: "layer-norm",
    lower({ x, weight, bias }, { y, stats }, to) {
      for (const chunk of to.chunks(x)) {
        to.dispatch({
          kernel: layerNormKernel,
          buffers: {
            x: at(x, chunk),
            weight: at(weight, 0),
            bias: at(bias, 0),
            y: at(y, chunk),
            stats: at(stats, chunk),
          },
          params: { rows: chunk.rows, cols: x.width, eps },
        });
      }
    },
    backward({ x, weight, bias }, { y, stats }, tape) {
      const dy = tape.gradient(y);
      addGradients(tape, layerNormBackwardKernel, { dy, x, weight, stats });
      if (tape.needs(bias)) accumulateColumns(tape.graph, dy, tape.parameterGradient(bias));
    },
  };
}

/** LayerNorm over rows with weight and bias (Ba et al. 2016); all f32. */
export function layerNorm(
  graph: Graph,
  x: Tensor,
  weight: Tensor,
  bias: Tensor,
  eps: number,
): Tensor {
  const y = graph.value(`norm(${x.name})`, x.rows, x.width);
  const stats = graph.value("norm-stats", x.rows, 2);
  graph.add(layerNormOp(eps), { x, weight, bias }, { y, stats });
  return y;
}
