import { advanceKernel } from "../../kernels/sample.ts";
import { chooseAttention } from "../../kernels/choose.ts";
import { kvAppendKernel } from "../../kernels/attention.ts";
import { ShapeError } from "../../core/errors.ts";
import type { Graph, Lowering, Op, Tensor } from "../graph.ts";
import type { Value } from "../extent.ts";
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
  return chunks[0]!.rows;
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

/** What a decode step knows besides the cache. */
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

/** Appends this step's keys and values and attends over prompt and branch; q, o: [rows, heads * headDim]. */
export function decodeAttention(
  graph: Graph,
  { q, k, v }: { q: Tensor; k: Tensor; v: Tensor },
  cache: DecodeCache,
  step: DecodeStep,
): Tensor {
  const { prefixK, prefixV, suffixK, suffixV } = cache;
  const { prefix, state, capacity, heads, kvHeads, headDim } = step;
  const append: Op = {
    name: "kv-append",
    lower(_node, to) {
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
  graph.add(append, [k, v, state], [suffixK, suffixV]);
  const attend: Op = {
    name: "attention-decode",
    lower({ outputs: [o] }, to) {
      for (const tensor of [prefixK, suffixK]) wholeRows(to, tensor);
      const { decode, decodeKernel } = chooseAttention(to.profile, headDim);
      to.dispatch({
        kernel: decodeKernel,
        consts: { ...decode, HEAD_DIM: headDim },
        buffers: {
          q: at(q, 0),
          prefixK: at(prefixK, 0),
          prefixV: at(prefixV, 0),
          suffixK: at(suffixK, 0),
          suffixV: at(suffixV, 0),
          table: at(prefix, 0),
          state: at(state, 0),
          o: at(o!, 0),
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
  const o = graph.value("attention", q.rows, q.width);
  graph.add(attend, [q, prefixK, prefixV, suffixK, suffixV, prefix, state], [o]);
  return o;
}

/** Moves the decode state on by one token. */
export function advance(graph: Graph, state: Tensor): void {
  const op: Op = {
    name: "advance",
    lower(_node, to) {
      to.dispatch({
        kernel: advanceKernel,
        buffers: { state: at(state, 0) },
        params: { unused: 0 },
      });
    },
  };
  graph.add(op, [], [state]);
}
