import { expect, it } from "vitest";
import { DeviceError } from "../../src/core/errors.ts";
import { Extent } from "../../src/graph/extent.ts";
import { Graph } from "../../src/graph/graph.ts";
import { gelu } from "../../src/ops/activation.ts";
import { linear } from "../../src/ops/linear.ts";
import { columnSum } from "../../src/ops/reduce.ts";
import { rmsNorm } from "../../src/ops/norm.ts";
import { Plan } from "../../src/graph/plan/plan.ts";
import { Storage, type Parameter } from "../../src/graph/storage.ts";
import { randomF32 } from "../helpers/random-data.ts";
import { useDevice } from "../helpers/device.ts";

const device = useDevice();
const ROWS = 40;
const WIDTH = 16;

/** norm, linear, gelu; and with more than one layer, more launches than one query set times. */
async function makePlan(layers: number): Promise<Plan> {
  const parameter = (name: string, rows: number, seed: number): Parameter => {
    const value = new Storage(device(), name, rows, WIDTH);
    value.upload(randomF32(rows * WIDTH, seed));
    const gradient = new Storage(device(), `d${name}`, rows, WIDTH);
    gradient.upload(new Float32Array(rows * WIDTH));
    return { name, shape: [rows, WIDTH], value, scale: 1, gradient };
  };
  const graph = new Graph();
  let y = graph.input("x", new Extent("rows", 4 * WIDTH), WIDTH);
  const norm = graph.parameter(parameter("norm", 1, 1));
  const up = graph.parameter(parameter("up", WIDTH, 2));
  for (let i = 0; i < layers; i++)
    y = gelu(graph, linear(graph, rmsNorm(graph, y, norm, 1e-6), up));
  graph.keep("y", y);
  graph.keep("sum", columnSum(graph, y));
  return Plan.compile(device(), graph, { label: "profiled", capacity: { rows: ROWS } });
}

it("times every launch of a replay and changes no bit of it", async (context) => {
  if (!device().capabilities.timestamps) return context.skip("the device has no timestamps");
  const plan = await makePlan(1);
  plan.write("x", randomF32(ROWS * WIDTH, 3));
  const sizes = { rows: ROWS };
  await plan.run(sizes);
  const before = [await plan.read("y"), await plan.read("sum")];
  // Other values in all buffers, so that what is read below is what the profiled replay made.
  plan.write("x", new Float32Array(ROWS * WIDTH));
  await plan.run(sizes);
  plan.write("x", randomF32(ROWS * WIDTH, 3));
  const counters = { ...device().counters };
  const profile = await plan.profile(sizes);
  const report = plan.report(sizes);
  expect(profile.launches).toHaveLength(report.dispatches);
  expect(device().counters.dispatches - counters.dispatches).toBe(report.dispatches);
  expect(device().counters.buffers).toBe(counters.buffers);
  const ops = profile.launches.map(({ op, kernel }) => [op, kernel]);
  expect(ops.slice(0, 3)).toEqual([
    ["rms-norm", "rms-norm"],
    ["linear", expect.stringMatching(/^matmul-(nt|skinny)/)],
    ["gelu", "gelu"],
  ]);
  expect(profile.launches.reduce((sum, { flops }) => sum + flops, 0)).toBe(report.flops);
  for (const { ms } of profile.launches) {
    expect(ms).toBeGreaterThanOrEqual(0);
    expect(ms).toBeLessThan(60_000);
  }
  const total = (list: readonly { ms: number }[]) => list.reduce((sum, { ms }) => sum + ms, 0);
  expect(total(profile.launches)).toBeGreaterThan(0);
  expect(total(profile.kernels)).toBeCloseTo(total(profile.launches), 9);
  const counts = profile.kernels.reduce((sum, { launches }) => sum + launches, 0);
  expect(counts).toBe(report.dispatches);
  expect([await plan.read("y"), await plan.read("sum")]).toEqual(before);
  await plan.run(sizes);
  expect([await plan.read("y"), await plan.read("sum")]).toEqual(before);
  plan.destroy();
});

it("leaves out launches over nothing, and takes more than a query set holds", async (context) => {
  if (!device().capabilities.timestamps) return context.skip("the device has no timestamps");
  const plan = await makePlan(700);
  plan.write("x", randomF32(ROWS * WIDTH, 3));
  for (const rows of [0, 1]) {
    const { launches } = await plan.profile({ rows });
    expect(launches).toHaveLength(plan.report({ rows }).dispatches);
  }
  expect(plan.report({ rows: 1 }).dispatches).toBeGreaterThan(2048);
  expect(plan.report({ rows: 0 }).dispatches).toBeLessThan(10);
  plan.destroy();
});

it("says so where the device has no timestamps", async (context) => {
  if (device().capabilities.timestamps) return context.skip("the device has timestamps");
  const plan = await makePlan(1);
  plan.write("x", randomF32(ROWS * WIDTH, 3));
  const error = await plan.profile({ rows: ROWS }).catch((cause: unknown) => cause);
  expect(error).toBeInstanceOf(DeviceError);
  expect((error as DeviceError).code).toBe("no-timestamps");
  expect((error as DeviceError).message).toContain("timestamp-query");
  await plan.run({ rows: ROWS });
  plan.destroy();
});
