import { assert } from "../core/errors.ts";
import { addRowsKernel, gatherRowsKernel, gatherSumKernel } from "../kernels/rows.ts";
import type { Dim } from "../graph/extent.ts";
import type { Graph, Lowering, Op, Tensor, Tensors } from "../graph/graph.ts";
import { storageName } from "../graph/storage.ts";
import { at, whole } from "./rowwise.ts";

/** Index value of a row that comes from nowhere. */
export const NO_ROW = 0xffffffff;

/**
 * Launches y[i] = scale * source[index[i]], over a source in any number of chunks.
 *
 * With `keep` rows whose index is `NO_ROW` keep what y holds; without it they become zero.
 */
export function lowerGather(
  to: Lowering,
  { source, index, y }: Tensors<"source" | "index" | "y">,
  { keep = false, scale = 1 }: { keep?: boolean; scale?: number } = {},
): void {
  for (const rows of to.chunks(y)) {
    to.chunks(source).forEach((part, position) => {
      to.dispatch({
        kernel: gatherRowsKernel,
        consts: { KEEP: keep || position > 0 },
        library: { weight: storageName(source.type) },
        buffers: { weight: at(source, part), index: at(index, rows), y: at(y, rows) },
        params: { rows: rows.rows, cols: y.width, first: part.first, srcRows: part.rows, scale },
      });
    });
  }
}

/** Returns a gather without a backward rule. */
function plainGatherOp(scale = 1): Op<Tensors<"source" | "index">, Tensors<"y">> {
  return {
    name: "gather-rows",
    lower({ source, index }, { y }, to) {
      lowerGather(to, { source, index, y }, { scale });
    },
  };
}

/** Rows by index, for backward rules: scale * source[index[i]], without a rule of its own. */
export function takeRows(
  graph: Graph,
  source: Tensor,
  index: Tensor,
  rows: Dim,
  scale = 1,
): Tensor {
  const y = graph.value(`rows(${source.name})`, rows, source.width);
  graph.add(plainGatherOp(scale), { source, index }, { y });
  return y;
}

const permuteOp: Op<Tensors<"source" | "index" | "inverse">, Tensors<"y">> = {
  name: "permute-rows",
  lower({ source, index }, { y }, to) {
    lowerGather(to, { source, index, y });
  },
  backward({ source, inverse }, { y }, tape) {
    if (!tape.needs(source)) return;
    tape.add(source, takeRows(tape.graph, tape.gradient(y), inverse, source.rows));
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
  graph.add(permuteOp, { source: x, index, inverse }, { y });
  return y;
}

const gatherSumOp: Op<Tensors<"x" | keyof RowGroups>, Tensors<"y">> = {
  name: "gather-sum",
  lower({ x, order, start }, { y }, to) {
    whole(to, order);
    whole(to, start);
    for (const rows of to.chunks(y)) {
      for (const part of to.chunks(x)) {
        to.dispatch({
          kernel: gatherSumKernel,
          consts: { ACCUMULATE: part.index > 0 },
          buffers: { x: at(x, part), order: at(order, 0), start: at(start, 0), y: at(y, rows) },
          params: {
            rows: rows.rows,
            cols: y.width,
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

const gatherOp: Op<Tensors<"source" | "index"> & Partial<RowGroups>, Tensors<"y">> = {
  ...plainGatherOp(),
  backward({ source, order, start }, { y }, tape) {
    if (!tape.needs(source)) return;
    const grouped = order !== undefined && start !== undefined;
    assert(grouped, "a gather with a gradient needs its row groups");
    const dx = tape.graph.value(`d${source.name}`, source.rows, source.width);
    tape.graph.add(gatherSumOp, { x: tape.gradient(y), order, start }, { y: dx });
    tape.add(source, dx);
  },
};

/**
 * Takes rows by index, each any number of times: y[i] = x[index[i]].
 *
 * `groups` is needed only when a gradient flows back.
 */
export function gatherRows(graph: Graph, x: Tensor, index: Tensor, groups?: RowGroups): Tensor {
  const y = graph.value(`rows(${x.name})`, index.rows, x.width);
  graph.add(gatherOp, { source: x, index, ...groups }, { y });
  return y;
}

const addTableOp: Op<Tensors<"x" | "table" | "index">, Tensors<"y">> = {
  name: "add-rows",
  lower({ x, table, index }, { y }, to) {
    for (const chunk of to.chunks(x)) {
      to.dispatch({
        kernel: addRowsKernel,
        buffers: {
          x: at(x, chunk),
          table: at(table, 0),
          index: at(index, chunk),
          y: at(y, chunk),
        },
        params: { rows: chunk.rows, cols: x.width },
      });
    }
  },
  backward({ x }, { y }, tape) {
    tape.add(x, tape.gradient(y));
  },
};

/** Adds fixed table rows by index: y[i] = x[i] + table[index[i]]; the table gets no gradient. */
export function addRows(graph: Graph, x: Tensor, table: Tensor, index: Tensor): Tensor {
  const y = graph.value(`positioned(${x.name})`, x.rows, x.width);
  graph.add(addTableOp, { x, table, index }, { y });
  return y;
}
