import { describe, expect, it } from "vitest";
import { addRowsKernel, bucketSumKernel, gatherRowsKernel } from "../../src/kernels/rows.ts";
import { poolRowsKernel } from "../../src/kernels/conv.ts";
import {
  addRows,
  embeddingBackward,
  gatherRows,
  NO_ROW,
  poolRows,
  poolRowsBackward,
} from "../../src/reference/rows.ts";
import { combinations, f64, fuzz, periodicF32, zeros } from "../helpers/cases.ts";
import {
  checkKernel,
  compare,
  differences,
  runKernel,
  type Data,
} from "../helpers/check-kernel.ts";
import { randomWeight } from "../helpers/f16s.ts";
import { randomF32, randomU32 } from "../helpers/random-data.ts";
import { useDevice } from "../helpers/device.ts";

const device = useDevice();

/** Rows, columns, rows of the table. */
const shapes = [
  [1, 1, 1],
  [3, 7, 33],
  [65, 64, 7],
  [7, 1000, 3],
  [33, 48, 300],
  [70_001, 7, 100],
  ...fuzz(61, 4, [1, 300], [1, 200], [1, 300]),
] as [number, number, number][];

/** Indices into a table of which this call holds only [first, first + tableRows), and some holes. */
function holedIndex(rows: number, first: number, tableRows: number): Uint32Array {
  const index = randomU32(rows, tableRows + first + 5, rows);
  return index.map((row, i) => (i % 5 === 3 ? NO_ROW : row));
}

describe("the float64 definitions", () => {
  const dy = f64(randomF32(12, 1));
  const dot = (y: Float64Array) => y.reduce((sum, value, i) => sum + value * dy[i]!, 0);

  it("the embedding's gradient sums over equal tokens", () => {
    const tokens = Uint32Array.of(2, 0, 2, 2);
    const embed = (table: Float64Array) => {
      const y = new Float64Array(12);
      gatherRows(table, tokens, y, 3);
      return dot(y);
    };
    const dtable = new Float64Array(9);
    embeddingBackward(dy, tokens, dtable, 3);
    compare("dtable", dtable, differences(embed, f64(randomF32(9, 3))), 1e-16);
  });

  it("pool-rows has the gradient that central differences have", () => {
    const first = Uint32Array.of(0, 3, 5, 2);
    const dx = poolRowsBackward(dy, first, 7, 3);
    const want = differences((at) => dot(poolRows(at, first, 3)), f64(randomF32(21, 4)));
    compare("dx", dx, want, 1e-16);
  });
});

describe.each(combinations(gatherRowsKernel.tunables))("gather-rows with %o", (consts) => {
  it.each(shapes)("equals float64 for %i rows of %i from %i", async (rows, cols, srcRows) => {
    const source = periodicF32(srcRows * cols, 1);
    const before = periodicF32(rows * cols, 2);
    const first = 3;
    const index = holedIndex(rows, first, srcRows);
    const gathered = new Float64Array(rows * cols);
    gatherRows(f64(source), index, gathered, cols, first, 0.5);
    const inside = (i: number) => {
      const row = index[Math.floor(i / cols)]!;
      return row >= first && row < first + srcRows;
    };
    for (const [KEEP, ACCUMULATE] of [
      [false, false],
      [true, false],
      [true, true],
      [false, true],
    ] as const) {
      if (rows > 1000 && ACCUMULATE) continue;
      const y = gathered.map((value, i) => {
        if (ACCUMULATE) return value + before[i]!;
        return inside(i) ? value : KEEP ? before[i]! : 0;
      });
      await checkKernel(device(), gatherRowsKernel, {
        consts: { ...consts, KEEP, ACCUMULATE },
        library: { weight: "f32" },
        buffers: { weight: source, index, y: before },
        params: { rows, cols, first, srcRows, scale: 0.5 },
        expected: { y },
        nmse: 1e-14,
      });
    }
  });

  it.each(shapes)("takes %i rows of %i from %i of f16s", async (rows, cols, srcRows) => {
    const { f32, f16s } = randomWeight(srcRows, cols, rows);
    const index = holedIndex(rows, 3, srcRows);
    const y = new Float64Array(rows * cols);
    gatherRows(f64(f32), index, y, cols, 3, 4);
    await checkKernel(device(), gatherRowsKernel, {
      consts,
      library: { weight: "f16s" },
      buffers: { weight: f16s, index, y: new Float32Array(rows * cols) },
      params: { rows, cols, first: 3, srcRows, scale: 4 },
      expected: { y },
      absolute: 0,
    });
  });
});

describe.each(combinations(bucketSumKernel.tunables))("bucket-sum with %o", (consts) => {
  it.each([
    [1, 1, 1],
    [100, 7, 5],
    [1000, 33, 65],
    [3, 1000, 7],
    [90_000, 5, 70_000],
    ...fuzz(62, 4, [1, 1000], [1, 100], [1, 300]),
  ] as [number, number, number][])(
    "equals float64 for %i rows of %i over %i tokens",
    async (rows, cols, vocabulary) => {
      const [first, tableRows] = [2, vocabulary];
      const dy = periodicF32(rows * cols, 1);
      const tokens = randomU32(rows, vocabulary + 4, 2);
      const order = Uint32Array.from(tokens.keys()).sort(
        (a, b) => tokens[a]! - tokens[b]! || a - b,
      );
      const token = Uint32Array.from(new Set([...tokens].sort((a, b) => a - b)));
      const start = new Uint32Array(token.length + 1);
      let bucket = 0;
      order.forEach((row, at) => {
        if (tokens[row] !== token[bucket]) start[++bucket] = at;
      });
      start[token.length] = rows;
      const table = periodicF32(tableRows * cols, 3);
      const want = f64(table);
      embeddingBackward(f64(dy), tokens, want, cols, first);
      await checkKernel(device(), bucketSumKernel, {
        consts,
        buffers: { dy, order, start, token, table },
        params: { buckets: token.length, cols, first, tableRows, dyFirst: 0, dyRows: rows },
        expected: { table: want },
      });
      // In chunks of dy: the rows that are not bound come from the other call.
      const shared = { buckets: token.length, cols, first, tableRows };
      const call = async (table: Data, dyFirst: number, dyRows: number) => {
        const part = dy.subarray(dyFirst * cols, (dyFirst + dyRows) * cols);
        const buffers = { dy: part, order, start, token, table };
        const params = { ...shared, dyFirst, dyRows };
        return (await runKernel(device(), bucketSumKernel, { consts, buffers, params }))["table"]!;
      };
      const cut = Math.ceil(rows / 3);
      const chunked = await call(await call(table, 0, cut), cut, rows - cut);
      compare("bucket-sum in chunks", chunked, want, 1e-10);
    },
  );
});

describe.each(combinations(addRowsKernel.tunables))("add-rows with %o", (consts) => {
  it.each(shapes)("equals float64 for %i rows of %i from %i", async (rows, cols, tableRows) => {
    const [x, table] = [periodicF32(rows * cols, 1), periodicF32(tableRows * cols, 2)];
    const index = randomU32(rows, tableRows, 3);
    await checkKernel(device(), addRowsKernel, {
      consts,
      buffers: { x, table, index, y: zeros(rows * cols) },
      params: { rows, cols },
      expected: { y: addRows(f64(x), f64(table), index, cols) },
      nmse: 1e-13,
    });
  });
});

describe.each(combinations(poolRowsKernel.tunables))("pool-rows with %o", (consts) => {
  it.each(shapes)("equals float64 for %i rows of %i from %i pairs", async (rows, cols, pairs) => {
    const x = periodicF32((pairs + 1) * cols, 1);
    const first = randomU32(rows, pairs, 2);
    await checkKernel(device(), poolRowsKernel, {
      consts,
      buffers: { x, first, y: zeros(rows * cols) },
      params: { rows, cols },
      expected: { y: poolRows(f64(x), first, cols) },
      nmse: 1e-13,
    });
  });
});

it("launches nothing for no rows", () => {
  for (const kernel of [gatherRowsKernel, addRowsKernel, poolRowsKernel]) {
    const params = { rows: 0, cols: 64, first: 0, srcRows: 1, scale: 1 };
    for (const consts of combinations(kernel.tunables)) {
      expect(kernel.grid(params, { ...consts, KEEP: false, ACCUMULATE: false })[0]).toBe(0);
    }
  }
});
