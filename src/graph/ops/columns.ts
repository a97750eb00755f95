import { assert } from "../../core/errors.ts";
import { copyColumnsKernel } from "../../kernels/rows.ts";
import type { Chunk, Graph, Lowering, Op, Tensor } from "../graph.ts";
import { at } from "./rowwise.ts";

/** The first column of each part, for parts side by side. */
function firstColumns(widths: readonly number[]): number[] {
  let next = 0;
  return widths.map((width) => (next += width) - width);
}

/** The chunks of a matrix, which its parts must share: over a fixed number of rows they may not. */
function sharedChunks(to: Lowering, whole: Tensor, parts: readonly Tensor[]): readonly Chunk[] {
  const chunks = to.chunks(whole);
  for (const part of parts) {
    const others = to.chunks(part);
    assert(
      others.length === chunks.length && others[0]!.capacity === chunks[0]!.capacity,
      `${part.name} is cut at other rows than ${whole.name}: columns in chunks need an extent`,
    );
  }
  return chunks;
}

/** Lays matrices side by side; a part without a tensor becomes zero columns. */
function joinColumnsOp(widths: readonly number[], parts: readonly (Tensor | undefined)[]): Op {
  const firsts = firstColumns(widths);
  const given = parts.filter((part) => part !== undefined);
  return {
    name: "join-columns",
    lower({ outputs: [y] }, to) {
      for (const chunk of sharedChunks(to, y!, given)) {
        widths.forEach((width, i) => {
          const part = parts[i];
          to.dispatch({
            kernel: copyColumnsKernel,
            // A planned buffer holds old data, so columns without a part are written too.
            consts: { ZERO: part === undefined },
            buffers: { x: at(part ?? given[0]!, chunk), y: at(y!, chunk) },
            params: {
              rows: chunk.rows,
              cols: width,
              srcCols: width,
              srcFirst: 0,
              dstCols: y!.width,
              dstFirst: firsts[i]!,
            },
          });
        });
      }
    },
  };
}

function splitColumnsOp(widths: readonly number[]): Op {
  const firsts = firstColumns(widths);
  return {
    name: "split-columns",
    lower({ inputs: [x], outputs }, to) {
      for (const chunk of sharedChunks(to, x!, outputs)) {
        outputs.forEach((part, i) => {
          to.dispatch({
            kernel: copyColumnsKernel,
            buffers: { x: at(x!, chunk), y: at(part, chunk) },
            params: {
              rows: chunk.rows,
              cols: part.width,
              srcCols: x!.width,
              srcFirst: firsts[i]!,
              dstCols: part.width,
              dstFirst: 0,
            },
          });
        });
      }
    },
    backward({ inputs: [x] }, gradients, tape) {
      if (!tape.needs(x!)) return;
      const dx = tape.graph.value(`d${x!.name}`, x!.rows, x!.width);
      const given = gradients.filter((gradient) => gradient !== undefined);
      tape.graph.add(joinColumnsOp(widths, gradients), given, [dx]);
      tape.add(x!, dx);
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
  graph.add(splitColumnsOp(widths), [x], parts);
  return parts;
}
