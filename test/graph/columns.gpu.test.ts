import { describe, expect, it } from "vitest";
import { chunksOf } from "../../src/graph/plan/chunks.ts";
import { differentiate } from "../../src/ops/differentiate.ts";
import { Extent } from "../../src/graph/extent.ts";
import { Graph, rootOf, type Tensor } from "../../src/graph/graph.ts";
import { planMemory } from "../../src/graph/plan/memory.ts";
import { swiglu } from "../../src/ops/activation.ts";
import { add } from "../../src/ops/add.ts";
import { splitColumns } from "../../src/ops/columns.ts";
import { Plan } from "../../src/graph/plan/plan.ts";
import { compare, differences } from "../helpers/check-kernel.ts";
import { useDevice } from "../helpers/device.ts";
import { randomF32 } from "../helpers/random-data.ts";

/** Columns [first, first + width) of rows of `cols`. */
function columns<T extends Float32Array | Float64Array>(
  x: T,
  cols: number,
  first: number,
  width: number,
): T {
  return x.filter((_, i) => i % cols >= first && i % cols < first + width) as T;
}

/** Rows of the parts one after the other. */
function joined(rows: number, parts: readonly (readonly [Float32Array, number])[]): number[] {
  return Array.from({ length: rows }, (_, r) =>
    parts.flatMap(([part, width]) => [...part.subarray(r * width, (r + 1) * width)]),
  ).flat();
}

/** Traces a split; parts are kept and, but for one left out, seeded; dx is kept. */
function splitGraph(graph: Graph, x: Tensor, widths: readonly number[], leftOut?: number): Tensor {
  const parts = splitColumns(graph, x, widths);
  parts.forEach((part, i) => graph.keep(`part${i}`, part));
  const seeds = parts.flatMap((part, i) =>
    i === leftOut ? [] : [[part, graph.input(`u${i}`, part.rows, part.width)] as const],
  );
  return graph.keep("dx", differentiate(graph, seeds, [x]).get(x)!);
}

describe("splitColumns", () => {
  const device = useDevice();

  it("cuts a matrix and joins the gradients of the parts, bit by bit", async () => {
    const [rows, widths] = [70, [9, 1, 6]];
    const graph = new Graph();
    splitGraph(graph, graph.input("x", rows, 16), widths);
    const plan = await Plan.compile(device(), graph, { label: "split", capacity: {} });
    const x = randomF32(rows * 16, 1);
    const u = widths.map((width, i) => randomF32(rows * width, 2 + i));
    plan.writeAll({ x, u0: u[0]!, u1: u[1]!, u2: u[2]! });
    await plan.run({});
    expect(await plan.read("part0")).toEqual(columns(x, 16, 0, 9));
    expect(await plan.read("part1")).toEqual(columns(x, 16, 9, 1));
    expect(await plan.read("part2")).toEqual(columns(x, 16, 10, 6));
    const want = joined(rows, [
      [u[0]!, 9],
      [u[1]!, 1],
      [u[2]!, 6],
    ]);
    expect([...(await plan.read("dx"))]).toEqual(want);
    plan.destroy();
  });

  it("has the gradient of central differences, of a view and of shared gradients", async () => {
    const rows = 6;
    const graph = new Graph();
    // A view of rows half as long, as the heads of a projection are.
    const wide = graph.input("x", rows / 2, 28);
    const x = graph.reshape(wide, 14);
    const [gate, up, more, less] = splitColumns(graph, x, [4, 4, 4, 2]);
    const mixed = add(graph, swiglu(graph, gate!, up!), add(graph, more!, up!));
    const halves = graph.reshape(mixed, 2);
    const y = graph.keep("y", halves);
    const seeds = [
      [y, graph.input("u", rows * 2, 2)],
      [less!, graph.input("v", rows, 2)],
    ] as const;
    graph.keep("dx", differentiate(graph, seeds, [wide]).get(wide)!);
    const plan = await Plan.compile(device(), graph, { label: "split", capacity: {} });
    const data = {
      x: randomF32(rows * 14, 1),
      u: randomF32(rows * 4, 2),
      v: randomF32(rows * 2, 3),
    };
    plan.writeAll(data);
    await plan.run({});
    const value = (at: Float64Array) =>
      Float64Array.from({ length: rows * 4 }, (_, i) => {
        const first = Math.floor(i / 4) * 14 + (i % 4);
        const [g, b, c] = [at[first]!, at[first + 4]!, at[first + 8]!];
        return (g / (1 + Math.exp(-g))) * b + c + b;
      });
    const loss = (at: Float64Array) =>
      value(at).reduce((sum, yi, i) => sum + yi * data.u[i]!, 0) +
      columns(at, 14, 12, 2).reduce((sum, part, i) => sum + part * data.v[i]!, 0);
    const centre = Float64Array.from(data.x);
    compare("y", await plan.read("y"), value(centre), 1e-11);
    compare("dx", await plan.read("dx"), differences(loss, centre, 1e-4), 1e-10);
    plan.destroy();
  });

  it.each([0, 1, 2])(
    "gives zeros to part %i without a gradient, in a used buffer",
    async (none) => {
      const [rows, widths] = [33, [3, 8, 5]];
      const graph = new Graph();
      const x = graph.input("x", rows, 16);
      const poison = graph.input("poison", rows, 16);
      const dirty = add(graph, poison, poison);
      const dx = splitGraph(graph, x, widths, none);
      // Nobody reads the sum with NaN any more: its buffer becomes that of dx.
      const { places } = planMemory(graph, {}, device().capabilities.chunkBytes);
      expect(places.get(rootOf(dx))).toEqual(places.get(dirty));
      expect(places.get(rootOf(dx))![0]).toBe(places.get(dirty)![0]);
      const plan = await Plan.compile(device(), graph, { label: "split", capacity: {} });
      plan.write("x", randomF32(rows * 16, 1));
      plan.write("poison", new Float32Array(rows * 16).fill(NaN));
      const parts = widths.map((width, i) => {
        if (i === none) return [new Float32Array(rows * width), width] as const;
        const u = randomF32(rows * width, 2 + i);
        plan.write(`u${i}`, u);
        return [u, width] as const;
      });
      await plan.run({});
      expect([...(await plan.read("dx"))]).toEqual(joined(rows, parts));
      plan.destroy();
    },
  );

  it("adds no gradient for what does not train", () => {
    const graph = new Graph();
    const [q] = splitColumns(graph, graph.input("x", 4, 6), [2, 4]);
    differentiate(graph, [[q!, graph.input("u", 4, 2)]]);
    expect(graph.nodes.length).toBe(1);
  });

  it("refuses widths that are not the whole matrix", () => {
    const graph = new Graph();
    const x = graph.input("x", 4, 6);
    for (const widths of [[2, 3], [6, 1], [6, 0], [2.5, 3.5], []]) {
      expect(() => splitColumns(graph, x, widths)).toThrow(/x has rows of 6/);
    }
  });
});

describe("splitColumns under a small binding limit", () => {
  const CHUNK_BYTES = 8192;
  const device = useDevice({ chunkBytes: CHUNK_BYTES });

  it.each([201, 300, 0])("works chunk by chunk over %i rows", async (rows) => {
    const widths = [9, 1, 6];
    const capacity = { tokens: 300 };
    const graph = new Graph();
    const x = graph.input("x", new Extent("tokens", 96), 16);
    splitGraph(graph, x, widths, 1);
    expect(chunksOf(x, capacity, CHUNK_BYTES).length).toBe(5);
    const plan = await Plan.compile(device(), graph, { label: "split", capacity });
    const data = {
      x: randomF32(rows * 16, 1),
      u0: randomF32(rows * 9, 2),
      u2: randomF32(rows * 6, 3),
    };
    plan.writeAll(data);
    await plan.run({ tokens: rows });
    expect(await plan.read("part0", rows)).toEqual(columns(data.x, 16, 0, 9));
    expect(await plan.read("part1", rows)).toEqual(columns(data.x, 16, 9, 1));
    expect(await plan.read("part2", rows)).toEqual(columns(data.x, 16, 10, 6));
    const parts = [
      [data.u0, 9],
      [new Float32Array(rows), 1],
      [data.u2, 6],
    ] as const;
    expect([...(await plan.read("dx", rows))]).toEqual(joined(rows, parts));
    plan.destroy();
  });

  it("refuses a fixed number of rows that parts would cut elsewhere", async () => {
    const graph = new Graph();
    splitColumns(graph, graph.input("x", 200, 16), [9, 7]);
    const compiled = Plan.compile(device(), graph, { label: "split", capacity: {} });
    await expect(compiled).rejects.toThrow(/x\.0 is cut at other rows than x/);
  });
});
