import { describe, expect, it } from "vitest";
import type { Kernel } from "../../src/gpu/kernel.ts";
import { colSumKernel } from "../../src/kernels/rows.ts";
import { splitRows } from "../../src/kernels/matmul.ts";
import { matmulTnKernel, matmulTnTiledKernel } from "../../src/kernels/matmul.ts";
import { matmulTn } from "../../src/reference/matmul.ts";
import { combinations, f64, periodicF32, zeros } from "../helpers/cases.ts";
import { checkKernel, compare, runKernel } from "../helpers/check-kernel.ts";
import { SHAPES, wide, type MatmulCase } from "../helpers/matmul.ts";
import { randomF32 } from "../helpers/random-data.ts";
import { useDevice } from "../helpers/device.ts";

const device = useDevice();

async function checkTn({ kernel, shape, consts = {} }: MatmulCase, splits = 1) {
  const params = wide(shape);
  const { m, n, k, yStride } = params;
  const [dy, x] = [periodicF32(m * yStride, 1), periodicF32(m * k, 2)];
  const rowsPerSplit = Math.ceil(m / splits);
  const used = Math.ceil(m / rowsPerSplit);
  const before = periodicF32(used * n * k, 3);
  const partial = consts["ACCUMULATE"] === true ? f64(before) : new Float64Array(used * n * k);
  const [dy64, x64] = [f64(dy), f64(x)];
  for (let s = 0; s < used; s++) {
    const part = partial.subarray(s * n * k, (s + 1) * n * k);
    matmulTn(dy64, x64, part, params, s * rowsPerSplit, Math.min(m, (s + 1) * rowsPerSplit));
  }
  await checkKernel(device(), kernel, {
    consts,
    buffers: { dy, x, partial: before },
    params: { ...params, rowsPerSplit, splits: used },
    expected: { partial },
  });
}

for (const kernel of [matmulTnKernel, matmulTnTiledKernel] as Kernel[]) {
  describe(kernel.name, () => {
    it.each(combinations(kernel.tunables))("equals float64 with %o", async (consts) => {
      for (const shape of SHAPES) await checkTn({ kernel, shape, consts });
    });

    it.each([2, 3, 7, 64])("equals float64 in %i splits", async (splits) => {
      for (const shape of SHAPES) await checkTn({ kernel, shape }, splits);
    });

    it("accumulates", async () => {
      await checkTn({ kernel, shape: [300, 67, 29], consts: { ACCUMULATE: true } });
    });

    it("folds a grid of more than 65,535 workgroups", async () => {
      await checkTn({ kernel, shape: [65_541, 1, 1], consts: { ACCUMULATE: true } }, 65_541);
    });

    it("with col-sum gives the whole gradient, to the same bits every time", async () => {
      const [m, n, k] = [2001, 20, 30];
      const [dy, x] = [randomF32(m * n, 1), randomF32(m * k, 2)];
      const rowsPerSplit = splitRows(m, 32);
      const splits = Math.ceil(m / rowsPerSplit);
      const gradient = async () => {
        const { partial } = await runKernel(device(), kernel, {
          buffers: { dy, x, partial: zeros(splits * n * k) },
          params: { m, n, k, yStride: n, yOffset: 0, rowsPerSplit, splits },
        });
        const { output } = await runKernel(device(), colSumKernel, {
          buffers: { input: partial!, output: zeros(n * k) },
          params: { rows: splits, cols: n * k, rowsPerBlock: splits, scale: 1 },
        });
        return output!;
      };
      const first = await gradient();
      const want = new Float64Array(n * k);
      matmulTn(f64(dy), f64(x), want, { m, n, k, yStride: n, yOffset: 0 });
      compare("dw", first, want, 1e-10);
      expect(await gradient()).toEqual(first);
    });
  });
}
