import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { chunksOf } from "../../src/graph/plan/chunks.ts";
import { Extent } from "../../src/graph/extent.ts";
import { Graph, rootOf, tensorsOf, type Op, type Tensor } from "../../src/graph/graph.ts";
import { planMemory } from "../../src/graph/plan/memory.ts";

type Lists = { readonly [name in "some" | "more"]?: readonly Tensor[] };

const op: Op<Lists, Lists> = { name: "any", lower: () => {} };

/** A node: which earlier tensors it reads, what it makes, whether it is viewed or kept. */
const nodes = fc.array(
  fc.record({
    inputs: fc.array(fc.nat(40), { maxLength: 4 }),
    outputs: fc.array(fc.record({ rows: fc.nat(3), width: fc.constantFrom(1, 2, 6, 16, 60) }), {
      minLength: 1,
      maxLength: 3,
    }),
    view: fc.boolean(),
    keep: fc.boolean(),
    // Writes again to an earlier value, as accumulating ops do.
    again: fc.option(fc.nat(40), { nil: undefined, freq: 4 }),
  }),
  { minLength: 1, maxLength: 30 },
);

const CHUNK_BYTES = 2048;

/** Builds a graph over an extent, a fixed size and an input. */
function build(shape: ReturnType<typeof nodes.generate>["value"]): Graph {
  const graph = new Graph();
  const tokens = new Extent("tokens", 720);
  const known: Tensor[] = [graph.input("x", tokens, 6)];
  const values: Tensor[] = [];
  for (const { inputs, outputs, view, keep, again } of shape) {
    const read = inputs.map((index) => known[index % known.length]!);
    const made = outputs.map(({ rows, width }) =>
      graph.value("v", rows === 3 ? 7 : tokens.times(rows + 1), rows === 3 ? 30 : width),
    );
    const written = again === undefined ? undefined : values[again % (values.length || 1)];
    graph.add(op, { some: read }, { some: made, more: written === undefined ? [] : [written] });
    for (const tensor of made) {
      const even = tensor.width % 2 === 0;
      known.push(view && even ? graph.reshape(tensor, tensor.width / 2) : tensor);
      values.push(tensor);
    }
    if (keep) graph.keep(`k${graph.kept.size}`, known.at(-1)!);
  }
  return graph;
}

describe("planMemory", () => {
  it("never lets tensors share a buffer while both are needed", () => {
    fc.assert(
      fc.property(nodes, fc.integer({ min: 0, max: 40 }), (shape, tokens) => {
        const graph = build(shape);
        const capacity = { tokens };
        const plan = planMemory(graph, capacity, CHUNK_BYTES);
        const kept = new Set([...graph.kept.values()].map(rootOf));
        const life = new Map<Tensor, { from: number; to: number }>();
        graph.nodes.forEach(({ inputs, outputs }, index) => {
          for (const tensor of [...tensorsOf(inputs), ...tensorsOf(outputs)].map(rootOf)) {
            if (tensor.kind !== "value") continue;
            const seen = life.get(tensor);
            life.set(tensor, {
              from: seen?.from ?? index,
              to: kept.has(tensor) ? Infinity : index,
            });
          }
        });
        expect(new Set(plan.places.keys())).toEqual(new Set(life.keys()));
        let unshared = 0;
        for (const [tensor, slots] of plan.places) {
          expect(new Set(slots).size, "chunks of one tensor").toBe(slots.length);
          chunksOf(tensor, capacity, CHUNK_BYTES).forEach((chunk, index) => {
            const bytes = chunk.capacity * tensor.width * 4;
            expect(slots[index]!.bytes).toBeGreaterThanOrEqual(bytes);
            expect(slots[index]!.bytes).toBeLessThanOrEqual(CHUNK_BYTES);
            unshared += Math.max(4, bytes);
          });
          for (const [other, others] of plan.places) {
            if (other.id <= tensor.id || !slots.some((slot) => others.includes(slot))) continue;
            const [a, b] = [life.get(tensor)!, life.get(other)!];
            // Not even in one node: a dispatch may not read and write one buffer.
            expect(a.to < b.from || b.to < a.from, `tensors ${tensor.id}, ${other.id}`).toBe(true);
          }
        }
        expect(plan.unsharedBytes).toBe(unshared);
        expect(plan.bytes).toBeLessThanOrEqual(plan.unsharedBytes);
        expect(plan.bytes).toBe(plan.slots.reduce((sum, { bytes }) => sum + bytes, 0));
      }),
      { seed: 3, numRuns: 300 },
    );
  });

  it("takes two buffers for a chain of any length", () => {
    const graph = new Graph();
    let x = graph.input("x", 8, 8);
    for (let i = 0; i < 20; i++) {
      const y = graph.value("y", 8, 8);
      graph.add(op, { some: [x] }, { some: [y] });
      x = y;
    }
    const plan = planMemory(graph, {}, CHUNK_BYTES);
    expect(plan.slots.length).toBe(2);
    expect(plan.bytes).toBe(2 * 256);
    expect(plan.unsharedBytes).toBe(20 * 256);
  });
});
