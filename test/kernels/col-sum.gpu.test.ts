import { describe, expect, it } from "vitest";
import { colSumKernel } from "../../src/kernels/rows.ts";
import { colSum } from "../../src/reference/col-sum.ts";
import { combinations, f64, fuzz, periodicF32, zeros } from "../helpers/cases.ts";
import { checkKernel, compare, runKernel } from "../helpers/check-kernel.ts";
import { randomF32 } from "../helpers/random-data.ts";
import { useDevice } from "../helpers/device.ts";

const device = useDevice();

it("is defined as the sums of the blocks", () => {
  const sums = colSum(f64([1, 2, 3, 4, 5, 6]), 3, 2, 2, 10);
  expect([...sums]).toEqual([40, 60, 50, 60]);
});

describe.each(combinations(colSumKernel.tunables))("col-sum with %o", (consts) => {
  it.each([
    [1, 1, 1],
    [3, 7, 2],
    [1000, 65, 33],
    [33, 1000, 33],
    [6, 4096, 100],
    [70_001, 3, 1],
    [70_001, 60, 1],
    ...fuzz(51, 5, [1, 500], [1, 200], [1, 600]),
  ] as [number, number, number][])(
    "equals float64 for %i rows of %i in blocks of %i",
    async (rows, cols, rowsPerBlock) => {
      const input = periodicF32(rows * cols, 1);
      const sums = colSum(f64(input), rows, cols, rowsPerBlock, 0.25);
      const before = randomF32(cols * 2, 2);
      const initial = zeros(sums.length).map((_, i) => before[i % before.length]!);
      for (const ACCUMULATE of [false, true]) {
        await checkKernel(device(), colSumKernel, {
          consts: { ...consts, ACCUMULATE },
          buffers: { input, output: initial },
          params: { rows, cols, rowsPerBlock, scale: 0.25 },
          expected: { output: ACCUMULATE ? sums.map((v, i) => v + initial[i]!) : sums },
        });
      }
    },
  );

  it("reduces in two calls, to the same bits every time", async () => {
    const [rows, cols] = [4999, 37];
    const input = randomF32(rows * cols, 1);
    const sum = async () => {
      const params = { rows, cols, rowsPerBlock: 128, scale: 1 };
      const blocks = Math.ceil(rows / 128);
      const buffers = { input, output: zeros(blocks * cols) };
      const { output } = await runKernel(device(), colSumKernel, { consts, buffers, params });
      const second = await runKernel(device(), colSumKernel, {
        consts,
        buffers: { input: output!, output: zeros(cols) },
        params: { rows: blocks, cols, rowsPerBlock: blocks, scale: 1 },
      });
      return second["output"]!;
    };
    const first = await sum();
    compare("col-sum", first, colSum(f64(input), rows, cols, rows), 1e-10);
    expect(await sum()).toEqual(first);
  });
});
