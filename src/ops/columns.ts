import { assert } from "../core/errors.ts";
import { copyColumnsKernel } from "../kernels/rows.ts";
import type { Chunks, Graph, Lowering, Op, Tensor, Tensors } from "../graph/graph.ts";
import { at } from "./rowwise.ts";

/** Returns the first column of each part, for parts side by side. */
function firstColumns(widths: readonly number[]): number[] {
  let next = 0;
  return widths.map((width) => (next += width) - width);
}

/**
 * Returns the chunks of a matrix, which its parts must share: over a fixed number of rows they may
 * not.
 */
function sharedChunks(to: Lowering, whole: Tensor, parts: readonly Tensor[]): Chunks {
  const chunks = to.chunks(whole);
  for (const part of parts) {
    const others = to.chunks(part);
    assert(
      others.length === chunks.length && others[0].capacity === chunks[0].capacity,
      `${part.name} is cut at other rows than ${whole.name}: columns in chunks need an extent`,
    );
  }
  return chunks;
}

/** Lays matrices side by side; a part that is not `given` becomes zero columns. */
function joinColumnsOp(
  widths: readonly number[],
  given: readonly boolean[],
): Op<{ parts: readonly Tensor[] }, Tensors<"y">> {
  const firsts = firstColumns(widths);
  return {
    name: "join-columns",
    lower({ parts }, { y }, to) {
      for (const chunk of sharedChunks(to, y, parts)) {
        const next = parts.values();
        widths.forEach((width, i) => {
          const part = given[i] === true ? next.next().value : undefined;
          to.dispatch({
            kernel: copyColumnsKernel,
            // A planned buffer holds old data, so columns without a part are written too.
            consts: { ZERO: part === undefined },
            buffers: { x: at(part ?? parts[0]!, chunk), y: at(y, chunk) },
            params: {
              rows: chunk.rows,
              cols: width,
              srcCols: width,
              srcFirst: 0,
              dstCols: y.width,
              dstFirst: firsts[i]!,
            },
          });
        });
      }
    },
  };
}

function splitColumnsOp(widths: readonly number[]): Op<Tensors<"x">, { parts: readonly Tensor[] }> {
  const firsts = firstColumns(widths);
  return {
    name: "split-columns",
    lower({ x }, { parts }, to) {
      for (const chunk of sharedChunks(to, x, parts)) {
        parts.forEach((part, i) => {
          to.dispatch({
            kernel: copyColumnsKernel,
            buffers: { x: at(x, chunk), y: at(part, chunk) },
            params: {
              rows: chunk.rows,
              cols: part.width,
              srcCols: x.width,
              srcFirst: firsts[i]!,
              dstCols: part.width,
              dstFirst: 0,
            },
          });
        });
      }
    },
    backward({ x }, { parts }, tape) {
      if (!tape.needs(x)) return;
      const dx = tape.graph.value(`d${x.name}`, x.rows, x.width);
      const gradients = tape.gradients(parts);
      const given = gradients.map((gradient) => gradient !== undefined);
      const received = gradients.filter((gradient) => gradient !== undefined);
      tape.graph.add(joinColumnsOp(widths, given), { parts: received }, { y: dx });
      tape.add(x, dx);
    },
  };
}

/**
 * Cuts a matrix into parts of `widths` columns, left to right, as a fused projection needs it.
 *
 * x: [rows, sum of widths] f32; part i: [rows, widths[i]] f32, the same bits. The gradient is the
 * parts' gradients side by side, zero where a part has none.
 */
export function splitColumns(graph: Graph, x: Tensor, widths: readonly number[]): Tensor[] {
  const sum = widths.reduce((total, width) => total + width, 0);
  assert(
    sum === x.width && widths.every((width) => Number.isInteger(width) && width > 0),
    `${x.name} has rows of ${x.width}, which are not parts of ${widths.join(" + ")}`,
  );
  assert(x.type === "f32", `the columns of ${x.name} are ${x.type}, not f32`);
  const parts = widths.map((width, i) => graph.value(`${x.name}.${i}`, x.rows, width));
  graph.add(splitColumnsOp(widths), { x }, { parts });
  return parts;
}
