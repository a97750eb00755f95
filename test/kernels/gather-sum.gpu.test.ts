import { describe, expect, it } from "vitest";
import { gatherSumKernel } from "../../src/kernels/rows.ts";
import { gatherSum } from "../../src/reference/gather-sum.ts";
import { checkKernel, differences, runKernel } from "../helpers/check-kernel.ts";
import { useDevice } from "../helpers/device.ts";
import { randomF32, randomU32 } from "../helpers/random-data.ts";

const device = useDevice();

/** Rows of a gather grouped by their source row. */
function group(index: Uint32Array, rows: number) {
  const order = [...index.keys()].sort((a, b) => index[a]! - index[b]! || a - b);
  const start = new Uint32Array(rows + 1);
  for (const source of index) start[source + 1]!++;
  for (let i = 0; i < rows; i++) start[i + 1]! += start[i]!;
  return { order: Uint32Array.from(order), start };
}

describe("gather-sum", () => {
  for (const [gathered, rows, cols] of [
    [1, 1, 1],
    [37, 11, 5],
    [100, 300, 33],
    [9, 70_001, 3],
  ] as const) {
    for (const WG of gatherSumKernel.tunables["WG"]!) {
      it(`equals float64 for ${gathered} of ${rows} rows of ${cols} with WG ${WG}`, async () => {
        const index = randomU32(gathered, rows, 5);
        const { order, start } = group(index, rows);
        const x = randomF32(gathered * cols, 6);
        await checkKernel(device(), gatherSumKernel, {
          consts: { WG },
          buffers: { x, order, start, y: new Float32Array(rows * cols).fill(7) },
          params: { rows, cols, first: 0, xFirst: 0, xRows: gathered },
          expected: { y: gatherSum(Float64Array.from(x), order, start, rows, cols) },
          nmse: 1e-13,
        });
      });
    }
  }

  it("gives the same bits in chunks of both sides", async () => {
    const [gathered, rows, cols] = [90, 40, 7];
    const { order, start } = group(randomU32(gathered, rows, 8), rows);
    const x = randomF32(gathered * cols, 9);
    const whole = await runKernel(device(), gatherSumKernel, {
      buffers: { x, order, start, y: new Float32Array(rows * cols) },
      params: { rows, cols, first: 0, xFirst: 0, xRows: gathered },
    });
    for (const first of [0, 13, 26]) {
      const count = Math.min(13, rows - first);
      let y = new Float32Array(count * cols);
      for (const xFirst of [0, 40, 80]) {
        const xRows = Math.min(40, gathered - xFirst);
        const part = x.slice(xFirst * cols, (xFirst + xRows) * cols);
        const result = await runKernel(device(), gatherSumKernel, {
          consts: { ACCUMULATE: xFirst > 0 },
          buffers: { x: part, order, start, y },
          params: { rows: count, cols, first, xFirst, xRows },
        });
        y = result["y"] as Float32Array<ArrayBuffer>;
      }
      expect(y).toEqual(whole["y"]!.slice(first * cols, (first + count) * cols));
    }
  });

  it("is the gradient of the gather", () => {
    const index = randomU32(7, 4, 1);
    const { order, start } = group(index, 4);
    const upstream = Float64Array.from(randomF32(7 * 3, 2));
    const loss = (source: Float64Array) =>
      upstream.reduce((sum, u, e) => sum + u * source[index[Math.floor(e / 3)]! * 3 + (e % 3)]!, 0);
    const want = differences(loss, Float64Array.from(randomF32(12, 3)));
    const got = gatherSum(upstream, order, start, 4, 3);
    got.forEach((value, i) => expect(value).toBeCloseTo(want[i]!, 8));
  });
});
