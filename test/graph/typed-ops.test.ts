import { describe, expect, expectTypeOf, it } from "vitest";
import {
  defineKernel,
  type BuffersOf,
  type ConstsOf,
  type ParamsOf,
} from "../../src/gpu/kernel.ts";
import {
  Graph,
  mapTensors,
  tensorsOf,
  type ChunkBinding,
  type Lowering,
  type Op,
  type Tensor,
  type Tensors,
} from "../../src/graph/graph.ts";
import { chooseMatmul } from "../../src/kernels/choose.ts";
import { addKernel } from "../../src/kernels/pointwise.ts";
import { gatherRowsKernel } from "../../src/kernels/rows.ts";
import { profileOf } from "../helpers/device.ts";

/*
 * Most of this file is checked by the compiler: a line below `@ts-expect-error` that is no error is
 * one itself.
 */

const kernel = defineKernel({
  name: "sample",
  shader: new URL("file:///sample.wgsl"),
  buffers: { x: "read", y: "write" },
  params: { rows: "u32", scale: "f32" },
  tunables: { WG: [64, 8] },
  constants: { HEAD_DIM: 32 },
  grid: ({ rows }, { WG }) => [Math.ceil(rows / Number(WG)), 1, 1],
});

/** A lowering that keeps what it is given. */
function recorder(): { to: Lowering; launches: { kernel: { name: string } }[] } {
  const launches: { kernel: { name: string } }[] = [];
  const to: Lowering = {
    dispatch: (dispatch) => void launches.push(dispatch),
    host: () => {},
    fetch: () => {},
    chunks: () => [{ index: 0, first: 0, capacity: 4, rows: 4 }],
    profile: profileOf(true),
  };
  return { to, launches };
}

const graph = new Graph();
const [x, y] = [graph.input("x", 4, 4), graph.value("y", 4, 4)];
const at = (tensor: Tensor): ChunkBinding => ({ tensor, chunk: 0 });

describe("a kernel's type", () => {
  it("has the names of its buffers, parameters and constants", () => {
    expectTypeOf<keyof BuffersOf<typeof kernel, 0>>().toEqualTypeOf<"x" | "y">();
    expectTypeOf<keyof ParamsOf<typeof kernel, 0>>().toEqualTypeOf<"rows" | "scale">();
    expectTypeOf<keyof ConstsOf<typeof kernel>>().toEqualTypeOf<"WG" | "HEAD_DIM">();
    expectTypeOf<keyof ConstsOf<typeof addKernel>>().toEqualTypeOf<"WG" | "PER">();
  });

  it("lets a grid ask for what the kernel has only", () => {
    // @ts-expect-error: the kernel has no parameter columns.
    defineKernel({ ...kernel, grid: ({ columns }) => [columns, 1, 1] });
    // @ts-expect-error: the kernel has no constant TILE.
    defineKernel({ ...kernel, grid: (_params, { TILE }) => [Number(TILE), 1, 1] });
    expect(kernel.grid({ rows: 100, scale: 1 }, { WG: 64, HEAD_DIM: 32 })).toEqual([2, 1, 1]);
  });
});

describe("a dispatch", () => {
  const buffers = { x: at(x), y: at(y) };
  const params = { rows: 4, scale: 1 };
  const { to, launches } = recorder();

  it("takes exactly the buffers of its kernel", () => {
    to.dispatch({ kernel, buffers, params });
    // @ts-expect-error: y is missing.
    to.dispatch({ kernel, buffers: { x: at(x) }, params });
    // @ts-expect-error: z is not a buffer of the kernel.
    to.dispatch({ kernel, buffers: { x: at(x), y: at(y), z: at(y) }, params });
    // @ts-expect-error: misspelt.
    to.dispatch({ kernel, buffers: { x: at(x), Y: at(y) }, params });
    // @ts-expect-error: a number is no buffer.
    to.dispatch({ kernel, buffers: { x: at(x), y: 1 }, params });
    expect(launches.length).toBe(5);
  });

  it("takes exactly the parameters of its kernel", () => {
    // @ts-expect-error: scale is missing.
    to.dispatch({ kernel, buffers, params: { rows: 4 } });
    // @ts-expect-error: columns is not a parameter of the kernel.
    to.dispatch({ kernel, buffers, params: { rows: 4, scale: 1, columns: 4 } });
    // @ts-expect-error: misspelt.
    to.dispatch({ kernel, buffers, params: { row: 4, scale: 1 } });
    // @ts-expect-error: a flag is no parameter.
    to.dispatch({ kernel, buffers, params: { rows: 4, scale: true } });
  });

  it("takes constants and libraries of its kernel only", () => {
    to.dispatch({ kernel, buffers, params, consts: { HEAD_DIM: 16 } });
    // @ts-expect-error: misspelt.
    to.dispatch({ kernel, buffers, params, consts: { HEAD_DIMS: 16 } });
    const gather = {
      ...{ kernel: gatherRowsKernel, buffers: { weight: at(x), index: at(x), y: at(y) } },
      params: { rows: 4, cols: 4, first: 0, srcRows: 4, scale: 1 },
    };
    to.dispatch({ ...gather, library: { weight: "f16s" } });
    // @ts-expect-error: misspelt.
    to.dispatch({ ...gather, library: { weights: "f16s" } });
  });

  it("checks a kernel that is chosen among several", () => {
    const size = { m: 4, n: 4, k: 4 };
    const choice = chooseMatmul(to.profile, "nn", size);
    const product = { m: 4, n: 4, k: 4, yStride: 4, yOffset: 0, scale: 1 };
    to.dispatch({
      ...{ kernel: choice.kernel, params: product },
      consts: { ...choice.consts, ACCUMULATE: true },
      buffers: { dy: at(x), weight: at(x), dx: at(y) },
    });
    to.dispatch({
      ...{ kernel: choice.kernel, params: product },
      // @ts-expect-error: the products of this layout have no bias.
      consts: { ...choice.consts, BIAS: true },
      buffers: { dy: at(x), weight: at(x), dx: at(y) },
    });
    to.dispatch({
      ...{ kernel: choice.kernel, params: product },
      // @ts-expect-error: dx is missing.
      buffers: { dy: at(x), weight: at(x) },
    });
    expect(launches.at(-1)!.kernel).toBe(choice.kernel);
  });
});

describe("an op", () => {
  type In = Tensors<"x"> & { bias?: Tensor | undefined; rest?: readonly Tensor[] };
  const op: Op<In, Tensors<"y">> = {
    name: "sample",
    lower(inputs, outputs) {
      expectTypeOf(inputs.x).toEqualTypeOf<Tensor>();
      expectTypeOf(inputs.bias).toEqualTypeOf<Tensor | undefined>();
      expectTypeOf(outputs.y).toEqualTypeOf<Tensor>();
      // @ts-expect-error: the op has no input z.
      void inputs.z;
    },
    backward(inputs, outputs, tape) {
      expectTypeOf(tape.gradient(outputs.y)).toEqualTypeOf<Tensor>();
      // @ts-expect-error: the op has no output x.
      void outputs.x;
      tape.add(inputs.x, tape.gradient(outputs.y));
    },
  };

  it("is applied to exactly the tensors that it names", () => {
    graph.add(op, { x }, { y });
    graph.add(op, { x, bias: x, rest: [x, y] }, { y });
    // @ts-expect-error: x is missing.
    graph.add(op, { bias: x }, { y });
    // @ts-expect-error: misspelt.
    graph.add(op, { x, baias: x }, { y });
    // @ts-expect-error: z is not an output of the op.
    graph.add(op, { x }, { y, z: y });
    // @ts-expect-error: y is missing.
    graph.add(op, { x }, {});
    // @ts-expect-error: x is one tensor.
    graph.add(op, { x: [x] }, { y });
    expect(graph.nodes.length).toBe(7);
  });

  it("lists its tensors in the order of the names, lists in place, absent ones left out", () => {
    const [a, b, c] = ["a", "b", "c"].map((name) => graph.value(name, 1, 1));
    const operands = { b: b!, none: undefined, list: [c!, a!], a: a! };
    expect(tensorsOf(operands)).toEqual([b, c, a, a]);
    const views = mapTensors(operands, (tensor) => ({ ...tensor, name: `${tensor.name}'` }));
    expect(Object.keys(views)).toEqual(["b", "none", "list", "a"]);
    expect(tensorsOf(views).map(({ name }) => name)).toEqual(["b'", "c'", "a'", "a'"]);
    expect(views["none"]).toBeUndefined();
  });
});
