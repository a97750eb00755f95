import { describe, it } from "vitest";
import type { Kernel } from "../../src/gpu/kernel.ts";
import { matmulNnKernel, matmulNnTiledKernel } from "../../src/kernels/matmul.ts";
import { matmulNn } from "../../src/reference/matmul.ts";
import { combinations, f64, periodicF32 } from "../helpers/cases.ts";
import { checkKernel } from "../helpers/check-kernel.ts";
import { randomWeight } from "../helpers/f16s.ts";
import { rowsToOverflow, SHAPES, smallest, wide, type MatmulCase } from "../helpers/matmul.ts";
import { useDevice } from "../helpers/device.ts";

const device = useDevice();

async function checkNn({ kernel, shape, consts = {}, weight = "f32" }: MatmulCase) {
  const params = { ...wide(shape), scale: 0.125 };
  const { m, n, k, yStride } = params;
  const dy = periodicF32(m * yStride, 1);
  const w = randomWeight(n, k, 2);
  const before = periodicF32(m * k, 3);
  const dx = consts["ACCUMULATE"] === true ? f64(before) : new Float64Array(m * k);
  matmulNn(f64(dy), f64(w.f32), dx, params);
  await checkKernel(device(), kernel, {
    consts,
    library: { weight },
    buffers: { dy, weight: w[weight], dx: before },
    params,
    expected: { dx },
  });
}

for (const kernel of [matmulNnKernel, matmulNnTiledKernel] as Kernel[]) {
  describe(kernel.name, () => {
    it.each(combinations(kernel.tunables))("equals float64 with %o", async (consts) => {
      for (const shape of SHAPES) await checkNn({ kernel, shape, consts });
    });

    it("accumulates", async () => {
      await checkNn({ kernel, shape: [35, 67, 29], consts: { ACCUMULATE: true } });
    });

    it("reads weights stored as f16s", async () => {
      for (const shape of SHAPES) await checkNn({ kernel, shape, weight: "f16s" });
    });

    it("folds a grid of more than 65,535 workgroups", async () => {
      const consts = smallest(kernel);
      const m = rowsToOverflow(kernel, consts, (rows) => ({ m: rows, k: 1 }));
      await checkNn({ kernel, shape: [m, 1, 1], consts: { ...consts, ACCUMULATE: true } });
    });
  });
}
