import { ShapeError } from "../core/errors.ts";
import { colSumKernel } from "../kernels/rows.ts";
import { chooseMatmul } from "../kernels/choose.ts";
import { splitRows } from "../kernels/matmul.ts";
import { evaluate, type Environment, type Value } from "../graph/extent.ts";
import type { Chunk, Graph, Op, Tensor, Tensors } from "../graph/graph.ts";
import { storageName } from "../graph/storage.ts";
import { accumulateColumns, PARTS } from "./reduce.ts";
import { at } from "./rowwise.ts";

/** Weights larger than this are accumulated in place; smaller ones in parts over the rows. */
const SPLIT_ELEMENTS = 2 ** 16;

const flops =
  (chunk: Chunk, n: number, k: number) =>
  (environment: Environment): number =>
    2 * evaluate(chunk.rows, environment) * n * k;

/** Returns the sizes of a product with one part of a weight, whose outputs begin at a column of y. */
function productOf({ rows }: Chunk, { capacity, first }: Chunk, k: number, y: Tensor) {
  return { m: rows, n: capacity, k, yStride: y.width, yOffset: first };
}

/** Returns the factor of a product: the caller's runtime scale times the weight's storage scale. */
function scaleOf(weight: Tensor, scale: Value): Value {
  const stored = weight.parameter?.scale ?? 1;
  if (typeof scale === "number") return scale * stored;
  return (environment) => evaluate(scale, environment) * stored;
}

function library(weight: Tensor): { weight: string } {
  return { weight: storageName(weight.type) };
}

/** dX = scale * dY W, summed over the chunks of W in order. */
function inputGradientOp(scale: Value): Op<Tensors<"dy" | "weight">, Tensors<"dx">> {
  return {
    name: "linear-input-gradient",
    lower({ dy, weight }, { dx }, to) {
      const k = dx.width;
      for (const rows of to.chunks(dy)) {
        to.chunks(weight).forEach((part, index) => {
          const size = { m: rows.capacity, n: part.capacity, k };
          const { kernel, consts } = chooseMatmul(to.profile, "nn", size);
          to.dispatch({
            kernel,
            consts: { ...consts, ACCUMULATE: index > 0 },
            library: library(weight),
            buffers: { dy: at(dy, rows), weight: at(weight, part), dx: at(dx, rows) },
            params: { ...productOf(rows, part, k, dy), scale: scaleOf(weight, scale) },
            flops: flops(rows, part.capacity, k),
          });
        });
      }
    },
  };
}

/** dW += scale * dY^T X; in parts over the rows that are added in order, where there is room for them. */
function weightGradientOp(
  scale: Value,
): Op<Tensors<"dy" | "x">, Tensors<"gradient"> & { partial?: Tensor | undefined }> {
  return {
    name: "linear-weight-gradient",
    lower({ dy, x }, { gradient, partial }, to) {
      const k = x.width;
      for (const rows of to.chunks(x)) {
        for (const part of to.chunks(gradient)) {
          const n = part.capacity;
          const { kernel, consts } = chooseMatmul(to.profile, "tn", { m: rows.capacity, n, k });
          const common = productOf(rows, part, k, dy);
          const buffers = { dy: at(dy, rows), x: at(x, rows) };
          if (partial === undefined) {
            to.dispatch({
              kernel,
              consts: { ...consts, ACCUMULATE: true },
              buffers: { ...buffers, partial: at(gradient, part) },
              params: { ...common, rowsPerSplit: rows.capacity, splits: 1 },
              flops: flops(rows, n, k),
            });
            continue;
          }
          // As many parts as one chunk of the scratch holds: few under a small binding limit.
          const room = Math.floor(to.chunks(partial)[0].capacity / (n * k));
          const parts = Math.min(PARTS, room);
          const rowsPerSplit = (e: Environment) => splitRows(evaluate(rows.rows, e), parts);
          const splits = (e: Environment) => Math.ceil(evaluate(rows.rows, e) / rowsPerSplit(e));
          to.dispatch({
            kernel,
            consts,
            buffers: { ...buffers, partial: at(partial, 0) },
            params: { ...common, rowsPerSplit, splits },
            flops: flops(rows, n, k),
          });
          to.dispatch({
            kernel: colSumKernel,
            consts: { ACCUMULATE: true },
            buffers: { input: at(partial, 0), output: at(gradient, part) },
            params: { rows: splits, cols: n * k, rowsPerBlock: parts, scale },
          });
        }
      }
    },
  };
}

/** Operands of a linear layer beside its input and weight. */
export interface LinearOptions {
  bias?: Tensor | undefined;
  /** Added to the result in the same kernel. */
  residual?: Tensor | undefined;
  /** Factor of the product (not of bias and residual); a runtime scalar for adapters. */
  scale?: Value;
  /** The tensor that the result goes to, such as a cache; a planned one when left out. */
  into?: Tensor | undefined;
}

/** Operands of a linear node. */
type LinearInputs = Tensors<"x" | "weight"> & Pick<LinearOptions, "bias" | "residual">;

function linearOp(scale: Value): Op<LinearInputs, Tensors<"y">> {
  return {
    name: "linear",
    lower({ x, weight, bias, residual }, { y }, to) {
      const k = x.width;
      for (const rows of to.chunks(x)) {
        for (const part of to.chunks(weight)) {
          const size = { m: rows.capacity, n: part.capacity, k };
          const { kernel, consts } = chooseMatmul(to.profile, "nt", size);
          to.dispatch({
            kernel,
            consts: { ...consts, BIAS: bias !== undefined, RESIDUAL: residual !== undefined },
            library: library(weight),
            buffers: {
              x: at(x, rows),
              weight: at(weight, part),
              bias: at(bias ?? x, bias === undefined ? rows : 0),
              residual: at(residual ?? x, rows),
              y: at(y, rows),
            },
            params: { ...productOf(rows, part, k, y), scale: scaleOf(weight, scale) },
            flops: flops(rows, part.capacity, k),
          });
        }
      }
    },
    backward({ x, weight, bias, residual }, { y }, tape) {
      const { graph } = tape;
      const dy = tape.gradient(y);
      if (tape.needs(x)) {
        const dx = graph.value(`d${x.name}`, x.rows, x.width);
        graph.add(inputGradientOp(scale), { dy, weight }, { dx });
        tape.add(x, dx);
      }
      if (tape.needs(weight)) {
        const gradient = tape.parameterGradient(weight);
        const elements = (weight.rows as number) * weight.width;
        // The product into the gradient itself has no scale.
        const split = scale !== 1 || elements <= SPLIT_ELEMENTS;
        const partial = split ? graph.value("dweight-parts", PARTS * elements, 1) : undefined;
        graph.add(weightGradientOp(scale), { dy, x }, { gradient, partial });
      }
      if (bias !== undefined && tape.needs(bias)) {
        accumulateColumns(graph, dy, tape.parameterGradient(bias));
      }
      if (residual !== undefined && tape.needs(residual)) tape.add(residual, dy);
    },
  };
}

/**
 * Linear layer: y = scale * x W^T (+ bias) (+ residual).
 *
 * x: [rows, k] f32; weight: [n, k] f32 or f16s; bias: n elements; residual, y: [rows, n] f32.
 *
 * @throws {ShapeError} when the widths do not fit.
 */
export function linear(
  graph: Graph,
  x: Tensor,
  weight: Tensor,
  options: LinearOptions = {},
): Tensor {
  const { bias, residual, scale = 1, into } = options;
  if (x.width !== weight.width) {
    throw new ShapeError(
      "linear-width",
      `linear: ${x.name} has rows of ${x.width}, ${weight.name} expects ${weight.width}.`,
    );
  }
  const y = into ?? graph.value(`linear(${weight.name})`, x.rows, weight.rows as number);
  graph.add(linearOp(scale), { x, weight, bias, residual }, { y });
  return y;
}
