import { ShapeError } from "../core/errors.ts";
import { addKernel } from "../kernels/pointwise.ts";
import type { Graph, Op, Tensor, Tensors } from "../graph/graph.ts";
import { at, elements } from "./rowwise.ts";

const addOp: Op<Tensors<"a" | "b">, Tensors<"y">> = {
  name: "add",
  lower({ a, b }, { y }, to) {
    for (const chunk of to.chunks(a)) {
      to.dispatch({
        kernel: addKernel,
        buffers: { a: at(a, chunk), b: at(b, chunk), y: at(y, chunk) },
        params: { count: elements(chunk, a), scale: 1 },
      });
    }
  },
  backward({ a, b }, { y }, tape) {
    const dy = tape.gradient(y);
    tape.add(a, dy);
    tape.add(b, dy);
  },
};

/**
 * Elementwise sum; a, b, y: [rows, width] f32.
 *
 * @throws {ShapeError} when the widths differ.
 */
export function add(graph: Graph, a: Tensor, b: Tensor): Tensor {
  if (a.width !== b.width) {
    throw new ShapeError(
      "add-width",
      `add: ${a.name} has rows of ${a.width}, ${b.name} of ${b.width}.`,
    );
  }
  const y = graph.value(`${a.name}+${b.name}`, a.rows, a.width);
  graph.add(addOp, { a, b }, { y });
  return y;
}
