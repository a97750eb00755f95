import { describe, expect, it } from "vitest";
import { Extent } from "../../src/graph/extent.ts";
import { Graph } from "../../src/graph/graph.ts";
import { add } from "../../src/ops/add.ts";
import { fetched, hostStep } from "../../src/ops/host.ts";
import { Plan } from "../../src/graph/plan/plan.ts";
import { useDevice } from "../helpers/device.ts";
import { randomF32 } from "../helpers/random-data.ts";

const WIDTH = 3;

describe("a step that the host computes amid a replay", () => {
  const device = useDevice();
  const rows = new Extent("rows", 4 * WIDTH);

  /** y = host(x + x) + host(x + x), where the host keeps the first two columns, negated. */
  async function compile(capacity: number): Promise<Plan> {
    const graph = new Graph();
    const x = graph.input("x", rows, WIDTH);
    const step = hostStep(graph, "negate", add(graph, x, x), 2);
    graph.keep("y", add(graph, step, step));
    return Plan.compile(device(), graph, { label: "host", capacity: { rows: capacity } });
  }

  const negate = (seen: number[]) => (values: Float32Array) => {
    seen.push(values.length / WIDTH);
    const count = values.length / WIDTH;
    return Float32Array.from({ length: 2 * count }, (_, i) => -values[(i >> 1) * WIDTH + (i & 1)]!);
  };

  it("reads what the launches before it made, and feeds those after it, replay by replay", async () => {
    const plan = await compile(100);
    for (const count of [7, 100, 1]) {
      const x = randomF32(count * WIDTH, count);
      const seen: number[] = [];
      plan.write("x", x);
      await plan.run({ rows: count }, {}, { host: { negate: negate(seen) }, repeat: 2 });
      expect(seen).toEqual([count, count]);
      const want = Float32Array.from({ length: 2 * count }, (_, i) => {
        return -4 * x[(i >> 1) * WIDTH + (i & 1)]!;
      });
      expect(await plan.read("y", count)).toEqual(want);
    }
    plan.destroy();
  });

  it("brings matrices of the host in where they are used, two in the place of one", async () => {
    const graph = new Graph();
    const matrix = (name: string, rows: number) => ({
      ...{ name, rows, width: WIDTH },
      values: randomF32(rows * WIDTH, rows),
    });
    const [a, b] = [matrix("a", 40), matrix("b", 40)];
    let y = graph.input("x", 40, WIDTH);
    for (const kept of [a, b, a]) y = add(graph, y, fetched(graph, kept));
    graph.keep("y", y);
    const plan = await Plan.compile(device(), graph, { label: "fetch", capacity: {} });
    const { activationBytes, unsharedBytes } = plan.report({});
    // Three fetched and three sums take the room of three: a sum reads two and writes one.
    expect([activationBytes, unsharedBytes]).toEqual([3 * 480, 6 * 480]);
    const x = randomF32(40 * WIDTH, 9);
    plan.write("x", x);
    for (const repeat of [1, 2]) {
      await plan.run({}, {}, { repeat });
      const one = (i: number) => Math.fround(x[i]! + a.values[i]!);
      const want = x.map((_, i) => Math.fround(one(i) + b.values[i]!) + a.values[i]!);
      expect(await plan.read("y")).toEqual(want);
    }
    // A replay takes what the host has by then.
    a.values.fill(0);
    await plan.run({});
    expect(await plan.read("y")).toEqual(x.map((value, i) => value + b.values[i]!));
    plan.destroy();
  });

  it("says which step is missing, or gave another number of values", async () => {
    const plan = await compile(4);
    plan.write("x", randomF32(4 * WIDTH, 1));
    await expect(plan.run({ rows: 4 })).rejects.toThrow(/was not given the host step negate/);
    const short = () => new Float32Array(3);
    await expect(plan.run({ rows: 4 }, {}, { host: { negate: short } })).rejects.toThrow(
      /negate gave 3 values, not 8/,
    );
    plan.destroy();
  });
});
