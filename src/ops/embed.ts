import { assert } from "../core/errors.ts";
import { bucketSumKernel } from "../kernels/rows.ts";
import type { Graph, Op, Tensor, Tensors } from "../graph/graph.ts";
import { lowerGather, takeRows, type RowGroups } from "./rows.ts";
import { at, whole } from "./rowwise.ts";

/** Tokens grouped by id, for the gradient of an embedding table. */
export interface TokenBuckets extends RowGroups {
  /** [buckets, 1] u32: the token id of each bucket. */
  token: Tensor;
}

/** Rows of features and where they go among the tokens. */
export interface Splice {
  /** [features, width] f32. */
  features: Tensor;
  /** [tokens, 1] u32: the feature row of each token, or `NO_ROW`. */
  source: Tensor;
  /** [features, 1] u32: the token of each feature row. */
  destination: Tensor;
}

const embeddingGradientOp: Op<Tensors<"dy" | keyof TokenBuckets>, Tensors<"gradient">> = {
  name: "embedding-gradient",
  lower({ dy, order, start, token }, { gradient }, to) {
    whole(to, order);
    whole(to, start);
    const buckets = whole(to, token);
    for (const part of to.chunks(gradient)) {
      for (const rows of to.chunks(dy)) {
        to.dispatch({
          kernel: bucketSumKernel,
          buffers: {
            dy: at(dy, rows),
            order: at(order, 0),
            start: at(start, 0),
            token: at(token, 0),
            table: at(gradient, part),
          },
          params: {
            buckets,
            cols: dy.width,
            first: part.first,
            tableRows: part.capacity,
            dyFirst: rows.first,
            dyRows: rows.rows,
          },
        });
      }
    }
  },
};

/** Operands of an embedding: the lists have one tensor for each splice. */
type EmbedInputs = Tensors<"table" | "ids"> &
  Readonly<Record<keyof Splice, readonly Tensor[]>> &
  Partial<TokenBuckets>;

const embedOp: Op<EmbedInputs, Tensors<"y">> = {
  name: "embed",
  lower({ table, ids, features, source }, { y }, to) {
    const scale = table.parameter?.scale ?? 1;
    lowerGather(to, { source: table, index: ids, y }, { scale });
    for (const [i, rows] of features.entries()) {
      lowerGather(to, { source: rows, index: source[i]!, y }, { keep: true });
    }
  },
  backward({ table, features, destination, order, start, token }, { y }, tape) {
    const dy = tape.gradient(y);
    for (const [i, rows] of features.entries()) {
      if (!tape.needs(rows)) continue;
      tape.add(rows, takeRows(tape.graph, dy, destination[i]!, rows.rows));
    }
    if (!tape.needs(table)) return;
    const grouped = order !== undefined && start !== undefined && token !== undefined;
    assert(grouped, "a trained embedding needs its token buckets");
    const gradient = tape.parameterGradient(table);
    tape.graph.add(embeddingGradientOp, { dy, order, start, token }, { gradient });
  },
};

/**
 * Token embeddings with media features in the places of their placeholders.
 *
 * table: [vocabulary, width] f32 or f16s; ids: [tokens, 1] u32, `NO_ROW` for placeholders; y: [tokens, width] f32.
 * `buckets` is needed only when the table is trained.
 */
export function embed(
  graph: Graph,
  table: Tensor,
  ids: Tensor,
  splices: readonly Splice[],
  buckets: TokenBuckets | undefined,
): Tensor {
  const y = graph.value("embeddings", ids.rows, table.width);
  const media = {
    features: splices.map(({ features }) => features),
    source: splices.map(({ source }) => source),
    destination: splices.map(({ destination }) => destination),
  };
  graph.add(embedOp, { table, ids, ...media, ...buckets }, { y });
  return y;
}
