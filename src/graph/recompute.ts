import { assert } from "../core/errors.ts";
import { mapTensors, rootOf, tensorsOf, type Graph, type Node, type Tensor } from "./graph.ts";

/** The bounds of blocks of a differentiated graph. */
export interface Blocks {
  /** Residual streams in the order of the trace; a block lies between two neighbours. */
  boundaries: readonly Tensor[];
  /** Index of the first backward node: how many nodes there were before `differentiate`. */
  backward: number;
}

/**
 * Activation checkpointing: values inside blocks are computed again where backward needs them.
 *
 * Between forward and backward only the boundaries live. The same ops run on the same operands, so
 * gradients are the same bits. The last block is left as it is: its backward comes first. Works in
 * place on a graph that is differentiated and not yet planned (Chen et al. 2016, "Training deep nets
 * with sublinear memory cost").
 *
 * @returns the number of nodes that were added.
 */
export function recompute(graph: Graph, { boundaries, backward }: Blocks): number {
  const producer = new Map<Tensor, number>();
  graph.nodes.slice(0, backward).forEach(({ outputs }, index) => {
    for (const output of tensorsOf(outputs)) producer.set(rootOf(output), index);
  });
  const borders = boundaries.map((boundary) => {
    const index = producer.get(rootOf(boundary));
    assert(index !== undefined, `boundary ${boundary.name} is made by no forward op`);
    return index + 1;
  });
  const before = new Map<number, Node[]>();
  for (let block = 0; block + 2 < borders.length; block++) {
    const [first, end] = [borders[block]!, borders[block + 1]!];
    assert(first <= end, `boundary ${boundaries[block]!.name} comes after its successor`);
    recomputeBlock(
      graph,
      { first, end, backward, boundary: rootOf(boundaries[block + 1]!) },
      before,
    );
  }
  const nodes = graph.nodes.flatMap((node, index) => [...(before.get(index) ?? []), node]);
  const added = nodes.length - graph.nodes.length;
  graph.nodes.splice(0, graph.nodes.length, ...nodes);
  return added;
}

/** Nodes [first, end) of a block, and the tensor that lives on. */
interface Block {
  first: number;
  end: number;
  backward: number;
  boundary: Tensor;
}

/** Redirects the backward nodes of a block to copies, whose nodes go to `before` of the first use. */
function recomputeBlock(
  graph: Graph,
  { first, end, backward, boundary }: Block,
  before: Map<number, Node[]>,
): void {
  const kept = new Set([...graph.kept.values()].map(rootOf));
  const inside = new Set<Tensor>();
  const forward = graph.nodes.slice(first, end);
  for (const output of forward.flatMap(({ outputs }) => tensorsOf(outputs).map(rootOf))) {
    if (output.kind === "value" && output !== boundary && !kept.has(output)) inside.add(output);
  }
  const copies = new Map<Tensor, Tensor>();
  const copy = (tensor: Tensor): Tensor => {
    const root = rootOf(tensor);
    if (!inside.has(root)) return tensor;
    const { name, rows, width, type } = root;
    const made = copies.get(root) ?? graph.value(`again(${name})`, rows, width, type);
    copies.set(root, made);
    return tensor === root ? made : graph.reshape(made, tensor.width);
  };
  let firstUse = -1;
  for (let index = backward; index < graph.nodes.length; index++) {
    const node = graph.nodes[index]!;
    if (!tensorsOf(node.inputs).some((input) => inside.has(rootOf(input)))) continue;
    if (firstUse < 0) firstUse = index;
    graph.nodes[index] = { ...node, inputs: mapTensors(node.inputs, copy) };
  }
  if (firstUse < 0) return;
  const again: Node[] = [];
  for (const node of forward.reverse()) {
    if (!tensorsOf(node.outputs).some((output) => copies.has(rootOf(output)))) continue;
    const { op, inputs, outputs } = node;
    again.unshift({ op, inputs: mapTensors(inputs, copy), outputs: mapTensors(outputs, copy) });
  }
  before.set(firstUse, [...(before.get(firstUse) ?? []), ...again]);
}
