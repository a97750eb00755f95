import { describe, expect, inject, it } from "vitest";
import { openDevice } from "../../../src/gpu/device.ts";
import { Extent } from "../../../src/graph/extent.ts";
import { Graph } from "../../../src/graph/graph.ts";
import { Plan } from "../../../src/graph/plan/plan.ts";
import { linear } from "../../../src/ops/linear.ts";
import { checkKernel } from "../../helpers/check-kernel.ts";
import { checkOp } from "../../helpers/check-op.ts";
import { useDevice } from "../../helpers/device.ts";
import { randomF32 } from "../../helpers/random-data.ts";
import { softsignBackwardKernel, softsignKernel } from "./kernels.ts";
import { softsign } from "./softsign.ts";

const SHARPNESS = 1.75;

/** The definition, in float64. */
const value = (x: number): number => (SHARPNESS * x) / (1 + Math.abs(SHARPNESS * x));
const slope = (x: number): number => SHARPNESS / (1 + Math.abs(SHARPNESS * x)) ** 2;

describe("a kernel and an op that are not in the program's own folders", () => {
  const device = useDevice();

  it.each([1, 63, 1000])("compute what they are defined as, over %i elements", async (count) => {
    const [x, dy] = [randomF32(count, 1), randomF32(count, 2)];
    for (const [WG, PER] of [
      [64, 8],
      [256, 1],
    ] as const) {
      await checkKernel(device(), softsignKernel, {
        consts: { WG, PER },
        buffers: { x, y: new Float32Array(count) },
        params: { count, sharpness: SHARPNESS },
        expected: { y: Float64Array.from(x, value) },
        nmse: 1e-12,
      });
      await checkKernel(device(), softsignBackwardKernel, {
        consts: { WG, PER },
        buffers: { dy, x, dx: new Float32Array(count) },
        params: { count, sharpness: SHARPNESS },
        expected: { dx: Float64Array.from(x, (each, i) => dy[i]! * slope(each)) },
        nmse: 1e-12,
      });
    }
  });

  it("have the gradient of their definition, behind another op", async () => {
    await checkOp(device(), {
      parameters: { w: [5, 7] },
      inputs: { x: [9, 7] },
      trace: (graph, { x, w }) => softsign(graph, linear(graph, x!, w!), SHARPNESS),
      value: ({ x, w }) =>
        Float64Array.from({ length: 45 }, (_, i) => {
          let sum = 0;
          for (let d = 0; d < 7; d++) sum += x![Math.floor(i / 5) * 7 + d]! * w![(i % 5) * 7 + d]!;
          return value(sum);
        }),
    });
  });

  it("run in chunks, and again over other numbers of rows", async () => {
    const small = await openDevice({ tier: inject("tier"), chunkBytes: 16 * 64 * 4 });
    const graph = new Graph();
    const rows = new Extent("rows", 64 * 4);
    const x = graph.input("x", rows, 64);
    graph.keep("y", softsign(graph, x, SHARPNESS));
    const plan = await Plan.compile(small, graph, { label: "made-up", capacity: { rows: 40 } });
    for (const count of [40, 7]) {
      const data = randomF32(count * 64, count);
      plan.writeAll({ x: data });
      await plan.run({ rows: count });
      const got = await plan.read("y", count);
      expect(got).toHaveLength(count * 64);
      got.forEach((each, i) => expect(each).toBeCloseTo(value(data[i]!), 6));
    }
    expect(plan.report({ rows: 40 }).dispatches).toBe(3);
    plan.destroy();
    small.close();
  });
});
