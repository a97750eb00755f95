import { ShapeError } from "../../core/errors.ts";
import { addKernel } from "../../kernels/pointwise.ts";
import type { Graph, Op, Tensor } from "../graph.ts";
import { lowerElementwise } from "./rowwise.ts";

const addOp: Op = {
  name: "add",
  lower({ inputs: [a, b], outputs: [y] }, to) {
    lowerElementwise(to, addKernel, { a: a!, b: b!, y: y! }, { scale: 1 });
  },
  backward({ inputs: [a, b] }, [dy], tape) {
    tape.add(a!, dy!);
    tape.add(b!, dy!);
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
  graph.add(addOp, [a, b], [y]);
  return y;
}
