import type { Graph, Op, Tensor, Tensors } from "../graph/graph.ts";

/** A matrix that the host keeps: [rows, width] f32. */
export interface HostMatrix {
  name: string;
  rows: number;
  width: number;
  values: Float32Array;
}

/**
 * Returns a matrix that the host keeps, brought to the GPU where a replay comes to it.
 *
 * Its buffer is planned like that of any value in between, so that weights which are needed one after
 * the other share one: a model larger than the GPU's memory runs forward at the price of its uploads.
 * What is used in two places far apart is better fetched twice.
 */
export function fetched(graph: Graph, { name, rows, width, values }: HostMatrix): Tensor {
  const output = graph.value(`fetched(${name})`, rows, width);
  const op: Op<Tensors<never>, Tensors<"output">> = {
    name: "fetch",
    lower(_inputs, outputs, to) {
      to.fetch({ values, output: outputs.output });
    },
  };
  graph.add(op, {}, { output });
  return output;
}

/**
 * Returns a step that the host computes amid a replay: it reads the rows of `input` and gives
 * [rows, width].
 *
 * The launches before it are waited for, so it costs one round trip to the GPU: for what is small and
 * wants float64 or whole sequences, such as the loss of a batch between forward and backward. The
 * replay must be given the step under its name (`RunOptions.host`).
 */
export function hostStep(graph: Graph, name: string, input: Tensor, width: number): Tensor {
  const output = graph.value(`host(${name})`, input.rows, width);
  const op: Op<Tensors<"input">, Tensors<"output">> = {
    name: `host-${name}`,
    lower(inputs, outputs, to) {
      to.host({ name, ...inputs, ...outputs });
    },
  };
  graph.add(op, { input }, { output });
  return output;
}
