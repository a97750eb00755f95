import { nllLossKernel } from "../kernels/logits.ts";
import type { Graph, Op, Tensor, Tensors } from "../graph/graph.ts";
import { at } from "./rowwise.ts";

/** A loss per token: its gradient seeds and its terms for the metrics. */
export interface TokenLoss {
  /** [rows, 2] f32: gradient by log-probability and by entropy, the seed of differentiation. */
  gradient: Tensor;
  /** [rows, terms] f32: terms to be summed over rows; the first is the weighted loss. */
  terms: Tensor;
}

const nllLossOp: Op<Tensors<"out" | "weight">, Tensors<"gradient" | "terms">> = {
  name: "nll-loss",
  lower({ out, weight }, { gradient, terms }, to) {
    for (const chunk of to.chunks(out)) {
      to.dispatch({
        kernel: nllLossKernel,
        buffers: {
          out: at(out, chunk),
          weight: at(weight, chunk),
          grad: at(gradient, chunk),
          terms: at(terms, chunk),
        },
        params: { rows: chunk.rows },
      });
    }
  },
};

/**
 * Negative log-likelihood of the targets, weighted per row.
 *
 * out: [rows, 3] of `logProb`; weight: [rows, 1], already divided by the step's normaliser.
 * Terms: weighted loss, 1 where the weight is positive.
 */
export function nllLoss(graph: Graph, out: Tensor, weight: Tensor): TokenLoss {
  const gradient = graph.value("loss-gradient", out.rows, 2);
  const terms = graph.value("loss-terms", out.rows, 2);
  graph.add(nllLossOp, { out, weight }, { gradient, terms });
  return { gradient, terms };
}
