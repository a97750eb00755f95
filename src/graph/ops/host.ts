import type { Graph, Op, Tensor } from "../graph.ts";

/**
 * A step that the host computes amid a replay: it reads the rows of `input` and gives [rows, width].
 *
 * The launches before it are waited for, so it costs one round trip to the GPU: for what is small and
 * wants float64 or whole sequences, such as the loss of a batch between forward and backward. The
 * replay must be given the step under its name (`RunOptions.host`).
 */
export function hostStep(graph: Graph, name: string, input: Tensor, width: number): Tensor {
  const output = graph.value(`host(${name})`, input.rows, width);
  const op: Op = {
    name: `host-${name}`,
    lower({ inputs: [from], outputs: [to] }, lowering) {
      lowering.host({ name, input: from!, output: to! });
    },
  };
  graph.add(op, [input], [output]);
  return output;
}
