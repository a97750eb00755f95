import { nllLossKernel } from "../../kernels/nll-loss.ts";
import { policyLossKernel } from "../../kernels/policy-loss.ts";
import type { Value } from "../extent.ts";
import type { Graph, Op, Tensor } from "../graph.ts";
import { at } from "./rowwise.ts";

/** A loss per token: its gradient seeds and its terms for the metrics. */
export interface TokenLoss {
  /** [rows, 2] f32: gradient by log-probability and by entropy, the seed of differentiation. */
  gradient: Tensor;
  /** [rows, terms] f32: terms to be summed over rows; the first is the weighted loss. */
  terms: Tensor;
}

/**
 * Negative log-likelihood of the targets, weighted per row.
 *
 * out: [rows, 3] of `logProb`; weight: [rows, 1], already divided by the step's normaliser.
 * Terms: weighted loss, 1 where the weight is positive.
 */
export function nllLoss(graph: Graph, out: Tensor, weight: Tensor): TokenLoss {
  const gradient = graph.value("loss-gradient", out.rows, 2);
  const terms = graph.value("loss-terms", out.rows, 2);
  const op: Op = {
    name: "nll-loss",
    lower(_node, to) {
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
  graph.add(op, [out, weight], [gradient, terms]);
  return { gradient, terms };
}

/** Per-token inputs of the policy loss, each [rows, 1] f32. */
export interface PolicyInputs {
  /** [rows, 3] of `logProb`. */
  out: Tensor;
  /** Log-probability under the policy that sampled the token. */
  old: Tensor;
  /** Log-probability under the reference policy; ignored where beta is 0. */
  reference: Tensor;
  advantage: Tensor;
  /** 0 where masked, else the token's share of the step's normaliser. */
  weight: Tensor;
}

/** Coefficients of the policy loss, fixed or runtime scalars. */
export interface PolicyCoefficients {
  epsilonLow: Value;
  epsilonHigh: Value;
  beta: Value;
  entropyCoef: Value;
}

/** Names of the columns of `policyLoss` terms. */
export const POLICY_TERMS = [
  "loss",
  "tokens",
  "kl",
  "ratio",
  "clipped_low",
  "clipped_high",
  "entropy",
  "logp_difference",
] as const;

/**
 * Clipped policy-gradient loss per token with a k3 KL term (Shao et al. 2024, DeepSeekMath, eq. 3-4;
 * asymmetric clipping of Yu et al. 2025, DAPO, eq. 10).
 */
export function policyLoss(
  graph: Graph,
  inputs: PolicyInputs,
  coefficients: PolicyCoefficients,
): TokenLoss {
  const { out, old, reference, advantage, weight } = inputs;
  const gradient = graph.value("loss-gradient", out.rows, 2);
  const terms = graph.value("loss-terms", out.rows, POLICY_TERMS.length);
  const op: Op = {
    name: "policy-loss",
    lower(_node, to) {
      for (const chunk of to.chunks(out)) {
        to.dispatch({
          kernel: policyLossKernel,
          buffers: {
            out: at(out, chunk),
            oldLogp: at(old, chunk),
            refLogp: at(reference, chunk),
            advantage: at(advantage, chunk),
            weight: at(weight, chunk),
            grad: at(gradient, chunk),
            terms: at(terms, chunk),
          },
          params: { rows: chunk.rows, ...coefficients },
        });
      }
    },
  };
  graph.add(op, [out, old, reference, advantage, weight], [gradient, terms]);
  return { gradient, terms };
}
