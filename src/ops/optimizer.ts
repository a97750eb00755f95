import { adamwKernel, clipCoefficientKernel, gradNormKernel } from "../kernels/optimizer.ts";
import { scalar } from "../graph/extent.ts";
import type { Graph, Op, Tensor, Tensors } from "../graph/graph.ts";
import { at } from "./rowwise.ts";

/** Elements whose squares one workgroup sums for the gradient norm. */
const NORM_BLOCK = 4096;

const clipOp: Op<{ gradients: readonly Tensor[] }, Tensors<"clip" | "partial">> = {
  name: "gradient-norm",
  lower({ gradients }, { clip, partial }, to) {
    let first = 0;
    for (const gradient of gradients) {
      for (const chunk of to.chunks(gradient)) {
        const count = chunk.capacity * gradient.width;
        to.dispatch({
          kernel: gradNormKernel,
          buffers: { grad: at(gradient, chunk), partial: at(partial, 0) },
          params: { count, perBlock: NORM_BLOCK, first },
        });
        first += Math.ceil(count / NORM_BLOCK);
      }
    }
    to.dispatch({
      kernel: clipCoefficientKernel,
      buffers: { partial: at(partial, 0), clip: at(clip, 0) },
      params: { count: first, maxNorm: scalar("maxGradNorm") },
    });
  },
};

/**
 * Global gradient norm and the clipping coefficient, as torch's `clip_grad_norm_`.
 *
 * Sums of squares per block, then over blocks in order. Returns [1, 2] f32: norm before clipping, and
 * min(1, maxNorm / (norm + 1e-6)). Scalar `maxGradNorm` of the replay.
 */
export function clipCoefficient(graph: Graph, gradients: readonly Tensor[]): Tensor {
  const sizes = gradients.map((gradient) => (gradient.rows as number) * gradient.width);
  // Every chunk starts a new block, so the bound counts one more for each of them.
  const bound = sizes.reduce((sum, size) => sum + Math.ceil(size / NORM_BLOCK) + 1, 0);
  const partial = graph.value("norm-parts", 1, bound);
  const clip = graph.value("clip", 1, 2);
  graph.add(clipOp, { gradients }, { clip, partial });
  return clip;
}

/** One trained tensor with its AdamW state, all of one shape. */
export interface Moments {
  value: Tensor;
  gradient: Tensor;
  m: Tensor;
  v: Tensor;
  /** False for tensors that are not decayed. */
  decay: boolean;
}

function adamwOp(decay: boolean): Op<Tensors<"gradient" | "clip">, Tensors<"value" | "m" | "v">> {
  return {
    name: "adamw",
    lower({ gradient, clip }, { value, m, v }, to) {
      for (const chunk of to.chunks(value)) {
        to.dispatch({
          kernel: adamwKernel,
          buffers: {
            param: at(value, chunk),
            grad: at(gradient, chunk),
            m: at(m, chunk),
            v: at(v, chunk),
            clip: at(clip, 0),
          },
          params: {
            count: chunk.capacity * value.width,
            learningRate: scalar("learningRate"),
            complement1: scalar("complement1"),
            complement2: scalar("complement2"),
            eps: scalar("eps"),
            weightDecay: decay ? scalar("weightDecay") : 0,
            correction1: scalar("correction1"),
            correction2: scalar("correction2"),
          },
        });
      }
    },
  };
}

/**
 * One AdamW update in place (Loshchilov and Hutter 2019), f32 master weights, as torch.optim.AdamW.
 *
 * The replay's scalars are those of `adamwParams`. Gradients are scaled by the clip coefficient; a
 * gradient that is not finite skips the update.
 */
export function adamw(graph: Graph, { value, gradient, m, v, decay }: Moments, clip: Tensor): void {
  graph.add(adamwOp(decay), { gradient, clip }, { value, m, v });
}
