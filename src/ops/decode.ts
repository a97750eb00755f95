import { advanceKernel } from "../kernels/sample.ts";
import { chooseAttention } from "../kernels/choose.ts";
import { kvAppendKernel } from "../kernels/attention.ts";
import { ShapeError } from "../core/errors.ts";
import type { Graph, Lowering, Op, Tensor, Tensors } from "../graph/graph.ts";
import type { Value } from "../graph/extent.ts";
import { at } from "./rowwise.ts";

/** Rows of a tensor that a decode step needs in one binding. */
export function wholeRows(to: Lowering, tensor: Tensor): Value {
  const chunks = to.chunks(tensor);
  if (chunks.length > 1) {
    throw new ShapeError(
      "decode-too-large",
      `${tensor.name} needs ${chunks.length} bindings of this adapter; a decode step takes one.`,
      { hint: "Decode fewer prompts at a time." },
    );
  }
  return chunks[0].rows;
}

/** Keys and values of one layer: the shared prompts, and what every branch added. */
export interface DecodeCache {
  /** [prompt tokens, kvHeads * headDim]. */
  prefixK: Tensor;
  prefixV: Tensor;
  /** [rows * capacity, kvHeads * headDim]. */
  suffixK: Tensor;
  suffixV: Tensor;
}

/** The inputs of a decode step besides the cache. */
export interface DecodeStep {
  /** [rows, 2] u32: the prompt's rows in the prefix cache, from and to. */
  prefix: Tensor;
  /** [1, 1] u32: tokens that every branch has written before this step. */
  state: Tensor;
  /** Tokens that a branch can hold. */
  capacity: number;
  heads: number;
  kvHeads: number;
  headDim: number;
}

function appendOp(
  capacity: number,
): Op<Tensors<"k" | "v" | "state">, Tensors<"suffixK" | "suffixV">> {
  return {
    name: "kv-append",
    lower({ k, v, state }, { suffixK, suffixV }, to) {
      to.dispatch({
        kernel: kvAppendKernel,
        buffers: {
          k: at(k, 0),
          v: at(v, 0),
          state: at(state, 0),
          suffixK: at(suffixK, 0),
          suffixV: at(suffixV, 0),
        },
        params: { rows: wholeRows(to, k), width: k.width, capacity },
      });
    },
  };
}

function attendOp({
  capacity,
  heads,
  kvHeads,
  headDim,
}: Omit<DecodeStep, "prefix" | "state">): Op<
  Tensors<"q" | keyof DecodeCache | "prefix" | "state">,
  Tensors<"o">
> {
  return {
    name: "attention-decode",
    lower({ q, prefixK, prefixV, suffixK, suffixV, prefix, state }, { o }, to) {
      for (const tensor of [prefixK, suffixK]) wholeRows(to, tensor);
      const { kernel, consts } = chooseAttention(to.profile, headDim).decode;
      to.dispatch({
        kernel,
        consts: { ...consts, HEAD_DIM: headDim },
        buffers: {
          q: at(q, 0),
          prefixK: at(prefixK, 0),
          prefixV: at(prefixV, 0),
          suffixK: at(suffixK, 0),
          suffixV: at(suffixV, 0),
          table: at(prefix, 0),
          state: at(state, 0),
          o: at(o, 0),
        },
        params: {
          rows: wholeRows(to, q),
          heads,
          kvHeads,
          capacity,
          scale: 1 / Math.sqrt(headDim),
        },
      });
    },
  };
}

/** Appends this step's keys and values and attends over prompt and branch; q, o: [rows, heads * headDim]. */
export function decodeAttention(
  graph: Graph,
  { q, k, v }: Tensors<"q" | "k" | "v">,
  cache: DecodeCache,
  step: DecodeStep,
): Tensor {
  const { prefixK, prefixV, suffixK, suffixV } = cache;
  const { prefix, state, ...sizes } = step;
  graph.add(appendOp(sizes.capacity), { k, v, state }, { suffixK, suffixV });
  const o = graph.value("attention", q.rows, q.width);
  const inputs = { q, prefixK, prefixV, suffixK, suffixV, prefix, state };
  graph.add(attendOp(sizes), inputs, { o });
  return o;
}

const advanceOp: Op<Tensors<never>, Tensors<"state">> = {
  name: "advance",
  lower(_inputs, { state }, to) {
    to.dispatch({
      kernel: advanceKernel,
      buffers: { state: at(state, 0) },
      params: { unused: 0 },
    });
  },
};

/** Moves the decode state on by one token. */
export function advance(graph: Graph, state: Tensor): void {
  graph.add(advanceOp, {}, { state });
}
