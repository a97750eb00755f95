import { describe, expect, it } from "vitest";
import { differentiate } from "../../src/ops/differentiate.ts";
import { Extent, scalar } from "../../src/graph/extent.ts";
import { Graph } from "../../src/graph/graph.ts";
import { gelu, swiglu } from "../../src/ops/activation.ts";
import { add } from "../../src/ops/add.ts";
import { attention } from "../../src/ops/attention.ts";
import { convPack, poolRows } from "../../src/ops/conv.ts";
import { embed } from "../../src/ops/embed.ts";
import { linear } from "../../src/ops/linear.ts";
import { layerNorm, rmsNorm } from "../../src/ops/norm.ts";
import { rope } from "../../src/ops/rope.ts";
import { addRows, gatherRows, NO_ROW, permuteRows } from "../../src/ops/rows.ts";
import { Storage } from "../../src/graph/storage.ts";
import { treeSegments } from "../../src/network/segments.ts";
import { attention as attentionReference } from "../../src/reference/attention.ts";
import { gelu as geluReference } from "../../src/reference/gelu.ts";
import { checkOp, type OpCase, type Values } from "../helpers/check-op.ts";
import { useDevice } from "../helpers/device.ts";
import { randomF32 } from "../helpers/random-data.ts";

const device = useDevice();
const check = (run: OpCase) => checkOp(device(), run);

/** x W^T of x [rows, k], w [n, k]. */
function product(x: Float64Array, w: Float64Array, k: number): Float64Array {
  const n = w.length / k;
  return Float64Array.from({ length: (x.length / k) * n }, (_, i) => {
    let sum = 0;
    for (let d = 0; d < k; d++) sum += x[Math.floor(i / n) * k + d]! * w[(i % n) * k + d]!;
    return sum;
  });
}

const plus = (...terms: Float64Array[]): Float64Array =>
  terms[0]!.map((_, i) => terms.reduce((sum, term) => sum + term[i]!, 0));

/** Rows of width `w` divided by their root mean square, times a weight. */
const normed = (x: Float64Array, weight: Float64Array, centred = false): Float64Array => {
  const w = weight.length;
  return x.map((value, i) => {
    const row = x.subarray(i - (i % w), i - (i % w) + w);
    const mean = centred ? row.reduce((sum, v) => sum + v, 0) / w : 0;
    const square = row.reduce((sum, v) => sum + (v - mean) ** 2, 0) / w;
    return ((value - mean) / Math.sqrt(square + 1e-6)) * weight[i % w]!;
  });
};

/** Rows of x by index; zeros for `NO_ROW`. */
function rowsOf(x: Float64Array, index: ArrayLike<number>, width: number): Float64Array {
  return Float64Array.from({ length: index.length * width }, (_, i) => {
    const row = index[Math.floor(i / width)]!;
    return row === NO_ROW ? 0 : x[row * width + (i % width)]!;
  });
}

const at = (values: Values, name: string): Float64Array => values[name]!;

describe("the backward rule of every op is the gradient of its definition", () => {
  it("linear with bias, residual and a runtime scale", () =>
    check({
      parameters: { w: [5, 7], b: [1, 5] },
      inputs: { x: [9, 7], r: [9, 5] },
      scalars: { strength: -0.75 },
      trace: (graph, { x, w, b, r }) =>
        linear(graph, x!, w!, { bias: b, residual: r, scale: scalar("strength") }),
      value: (v) =>
        product(at(v, "x"), at(v, "w"), 7).map(
          (value, i) => -0.75 * value + at(v, "b")[i % 5]! + at(v, "r")[i]!,
        ),
    }));

  it("linear without anything, over more rows than parts", () =>
    check({
      parameters: { w: [3, 4] },
      inputs: { x: [70, 4] },
      trace: (graph, { x, w }) => linear(graph, x!, w!),
      value: (v) => product(at(v, "x"), at(v, "w"), 4),
    }));

  it("add, of two tensors and of one with itself", () =>
    check({
      inputs: { a: [4, 6], b: [4, 6] },
      trace: (graph, { a, b }) => add(graph, add(graph, a!, b!), a!),
      value: (v) => plus(at(v, "a"), at(v, "b"), at(v, "a")),
    }));

  it("rms-norm and layer-norm", async () => {
    await check({
      parameters: { w: [1, 12] },
      inputs: { x: [40, 12] },
      trace: (graph, { x, w }) => rmsNorm(graph, x!, w!, 1e-6),
      value: (v) => normed(at(v, "x"), at(v, "w")),
    });
    await check({
      parameters: { w: [1, 12], b: [1, 12] },
      inputs: { x: [40, 12] },
      trace: (graph, { x, w, b }) => layerNorm(graph, x!, w!, b!, 1e-6),
      value: (v) =>
        normed(at(v, "x"), at(v, "w"), true).map((value, i) => value + at(v, "b")[i % 12]!),
    });
  });

  it("gelu and swiglu", async () => {
    await check({
      inputs: { x: [5, 8] },
      trace: (graph, { x }) => gelu(graph, x!),
      value: (v) => geluReference(at(v, "x")),
    });
    await check({
      inputs: { gate: [5, 8], up: [5, 8] },
      trace: (graph, { gate, up }) => swiglu(graph, gate!, up!),
      value: (v) => at(v, "gate").map((g, i) => (g / (1 + Math.exp(-g))) * at(v, "up")[i]!),
    });
  });

  it("rope", () => {
    const angles = randomF32(6 * 4, 77, -3, 3);
    const table = Float32Array.from({ length: 6 * 8 }, (_, i) => {
      const angle = angles[Math.floor(i / 8) * 4 + (i % 4)]!;
      return i % 8 < 4 ? Math.cos(angle) : Math.sin(angle);
    });
    return check({
      inputs: { x: [6, 16] },
      tables: { table: [table, 8] },
      trace: (graph, { x, table: t }) => rope(graph, x!, t!, 8),
      value: (v) =>
        at(v, "x").map((value, i) => {
          const row = Math.floor(i / 16) * 8;
          const [cos, sin] = [table[row + (i % 4)]!, table[row + 4 + (i % 4)]!];
          return i % 8 < 4
            ? value * cos - at(v, "x")[i + 4]! * sin
            : value * cos + at(v, "x")[i - 4]! * sin;
        }),
    });
  });

  it("attention over packed trees with grouped heads", () => {
    const { segments, keyRanges } = treeSegments([
      { prompt: 4, branches: [2, 0, 3] },
      { prompt: 1, branches: [] },
      { prompt: 2, branches: [1] },
    ]);
    const rows = segments.length / 4;
    const layout = { heads: 4, kvHeads: 2, headDim: 8, visible: "pairs" };
    return check({
      inputs: { q: [rows, 32], k: [rows, 16], v: [rows, 16] },
      tables: { segments: [segments, 4], keyRanges: [keyRanges, 2] },
      trace: (graph, t) =>
        attention(
          graph,
          { q: t["q"]!, k: t["k"]!, v: t["v"]! },
          { segments: t["segments"]!, keyRanges: t["keyRanges"]! },
          layout,
        ),
      value: (v) => {
        const tensors = { q: at(v, "q"), k: at(v, "k"), v: at(v, "v") };
        return attentionReference({ ...layout, ...tensors, segments, scale: 8 ** -0.5 }).o;
      },
    });
  });

  it("permuted, gathered, positioned, windowed and pooled rows", async () => {
    const order = Uint32Array.of(2, 0, 4, 1, 3);
    const inverse = Uint32Array.of(1, 3, 0, 4, 2);
    await check({
      inputs: { x: [5, 3] },
      tables: { order: [order, 1], inverse: [inverse, 1] },
      trace: (graph, { x, order: o, inverse: i }) => permuteRows(graph, x!, o!, i!),
      value: (v) => rowsOf(at(v, "x"), order, 3),
    });
    const index = Uint32Array.of(3, 1, 3, 3, 0);
    await check({
      inputs: { x: [5, 3] },
      tables: {
        index: [index, 1],
        order: [Uint32Array.of(4, 1, 0, 2, 3), 1],
        start: [Uint32Array.of(0, 1, 2, 2, 5, 5), 1],
      },
      trace: (graph, { x, index: i, order: o, start }) =>
        gatherRows(graph, x!, i!, { order: o!, start: start! }),
      value: (v) => rowsOf(at(v, "x"), index, 3),
    });
    const table = randomF32(6, 5);
    await check({
      inputs: { x: [4, 3] },
      tables: { table: [table, 3], place: [Uint32Array.of(0, 1, 1, 0), 1] },
      trace: (graph, { x, table: t, place }) => addRows(graph, x!, t!, place!),
      value: (v) => plus(at(v, "x"), rowsOf(Float64Array.from(table), [0, 1, 1, 0], 3)),
    });
    // Kernel 3, stride 2, padding 1 over 4 rows.
    const taps = Uint32Array.of(NO_ROW, 0, 1, 1, 2, 3);
    const places = Uint32Array.of(
      1,
      NO_ROW,
      NO_ROW,
      2,
      3,
      NO_ROW,
      4,
      NO_ROW,
      NO_ROW,
      5,
      NO_ROW,
      NO_ROW,
    );
    await check({
      inputs: { x: [4, 2] },
      tables: { index: [taps, 3], inverse: [places, 3] },
      trace: (graph, { x, index: i, inverse: n }) =>
        convPack(graph, x!, { index: i!, inverse: n! }),
      value: (v) =>
        Float64Array.from({ length: 12 }, (_, i) => {
          const source = taps[Math.floor(i / 6) * 3 + (i % 3)]!;
          return source === NO_ROW ? 0 : at(v, "x")[source * 2 + Math.floor((i % 6) / 3)]!;
        }),
    });
    await check({
      inputs: { x: [6, 3] },
      tables: {
        first: [Uint32Array.of(0, 3), 1],
        inverse: [Uint32Array.of(0, 0, NO_ROW, 1, 1, NO_ROW), 1],
      },
      trace: (graph, { x, first, inverse: i }) => poolRows(graph, x!, first!, i!),
      value: (v) =>
        plus(rowsOf(at(v, "x"), [0, 3], 3), rowsOf(at(v, "x"), [1, 4], 3)).map((sum) => sum / 2),
    });
  });

  it("embeddings with spliced features", () => {
    const ids = Uint32Array.of(2, NO_ROW, 5, 2, NO_ROW, 0);
    const source = Uint32Array.of(NO_ROW, 1, NO_ROW, NO_ROW, 0, NO_ROW);
    return check({
      parameters: { table: [7, 4] },
      inputs: { features: [2, 4] },
      tables: {
        ids: [ids, 1],
        source: [source, 1],
        destination: [Uint32Array.of(4, 1), 1],
        order: [Uint32Array.of(5, 0, 3, 2), 1],
        start: [Uint32Array.of(0, 1, 3, 4), 1],
        token: [Uint32Array.of(0, 2, 5), 1],
      },
      trace: (graph, t) =>
        embed(
          graph,
          t["table"]!,
          t["ids"]!,
          [{ features: t["features"]!, source: t["source"]!, destination: t["destination"]! }],
          { order: t["order"]!, start: t["start"]!, token: t["token"]! },
        ),
      value: (v) => plus(rowsOf(at(v, "table"), ids, 4), rowsOf(at(v, "features"), source, 4)),
    });
  });
});

describe("differentiate", () => {
  it("sums the uses of a tensor along residual chains and reshapes", () =>
    check({
      parameters: { w: [6, 6], big: [4, 12], n: [1, 6] },
      inputs: { x: [8, 6] },
      trace: (graph, { x, w, big, n }) => {
        let hidden = x!;
        for (let layer = 0; layer < 3; layer++) {
          const gate = linear(graph, rmsNorm(graph, hidden, n!, 1e-6), w!);
          hidden = linear(graph, swiglu(graph, gate, hidden), w!, { residual: hidden });
        }
        // Two rows as one, as the vision merger does; the tensor is used plain and reshaped.
        const merged = linear(graph, graph.reshape(hidden, 12), big!);
        return add(
          graph,
          graph.reshape(add(graph, hidden, x!), 12),
          graph.reshape(linear(graph, merged, graph.reshape(big!, 4)), 12),
        );
      },
      value: (v) => {
        const [x, w, big] = [at(v, "x"), at(v, "w"), at(v, "big")];
        let hidden = x;
        for (let layer = 0; layer < 3; layer++) {
          const gate = product(normed(hidden, at(v, "n")), w, 6);
          const mixed = gate.map((g, i) => (g / (1 + Math.exp(-g))) * hidden[i]!);
          hidden = plus(product(mixed, w, 6), hidden);
        }
        const merged = product(hidden, big, 12);
        return plus(hidden, x, product(merged, big, 4));
      },
    }));

  it("sums the gather and the head of a tied parameter", () => {
    const ids = Uint32Array.of(1, 4, 1);
    return check({
      parameters: { table: [6, 5] },
      tables: {
        ids: [ids, 1],
        order: [Uint32Array.of(0, 2, 1), 1],
        start: [Uint32Array.of(0, 2, 3), 1],
        token: [Uint32Array.of(1, 4), 1],
      },
      trace: (graph, { table, ids: i, order, start, token }) => {
        const x = embed(graph, table!, i!, [], { order: order!, start: start!, token: token! });
        return linear(graph, gelu(graph, x), table!);
      },
      value: (v) => product(geluReference(rowsOf(at(v, "table"), ids, 5)), at(v, "table"), 5),
    });
  });

  it("adds nothing for what does not train", () => {
    const graph = new Graph();
    const rows = new Extent("rows", 64);
    const frozen = new Storage(device(), "frozen", 4, 4);
    const x = graph.input("x", rows, 4);
    const w = graph.parameter({ name: "w", shape: [4, 4], value: frozen, scale: 1 });
    const y = gelu(graph, linear(graph, x, w));
    const nodes = graph.nodes.length;
    differentiate(graph, [[y, graph.input("u", rows, 4)]]);
    expect(graph.nodes.length).toBe(nodes);
    frozen.destroy();
  });
});
