import { describe, expect, it, vi } from "vitest";
import { differentiate } from "../../src/ops/differentiate.ts";
import { Extent, scalar } from "../../src/graph/extent.ts";
import { Graph } from "../../src/graph/graph.ts";
import { GrowingPlan } from "../../src/graph/plan/growing-plan.ts";
import { add } from "../../src/ops/add.ts";
import { linear } from "../../src/ops/linear.ts";
import { Plan } from "../../src/graph/plan/plan.ts";
import { Storage } from "../../src/graph/storage.ts";
import { useDevice } from "../helpers/device.ts";
import { randomF32 } from "../helpers/random-data.ts";

const device = useDevice();

/** y = strength * x W^T over rows of 4. */
async function smallPlan(rows = 8): Promise<{ plan: Plan; weight: Storage }> {
  const weight = new Storage(device(), "w", 3, 4);
  weight.upload(randomF32(12, 1));
  const graph = new Graph();
  const x = graph.input("x", new Extent("rows", 16), 4);
  graph.keep("y", linear(graph, x, graph.stored(weight), { scale: scalar("strength") }));
  return {
    plan: await Plan.compile(device(), graph, { label: "small", capacity: { rows } }),
    weight,
  };
}

const named = (code: string, message: RegExp) => ({
  name: "ShapeError",
  code,
  message: expect.stringMatching(message) as string,
});

describe("what a plan is given", () => {
  it("is checked before anything is sent to the GPU", async () => {
    const { plan, weight } = await smallPlan();
    const { submits } = device().counters;
    expect(() => plan.write("x", new Float32Array(9 * 4))).toThrow(
      expect.objectContaining(
        named("input-too-large", /small: input x holds 8 rows of 4; 36 values were given at row 0/),
      ),
    );
    expect(() => plan.write("x", new Float32Array(8), 7)).toThrow(/at row 7/);
    expect(() => plan.write("x", new Float32Array(5))).toThrow(/5 values/);
    expect(() => plan.write("z", new Float32Array(4))).toThrow(
      expect.objectContaining(named("unknown-input", /small has no input z/)),
    );
    expect(() => plan.writeAll({ y: new Float32Array(4) })).toThrow(
      expect.objectContaining(named("missing-input", /input x was not given.* Given were y/)),
    );
    plan.write("x", new Float32Array(8));
    await expect(plan.run({ rows: 9 }, { strength: 1 })).rejects.toMatchObject(
      named("over-capacity", /small was made for rows <= 8; 9 was asked for/),
    );
    await expect(plan.run({ rows: 3 }, { strength: 1 })).rejects.toMatchObject(
      named("input-too-short", /input x needs 3 rows for this replay; 2 were given/),
    );
    await expect(plan.run({}, { strength: 1 })).rejects.toMatchObject(
      named("missing-size", /extent rows/),
    );
    await expect(plan.run({ rows: 2 }, {})).rejects.toMatchObject(
      named("missing-scalar", /scalar strength/),
    );
    await expect(plan.read("y", 9)).rejects.toMatchObject(
      named("read-too-far", /small: tensor y holds 8 rows; 9 were asked for/),
    );
    expect(device().counters.submits).toBe(submits);
    await plan.run({ rows: 2 }, { strength: 1 });
    expect(await plan.read("y", 2)).toEqual(new Float32Array(6));
    plan.destroy();
    plan.destroy();
    weight.destroy();
  });

  it("may come in parts, and be nothing at all", async () => {
    const { plan, weight } = await smallPlan();
    const x = randomF32(16, 2);
    plan.write("x", x.subarray(0, 4));
    plan.write("x", x.subarray(4), 1);
    await plan.run({ rows: 4 }, { strength: 1 });
    const whole = await plan.read("y", 4);
    plan.write("x", x);
    await plan.run({ rows: 4 }, { strength: 1 });
    expect(await plan.read("y", 4)).toEqual(whole);
    const { dispatches, submits } = device().counters;
    await plan.run({ rows: 0 }, { strength: 1 });
    expect(device().counters).toMatchObject({ dispatches, submits });
    expect(await plan.read("y", 0)).toEqual(new Float32Array());
    plan.destroy();
    weight.destroy();
  });

  it("stays what it is while a replay waits between its submits", async () => {
    const { plan, weight } = await smallPlan();
    const x = randomF32(8, 3);
    plan.write("x", x);
    await plan.run({ rows: 2 }, { strength: 1 });
    const want = await plan.read("y", 2);
    const { pacer, counters } = device();
    vi.spyOn(pacer, "submitWork", "get").mockReturnValue(1);
    vi.spyOn(pacer, "full", "get").mockReturnValue(true);
    const { submits } = counters;
    const running = plan.run({ rows: 2 }, { strength: 1 }, { repeat: 3 });
    await expect(plan.run({ rows: 1 }, { strength: 2 })).rejects.toThrow("small is still being");
    expect(() => plan.write("x", x)).toThrow("small is still being replayed");
    await running;
    vi.restoreAllMocks();
    expect(counters.submits).toBe(submits + 3);
    expect(await plan.read("y", 2)).toEqual(want);
    plan.destroy();
    weight.destroy();
  });

  it("needs a capacity for every extent", async () => {
    const graph = new Graph();
    graph.input("x", new Extent("rows", 16), 4);
    await expect(
      Plan.compile(device(), graph, { label: "none", capacity: {} }),
    ).rejects.toMatchObject(named("missing-size", /extent rows/));
  });
});

describe("what a graph is given", () => {
  it("must fit", () => {
    const graph = new Graph();
    const x = graph.input("x", 4, 6);
    expect(() => linear(graph, x, graph.input("w", 3, 5))).toThrow(
      expect.objectContaining(named("linear-width", /x has rows of 6, w expects 5/)),
    );
    expect(() => add(graph, x, graph.input("z", 4, 5))).toThrow(
      expect.objectContaining(named("add-width", /x has rows of 6, z of 5/)),
    );
    expect(() => graph.input("x", 1, 1)).toThrow("already has an input x");
    expect(() =>
      differentiate(graph, [
        [x, x],
        [x, x],
      ]),
    ).toThrow("x has two seeds");
  });

  it("a storage is cut where its extent is", async () => {
    const cut = new Storage(device(), "cache", 20, 4, { rowsPerChunk: 6 });
    const graph = new Graph();
    const x = graph.input("x", new Extent("rows", 16), 4);
    graph.keep("sum", add(graph, x, graph.stored(cut, x.rows)));
    await expect(
      Plan.compile(device(), graph, { label: "cut", capacity: { rows: 20 } }),
    ).rejects.toMatchObject(named("storage-chunks", /cache is cut every 6 of 20 rows/));
    cut.destroy();
  });

  it("a storage holds no more than it was made for", () => {
    const storage = new Storage(device(), "s", 3, 5);
    expect(() => storage.upload(new Float32Array(10), 2)).toThrow(
      expect.objectContaining(named("storage-overflow", /s holds 3 rows of 5; 4 rows were given/)),
    );
    storage.destroy();
  });
});

describe("storages in chunks", () => {
  it("upload and download across borders", async () => {
    const storage = new Storage(device(), "s", 10, 3, { rowsPerChunk: 4 });
    expect(storage.chunks.map((chunk) => chunk.size)).toEqual([48, 48, 24]);
    const data = randomF32(30, 4);
    storage.upload(data.subarray(0, 6));
    storage.upload(data.subarray(6), 2);
    expect(await storage.download()).toEqual(data);
    expect(await storage.download(5)).toEqual(data.slice(0, 15));
    device().submit((encoder) => storage.clear(encoder));
    expect(await storage.download()).toEqual(new Float32Array(30));
    storage.destroy();
  });
});

describe("GrowingPlan", () => {
  it("plans anew only when it needs more room", async () => {
    let broken = false;
    const growing = new GrowingPlan(device(), "growing", () => {
      if (broken) throw new Error("no graph");
      const graph = new Graph();
      const x = graph.input("x", new Extent("rows", 16), 4);
      graph.keep("y", add(graph, x, x));
      return graph;
    });
    const { buffers } = device().counters;
    const run = async (rows: number) => {
      const x = randomF32(rows * 4, rows);
      await growing.run({ inputs: { x }, sizes: { rows }, scalars: {} });
      expect(await growing.read("y", rows)).toEqual(x.map((value) => 2 * value));
    };
    await growing.reserve({ rows: 5 });
    for (const rows of [5, 1, 4]) await run(rows);
    expect(growing.plans).toBe(1);
    await run(9);
    await run(7);
    expect(growing.plans).toBe(2);
    broken = true;
    await expect(growing.reserve({ rows: 10 })).rejects.toThrow("no graph");
    await expect(growing.reserve({ rows: 2 })).rejects.toThrow("no graph");
    growing.destroy();
    expect(device().counters.buffers).toBe(buffers);
  });
});
