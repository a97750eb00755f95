import { colSumKernel } from "../../kernels/rows.ts";
import {
  layerNormBackwardKernel,
  layerNormKernel,
  normWeightGradKernel,
  rmsNormBackwardKernel,
  rmsNormKernel,
} from "../../kernels/norm.ts";
import type { Kernel } from "../../gpu/kernel.ts";
import type { Graph, Op, Tape, Tensor } from "../graph.ts";
import { accumulateColumns, partCount, PARTS, rowsPerPart } from "./reduce.ts";
import { at } from "./rowwise.ts";

function inputGradientOp(kernel: Kernel): Op {
  return {
    name: kernel.name,
    lower({ inputs: [dy, x, weight, stats], outputs: [dx] }, to) {
      for (const chunk of to.chunks(x!)) {
        to.dispatch({
          kernel,
          buffers: {
            dy: at(dy!, chunk),
            x: at(x!, chunk),
            weight: at(weight!, 0),
            stats: at(stats!, chunk),
            dx: at(dx!, chunk),
          },
          params: { rows: chunk.rows, cols: x!.width },
        });
      }
    },
  };
}

const weightGradientOp: Op = {
  name: "norm-weight-gradient",
  lower({ inputs: [dy, x, stats], outputs: [gradient, partial] }, to) {
    const parts = to.chunks(partial!)[0]!.capacity;
    for (const chunk of to.chunks(x!)) {
      to.dispatch({
        kernel: normWeightGradKernel,
        buffers: {
          dy: at(dy!, chunk),
          x: at(x!, chunk),
          stats: at(stats!, chunk),
          partial: at(partial!, 0),
        },
        params: { rows: chunk.rows, cols: x!.width, rowsPerBlock: rowsPerPart(chunk.rows, parts) },
      });
      to.dispatch({
        kernel: colSumKernel,
        consts: { ACCUMULATE: true },
        buffers: { input: at(partial!, 0), output: at(gradient!, 0) },
        params: {
          rows: partCount(chunk.rows, parts),
          cols: x!.width,
          rowsPerBlock: parts,
          scale: 1,
        },
      });
    }
  },
};

function addGradients(
  tape: Tape,
  kernel: Kernel,
  [x, weight, stats]: readonly [Tensor, Tensor, Tensor],
  dy: Tensor,
): void {
  const { graph } = tape;
  if (tape.needs(x)) {
    const dx = graph.value(`d${x.name}`, x.rows, x.width);
    graph.add(inputGradientOp(kernel), [dy, x, weight, stats], [dx]);
    tape.add(x, dx);
  }
  if (tape.needs(weight)) {
    const partial = graph.value("norm-parts", PARTS, x.width);
    graph.add(weightGradientOp, [dy, x, stats], [tape.parameterGradient(weight), partial]);
  }
}

function rmsNormOp(eps: number): Op {
  return {
    name: "rms-norm",
    lower({ inputs: [x, weight], outputs: [y, stats] }, to) {
      for (const chunk of to.chunks(x!)) {
        to.dispatch({
          kernel: rmsNormKernel,
          buffers: {
            x: at(x!, chunk),
            weight: at(weight!, 0),
            y: at(y!, chunk),
            stats: at(stats!, chunk),
          },
          params: { rows: chunk.rows, cols: x!.width, eps },
        });
      }
    },
    backward({ inputs: [x, weight], outputs: [, stats] }, [dy], tape) {
      addGradients(tape, rmsNormBackwardKernel, [x!, weight!, stats!], dy!);
    },
  };
}

/** RMSNorm over rows; x, y: [rows, width] f32, weight: width elements, statistics in f32. */
export function rmsNorm(graph: Graph, x: Tensor, weight: Tensor, eps: number): Tensor {
  const y = graph.value(`norm(${x.name})`, x.rows, x.width);
  const stats = graph.value("norm-stats", x.rows, 2);
  graph.add(rmsNormOp(eps), [x, weight], [y, stats]);
  return y;
}

function layerNormOp(eps: number): Op {
  return {
    name: "layer-norm",
    lower({ inputs: [x, weight, bias], outputs: [y, stats] }, to) {
      for (const chunk of to.chunks(x!)) {
        to.dispatch({
          kernel: layerNormKernel,
          buffers: {
            x: at(x!, chunk),
            weight: at(weight!, 0),
            bias: at(bias!, 0),
            y: at(y!, chunk),
            stats: at(stats!, chunk),
          },
          params: { rows: chunk.rows, cols: x!.width, eps },
        });
      }
    },
    backward({ inputs: [x, weight, bias], outputs: [, stats] }, [dy], tape) {
      addGradients(tape, layerNormBackwardKernel, [x!, weight!, stats!], dy!);
      if (tape.needs(bias!)) accumulateColumns(tape.graph, dy!, tape.parameterGradient(bias!));
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
  graph.add(layerNormOp(eps), [x, weight, bias], [y, stats]);
  return y;
}
