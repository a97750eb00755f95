import { assert, ShapeError } from "../../core/errors.ts";
import {
  addRowsKernel,
  bucketSumKernel,
  gatherRowsKernel,
  gatherSumKernel,
} from "../../kernels/rows.ts";
import { convPackBackwardKernel, convPackKernel, poolRowsKernel } from "../../kernels/conv.ts";
import type { Dim, Value } from "../extent.ts";
import type { Graph, Lowering, Op, Tensor } from "../graph.ts";
import { at } from "./rowwise.ts";

/** Index value of a row that comes from nowhere. */
export const NO_ROW = 0xffffffff;

/** Requires a tensor in one chunk, for ops that index freely into it or whose windows straddle borders. */
function whole(to: Lowering, tensor: Tensor): Value {
  const chunks = to.chunks(tensor);
  if (chunks.length === 1) return chunks[0]!.rows;
  const rows = chunks.reduce((sum, { capacity }) => sum + capacity, 0);
  throw new ShapeError(
    "tensor-in-chunks",
    `${tensor.name} has ${rows} rows of ${tensor.width}, of which one binding of this adapter ` +
      `holds ${chunks[0]!.capacity}; this op needs all of them in one.`,
    { hint: "Put fewer tokens or shorter media into one pass." },
  );
}

/** Gathers from a table in chunks; further sources go over the result with KEEP. */
function lowerGather(
  to: Lowering,
  [source, index, y]: readonly [Tensor, Tensor, Tensor],
  keep: boolean,
  scale: number,
): void {
  for (const rows of to.chunks(y)) {
    to.chunks(source).forEach((part, position) => {
      to.dispatch({
        kernel: gatherRowsKernel,
        consts: { KEEP: keep || position > 0 },
        library: { weight: source.type === "f16s" ? "f16s" : "f32" },
        buffers: { weight: at(source, part), index: at(index, rows), y: at(y, rows) },
        params: { rows: rows.rows, cols: y.width, first: part.first, srcRows: part.rows, scale },
      });
    });
  }
}

/** A gather without a backward rule. */
function plainGatherOp(scale = 1): Op {
  return {
    name: "gather-rows",
    lower({ inputs: [source, index], outputs: [y] }, to) {
      lowerGather(to, [source!, index!, y!], false, scale);
    },
  };
}

function takeRows(graph: Graph, source: Tensor, index: Tensor, rows: Dim, scale = 1): Tensor {
  const y = graph.value(`rows(${source.name})`, rows, source.width);
  graph.add(plainGatherOp(scale), [source, index], [y]);
  return y;
}

const permuteOp: Op = {
  name: "permute-rows",
  lower({ inputs: [source, index], outputs: [y] }, to) {
    lowerGather(to, [source!, index!, y!], false, 1);
  },
  backward({ inputs: [source, , inverse] }, [dy], tape) {
    if (!tape.needs(source!)) return;
    tape.add(source!, takeRows(tape.graph, dy!, inverse!, source!.rows));
  },
};

/**
 * Moves rows to other places, each to one: y[i] = x[index[i]], and zero where index[i] is `NO_ROW`.
 *
 * index: [rows of y, 1] u32; inverse: [rows of x, 1] u32, the place of each row or `NO_ROW`.
 * With `into` the result goes to a storage instead of a planned tensor.
 */
export function permuteRows(
  graph: Graph,
  x: Tensor,
  index: Tensor,
  inverse: Tensor,
  into?: Tensor,
): Tensor {
  const y = into ?? graph.value(`permuted(${x.name})`, index.rows, x.width);
  graph.add(permuteOp, [x, index, inverse], [y]);
  return y;
}

const gatherSumOp: Op = {
  name: "gather-sum",
  lower({ inputs: [x, order, start], outputs: [y] }, to) {
    whole(to, order!);
    whole(to, start!);
    for (const rows of to.chunks(y!)) {
      for (const part of to.chunks(x!)) {
        to.dispatch({
          kernel: gatherSumKernel,
          consts: { ACCUMULATE: part.index > 0 },
          buffers: { x: at(x!, part), order: at(order!, 0), start: at(start!, 0), y: at(y!, rows) },
          params: {
            rows: rows.rows,
            cols: y!.width,
            first: rows.first,
            xFirst: part.first,
            xRows: part.rows,
          },
        });
      }
    }
  },
};

/** The gathered rows grouped by source row, for the gradient of a gather. */
export interface RowGroups {
  /** [gathered, 1] u32: gathered rows, grouped by their source. */
  order: Tensor;
  /** [sources + 1, 1] u32: first place of each group. */
  start: Tensor;
}

/**
 * Takes rows by index, each any number of times: y[i] = x[index[i]].
 *
 * `groups` is needed only when a gradient flows back.
 */
export function gatherRows(graph: Graph, x: Tensor, index: Tensor, groups?: RowGroups): Tensor {
  const op: Op = {
    ...plainGatherOp(),
    backward({ inputs: [source] }, [dy], tape) {
      if (!tape.needs(source!)) return;
      assert(groups !== undefined, "a gather with a gradient needs its row groups");
      const dx = tape.graph.value(`d${source!.name}`, source!.rows, source!.width);
      tape.graph.add(gatherSumOp, [dy!, groups.order, groups.start], [dx]);
      tape.add(source!, dx);
    },
  };
  const y = graph.value(`rows(${x.name})`, index.rows, x.width);
  graph.add(op, [x, index], [y]);
  return y;
}

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

const embeddingGradientOp: Op = {
  name: "embedding-gradient",
  lower({ inputs: [dy, order, start, token], outputs: [gradient] }, to) {
    whole(to, order!);
    whole(to, start!);
    const buckets = whole(to, token!);
    for (const part of to.chunks(gradient!)) {
      for (const rows of to.chunks(dy!)) {
        to.dispatch({
          kernel: bucketSumKernel,
          buffers: {
            dy: at(dy!, rows),
            order: at(order!, 0),
            start: at(start!, 0),
            token: at(token!, 0),
            table: at(gradient!, part),
          },
          params: {
            buckets,
            cols: dy!.width,
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
  const op: Op = {
    name: "embed",
    lower({ inputs: [rows, tokens], outputs: [y] }, to) {
      lowerGather(to, [rows!, tokens!, y!], false, rows!.parameter?.scale ?? 1);
      for (const { features, source } of splices) lowerGather(to, [features, source, y!], true, 1);
    },
    backward({ inputs: [rows] }, [dy], tape) {
      for (const { features, destination } of splices) {
        if (!tape.needs(features)) continue;
        tape.add(features, takeRows(tape.graph, dy!, destination, features.rows));
      }
      if (!tape.needs(rows!)) return;
      assert(buckets !== undefined, "a trained embedding needs its token buckets");
      const { order, start, token } = buckets;
      tape.graph.add(
        embeddingGradientOp,
        [dy!, order, start, token],
        [tape.parameterGradient(rows!)],
      );
    },
  };
  const y = graph.value("embeddings", ids.rows, table.width);
  const media = splices.flatMap(({ features, source, destination }) => [
    features,
    source,
    destination,
  ]);
  graph.add(op, [table, ids, ...media], [y]);
  return y;
}

const addTableOp: Op = {
  name: "add-rows",
  lower({ inputs: [x, table, index], outputs: [y] }, to) {
    for (const chunk of to.chunks(x!)) {
      to.dispatch({
        kernel: addRowsKernel,
        buffers: {
          x: at(x!, chunk),
          table: at(table!, 0),
          index: at(index!, chunk),
          y: at(y!, chunk),
        },
        params: { rows: chunk.rows, cols: x!.width },
      });
    }
  },
  backward({ inputs: [x] }, [dy], tape) {
    tape.add(x!, dy!);
  },
};

/** Adds fixed table rows by index: y[i] = x[i] + table[index[i]]; the table gets no gradient. */
export function addRows(graph: Graph, x: Tensor, table: Tensor, index: Tensor): Tensor {
  const y = graph.value(`positioned(${x.name})`, x.rows, x.width);
  graph.add(addTableOp, [x, table, index], [y]);
  return y;
}

const packBackwardOp = (taps: number): Op => ({
  name: "conv-pack-backward",
  lower({ inputs: [dy, inverse], outputs: [dx] }, to) {
    whole(to, dy!);
    to.dispatch({
      kernel: convPackBackwardKernel,
      buffers: { dy: at(dy!, 0), inverse: at(inverse!, 0), dx: at(dx!, 0) },
      params: { rows: whole(to, dx!), cols: dx!.width, taps },
    });
  },
});

/** Index tables of a one-dimensional convolution over ragged rows. */
export interface ConvWindows {
  /** [outputs, taps] u32: input row of each tap, or `NO_ROW`. */
  index: Tensor;
  /** [inputs, taps] u32: places out * taps + tap that read this input row, or `NO_ROW`. */
  inverse: Tensor;
}

/** Lays out convolution windows for a matrix product: [outputs, width * taps] in (channel, tap) order. */
export function convPack(graph: Graph, x: Tensor, { index, inverse }: ConvWindows): Tensor {
  const taps = index.width;
  const op: Op = {
    name: "conv-pack",
    lower({ inputs: [from], outputs: [y] }, to) {
      whole(to, from!);
      to.dispatch({
        kernel: convPackKernel,
        buffers: { x: at(from!, 0), index: at(index, 0), y: at(y!, 0) },
        params: { rows: whole(to, y!), cols: from!.width, taps },
      });
    },
    backward({ inputs: [from] }, [dy], tape) {
      if (!tape.needs(from!)) return;
      const dx = tape.graph.value(`d${from!.name}`, from!.rows, from!.width);
      tape.graph.add(packBackwardOp(taps), [dy!, inverse], [dx]);
      tape.add(from!, dx);
    },
  };
  const y = graph.value(`windows(${x.name})`, index.rows, x.width * taps);
  graph.add(op, [x, index, inverse], [y]);
  return y;
}

/**
 * Means of neighbouring row pairs: y[i] = (x[first[i]] + x[first[i] + 1]) / 2.
 *
 * first: [pooled, 1] u32; inverse: [rows, 1] u32, the pooled row of each input row, or `NO_ROW`.
 */
export function poolRows(graph: Graph, x: Tensor, first: Tensor, inverse: Tensor): Tensor {
  const op: Op = {
    name: "pool-rows",
    lower({ inputs: [from], outputs: [y] }, to) {
      whole(to, from!);
      to.dispatch({
        kernel: poolRowsKernel,
        buffers: { x: at(from!, 0), first: at(first, 0), y: at(y!, 0) },
        params: { rows: whole(to, y!), cols: from!.width },
      });
    },
    backward({ inputs: [from] }, [dy], tape) {
      if (!tape.needs(from!)) return;
      tape.add(from!, takeRows(tape.graph, dy!, inverse, from!.rows, 0.5));
    },
  };
  const y = graph.value(`pooled(${x.name})`, first.rows, x.width);
  graph.add(op, [x, first, inverse], [y]);
  return y;
}
