import { assert } from "../core/errors.ts";
import type { Graph, Operands, Tape, Tensor } from "../graph/graph.ts";
import { rootOf, tensorsOf } from "../graph/graph.ts";
import { add } from "./add.ts";

/** Tensors whose gradient leads to a trained parameter or to a requested input. */
function tensorsThatNeedGradients(graph: Graph, requested: readonly Tensor[]): Set<Tensor> {
  const needed = new Set<Tensor>(requested.map(rootOf));
  for (const { inputs } of graph.nodes) {
    for (const input of tensorsOf(inputs)) {
      if (rootOf(input).parameter?.gradient !== undefined) needed.add(rootOf(input));
    }
  }
  for (const { op, inputs, outputs } of graph.nodes) {
    if (op.backward !== undefined && reads(inputs, needed)) {
      for (const output of tensorsOf(outputs)) needed.add(rootOf(output));
    }
  }
  return needed;
}

function reads(operands: Operands, tensors: ReadonlySet<Tensor>): boolean {
  return tensorsOf(operands).some((tensor) => tensors.has(rootOf(tensor)));
}

/**
 * Adds the backward pass to a graph: reverse-mode differentiation in the reverse order of the trace.
 *
 * Gradients of parameters accumulate in place into their gradient storage, in the order of their
 * uses, so a tied parameter receives the ordered sum; gradients of activations are values.
 *
 * @param seeds pairs of an output and the tensor that holds its gradient.
 * @param wanted inputs whose gradient is to be returned too.
 */
export function differentiate(
  graph: Graph,
  seeds: readonly (readonly [Tensor, Tensor])[],
  wanted: readonly Tensor[] = [],
): Map<Tensor, Tensor> {
  const needed = tensorsThatNeedGradients(graph, wanted);
  const gradients = new Map<Tensor, Tensor>();
  const received = (output: Tensor): Tensor | undefined => {
    const gradient = gradients.get(rootOf(output));
    // A seed may have a width of its own (by log-probability and entropy); only views reshape.
    if (gradient?.width !== rootOf(output).width) return gradient;
    return graph.reshape(gradient, output.width);
  };
  const tape: Tape = {
    graph,
    needs: (tensor) => needed.has(rootOf(tensor)),
    add(tensor, gradient) {
      const root = rootOf(tensor);
      if (!needed.has(root)) return;
      assert(root.parameter === undefined, `the gradient of ${root.name} accumulates in place`);
      const part = graph.reshape(gradient, root.width);
      const sum = gradients.get(root);
      gradients.set(root, sum === undefined ? part : add(graph, sum, part));
    },
    gradient(output) {
      const gradient = received(output);
      assert(gradient !== undefined, `no gradient flows into ${output.name}`);
      return gradient;
    },
    gradients: (outputs) => outputs.map(received),
    parameterGradient(tensor) {
      const { parameter } = rootOf(tensor);
      assert(parameter?.gradient !== undefined, `${tensor.name} has no gradient storage`);
      return graph.reshape(graph.stored(parameter.gradient), tensor.width);
    },
  };
  for (const [output, gradient] of seeds) {
    assert(!gradients.has(rootOf(output)), `${output.name} has two seeds`);
    gradients.set(rootOf(output), gradient);
  }
  for (const { op, inputs, outputs } of [...graph.nodes].reverse()) {
    if (op.backward === undefined) continue;
    if (!tensorsOf(outputs).some((output) => gradients.has(rootOf(output)))) continue;
    if (reads(inputs, needed)) op.backward(inputs, outputs, tape);
  }
  return new Map(
    wanted.map((tensor) => {
      const gradient = gradients.get(rootOf(tensor));
      assert(gradient !== undefined, `no gradient flows into ${tensor.name}`);
      return [tensor, gradient];
    }),
  );
}
