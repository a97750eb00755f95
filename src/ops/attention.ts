import {
  attentionBackwardKvKernel,
  attentionBackwardQKernel,
  attentionDeltaKernel,
  attentionKernel,
} from "../kernels/attention.ts";
import { chooseAttention } from "../kernels/choose.ts";
import { evaluate, type Environment } from "../graph/extent.ts";
import type { Graph, Lowering, Op, Tensor, Tensors } from "../graph/graph.ts";
import { at } from "./rowwise.ts";

/** Which keys each query row sees, and the reverse: ragged structure as tables, never masks. */
export interface AttentionSegments {
  /** [rows, 4] u32 (a0, a1, b0, b1): the row sees keys [a0, a1) and [b0, b1). */
  segments: Tensor;
  /** [keys, 2] u32 (q0, q1): exactly the rows [q0, q1) see this key. */
  keyRanges: Tensor;
}

/** Head layout of an attention. */
export interface HeadLayout {
  heads: number;
  kvHeads: number;
  headDim: number;
  /** Scalar `visible` of a replay: query-key pairs per head, for the FLOP counters. */
  visible: string;
}

function params({ heads, kvHeads, headDim }: HeadLayout): {
  heads: number;
  kvHeads: number;
  scale: number;
} {
  return { heads, kvHeads, scale: 1 / Math.sqrt(headDim) };
}

function pairFlops({ heads, headDim, visible }: HeadLayout, products: number, parts: number) {
  return ({ scalars }: Environment) =>
    (2 * products * heads * headDim * (scalars[visible] ?? 0)) / parts;
}

/** The tensors that the gradients of queries and keys need. */
type BackwardInputs = Tensors<"q" | "k" | "v" | "dO" | "stats">;

function backwardOps(layout: HeadLayout): {
  delta: Op<Tensors<"o" | "dO" | "lse">, Tensors<"stats">>;
  queries: Op<BackwardInputs & Tensors<"segments">, Tensors<"dq">>;
  keys: Op<BackwardInputs & Tensors<"keyRanges">, Tensors<"dk" | "dv">>;
} {
  const consts = { HEAD_DIM: layout.headDim };
  const tile = ({ profile }: Lowering) => chooseAttention(profile, layout.headDim);
  return {
    delta: {
      name: "attention-delta",
      lower({ o, dO, lse }, { stats }, to) {
        for (const rows of to.chunks(o)) {
          to.dispatch({
            kernel: attentionDeltaKernel,
            consts,
            buffers: {
              o: at(o, rows),
              dO: at(dO, rows),
              lse: at(lse, rows),
              stats: at(stats, rows),
            },
            params: { rows: rows.rows, heads: layout.heads },
          });
        }
      },
    },
    queries: {
      name: "attention-backward-q",
      lower({ q, k, v, dO, stats, segments }, { dq }, to) {
        const keys = to.chunks(k);
        for (const rows of to.chunks(q)) {
          for (const part of keys) {
            to.dispatch({
              kernel: attentionBackwardQKernel,
              consts: { ...consts, ...tile(to).backwardQ, ACCUMULATE: part.index > 0 },
              buffers: {
                q: at(q, rows),
                k: at(k, part),
                v: at(v, part),
                dO: at(dO, rows),
                stats: at(stats, rows),
                segments: at(segments, rows),
                dq: at(dq, rows),
              },
              params: {
                ...params(layout),
                rows: rows.rows,
                keyFirst: part.first,
                keyCount: part.rows,
              },
              flops: pairFlops(layout, 3, keys.length),
            });
          }
        }
      },
    },
    keys: {
      name: "attention-backward-kv",
      lower({ q, k, v, dO, stats, keyRanges }, { dk, dv }, to) {
        const chunks = to.chunks(q);
        for (const part of to.chunks(k)) {
          for (const rows of chunks) {
            to.dispatch({
              kernel: attentionBackwardKvKernel,
              consts: { ...consts, ...tile(to).backwardKv, ACCUMULATE: rows.index > 0 },
              buffers: {
                q: at(q, rows),
                k: at(k, part),
                v: at(v, part),
                dO: at(dO, rows),
                stats: at(stats, rows),
                keyRanges: at(keyRanges, part),
                dk: at(dk, part),
                dv: at(dv, part),
              },
              params: {
                ...params(layout),
                keys: part.rows,
                rowFirst: rows.first,
                rowCount: rows.rows,
              },
              flops: pairFlops(layout, 4, chunks.length),
            });
          }
        }
      },
    },
  };
}

function attentionOp(
  layout: HeadLayout,
): Op<Tensors<"q" | "k" | "v" | "segments" | "keyRanges">, Tensors<"o" | "lse">> {
  return {
    name: "attention",
    lower({ q, k, v, segments }, { o, lse }, to) {
      const { forward } = chooseAttention(to.profile, layout.headDim);
      const keys = to.chunks(k);
      for (const rows of to.chunks(q)) {
        for (const part of keys) {
          to.dispatch({
            kernel: attentionKernel,
            consts: { ...forward, HEAD_DIM: layout.headDim, MERGE: part.index > 0 },
            buffers: {
              q: at(q, rows),
              k: at(k, part),
              v: at(v, part),
              segments: at(segments, rows),
              o: at(o, rows),
              lse: at(lse, rows),
            },
            params: {
              ...params(layout),
              rows: rows.rows,
              keyFirst: part.first,
              keyCount: part.rows,
            },
            flops: (environment) =>
              evaluate(rows.rows, environment) > 0
                ? pairFlops(layout, 2, keys.length)(environment)
                : 0,
          });
        }
      }
    },
    backward({ q, k, v, segments, keyRanges }, { o, lse }, tape) {
      if (![q, k, v].some((tensor) => tape.needs(tensor))) return;
      const { graph } = tape;
      const dO = tape.gradient(o);
      const ops = backwardOps(layout);
      const stats = graph.value("attention-stats", q.rows, 2 * layout.heads);
      graph.add(ops.delta, { o, dO, lse }, { stats });
      const dq = graph.value("dq", q.rows, q.width);
      graph.add(ops.queries, { q, k, v, dO, stats, segments }, { dq });
      const dk = graph.value("dk", k.rows, k.width);
      const dv = graph.value("dv", v.rows, v.width);
      graph.add(ops.keys, { q, k, v, dO, stats, keyRanges }, { dk, dv });
      tape.add(q, dq);
      tape.add(k, dk);
      tape.add(v, dv);
    },
  };
}

/**
 * Scaled dot-product attention with grouped key-value heads over ragged segments.
 *
 * q, o: [rows, heads * headDim]; k, v: [keys, kvHeads * headDim]; f32 softmax in key order. Scores
 * are never held: forward keeps the log-sum-exp, backward recomputes (Dao 2023, FlashAttention-2).
 */
export function attention(
  graph: Graph,
  { q, k, v }: { q: Tensor; k: Tensor; v: Tensor },
  { segments, keyRanges }: AttentionSegments,
  layout: HeadLayout,
): Tensor {
  const o = graph.value("attention", q.rows, q.width);
  const lse = graph.value("attention-lse", q.rows, layout.heads);
  graph.add(attentionOp(layout), { q, k, v, segments, keyRanges }, { o, lse });
  return o;
}
