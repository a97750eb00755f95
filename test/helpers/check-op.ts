import type { Device } from "../../src/gpu/device.ts";
import { Graph, type Tensor } from "../../src/graph/graph.ts";
import { Plan } from "../../src/graph/plan/plan.ts";
import { Storage, type Parameter } from "../../src/graph/storage.ts";
import { differentiate } from "../../src/ops/differentiate.ts";
import { compare, differences } from "./check-kernel.ts";
import { randomF32 } from "./random-data.ts";

/** Values of tensors by name. */
export type Values = Record<string, Float64Array>;
type Tensors = Record<string, Tensor>;

/** A small graph with its definition in float64. */
export interface OpCase {
  /** Trained parameters and inputs with gradients: [rows, width]. */
  parameters?: Record<string, readonly [number, number]>;
  inputs?: Record<string, readonly [number, number]>;
  /** Inputs without gradients; u32 tables and f32 tables, with their width. */
  tables?: Record<string, readonly [Uint32Array | Float32Array, number]>;
  scalars?: Record<string, number>;
  trace(graph: Graph, tensors: Tensors): Tensor;
  value(values: Values): Float64Array;
}

/** Every gradient of sum(y * u), for a fixed u, against central differences of the definition. */
export async function checkOp(
  device: Device,
  { parameters = {}, inputs = {}, tables = {}, ...run }: OpCase,
): Promise<void> {
  const graph = new Graph();
  const tensors: Tensors = {};
  const values: Values = {};
  const stored: Parameter[] = [];
  const given: Record<string, Float32Array | Uint32Array> = {};
  let seed = 1;
  for (const [name, [rows, width]] of Object.entries(parameters)) {
    const data = randomF32(rows * width, seed++);
    const value = new Storage(device, name, rows, width);
    const gradient = new Storage(device, `d${name}`, rows, width);
    value.upload(data);
    const parameter = { name, shape: [rows, width], value, scale: 1, gradient };
    stored.push(parameter);
    tensors[name] = graph.parameter(parameter);
    values[name] = Float64Array.from(data);
  }
  for (const [name, [rows, width]] of Object.entries(inputs)) {
    given[name] = randomF32(rows * width, seed++);
    tensors[name] = graph.input(name, rows, width);
    values[name] = Float64Array.from(given[name]);
  }
  for (const [name, [data, width]] of Object.entries(tables)) {
    given[name] = data;
    const type = data instanceof Uint32Array ? "u32" : "f32";
    tensors[name] = graph.input(name, data.length / width, width, type);
  }
  const y = graph.keep("y", run.trace(graph, tensors));
  const u = graph.input("u", y.rows, y.width);
  const wanted = Object.keys(inputs).map((name) => tensors[name]!);
  const gradients = differentiate(graph, [[y, u]], wanted);
  for (const tensor of wanted) graph.keep(`d${tensor.name}`, gradients.get(tensor)!);
  const plan = await Plan.compile(device, graph, { label: "case", capacity: {} });
  const want = run.value(values);
  given["u"] = randomF32(want.length, seed);
  plan.writeAll(given);
  await plan.run({}, run.scalars);
  compare("y", await plan.read("y"), want, 1e-11);
  const upstream = Float64Array.from(given["u"]);
  const loss = (name: string) => (at: Float64Array) =>
    run.value({ ...values, [name]: at }).reduce((sum, value, i) => sum + value * upstream[i]!, 0);
  for (const name of Object.keys(inputs)) {
    const numeric = differences(loss(name), values[name]!, 1e-4);
    compare(`d${name}`, await plan.read(`d${name}`), numeric, 1e-10);
  }
  for (const { name, value, gradient } of stored) {
    const numeric = differences(loss(name), values[name]!, 1e-4);
    compare(`d${name}`, await gradient!.download(), numeric, 1e-10);
    value.destroy();
    gradient!.destroy();
  }
  plan.destroy();
}
