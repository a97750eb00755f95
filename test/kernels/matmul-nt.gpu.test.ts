import { describe, expect, it } from "vitest";
import type { Kernel } from "../../src/gpu/kernel.ts";
import {
  matmulNtKernel,
  matmulNtTiledKernel,
  matmulSkinnyKernel,
} from "../../src/kernels/matmul.ts";
import { matmulNn, matmulNt, matmulTn } from "../../src/reference/matmul.ts";
import { combinations, f64, fuzz, periodicF32 } from "../helpers/cases.ts";
import { checkKernel, compare, differences } from "../helpers/check-kernel.ts";
import { randomWeight } from "../helpers/f16s.ts";
import { rowsToOverflow, SHAPES, smallest, wide, type MatmulCase } from "../helpers/matmul.ts";
import { randomF32 } from "../helpers/random-data.ts";
import { useDevice } from "../helpers/device.ts";

const device = useDevice();

async function checkNt({ kernel, shape, consts = {}, weight = "f32" }: MatmulCase) {
  const params = { ...wide(shape), scale: 0.125 };
  const { m, n, k, yStride, yOffset } = params;
  const x = periodicF32(m * k, 1);
  const w = randomWeight(n, k, 2);
  const [bias, residual, before] = [
    periodicF32(yStride, 3),
    periodicF32(m * yStride, 4),
    periodicF32(m * yStride, 5),
  ];
  const y = new Float64Array(m * yStride);
  matmulNt(f64(x), f64(w.f32), y, params, {
    ...(consts["BIAS"] === true && { bias: f64(bias) }),
    ...(consts["RESIDUAL"] === true && { residual: f64(residual) }),
  });
  // Columns outside the part keep what they hold.
  y.forEach((value, i) => {
    const inside = i % yStride >= yOffset && i % yStride < yOffset + n;
    if (!inside || consts["ACCUMULATE"] === true) y[i] = value + before[i]!;
  });
  await checkKernel(device(), kernel, {
    consts,
    library: { weight },
    buffers: { x, weight: w[weight], bias, residual, y: before },
    params,
    expected: { y },
  });
}

describe("the float64 definition", () => {
  it("has the gradients that central differences have", () => {
    const shape = { m: 3, n: 4, k: 5, yStride: 6, yOffset: 1, scale: 0.5 };
    const [x, w, dy] = [f64(randomF32(15, 1)), f64(randomF32(20, 2)), f64(randomF32(18, 3))];
    const loss = (at: Float64Array, by: Float64Array) => {
      const y = new Float64Array(18);
      matmulNt(at, by, y, shape);
      return y.reduce((sum, value, i) => sum + value * dy[i]!, 0);
    };
    const dx = new Float64Array(15);
    matmulNn(dy, w, dx, shape);
    compare(
      "dx",
      dx,
      differences((at) => loss(at, w), x),
      1e-16,
    );
    const dw = new Float64Array(20);
    matmulTn(dy, x, dw, shape);
    const want = differences((by) => loss(x, by), w);
    compare(
      "dw",
      dw.map((v) => v * shape.scale),
      want,
      1e-16,
    );
  });

  it("adds bias and residual once, where y lies", () => {
    const y = new Float64Array(6);
    const shape = { m: 2, n: 2, k: 1, yStride: 3, yOffset: 1, scale: 10 };
    const terms = { bias: f64([9, 1, 2]), residual: f64([9, 100, 200, 9, 300, 400]) };
    matmulNt(f64([1, 2]), f64([3, 4]), y, shape, terms);
    expect([...y]).toEqual([0, 131, 242, 0, 361, 482]);
  });
});

const skinny = [
  [1, 1, 1],
  [2, 7, 130],
  [3, 1000, 5],
  [16, 65, 64],
  [17, 33, 257],
  ...fuzz(82, 3, [1, 16], [1, 200], [1, 300]),
] as [number, number, number][];

for (const kernel of [matmulNtKernel, matmulNtTiledKernel, matmulSkinnyKernel] as Kernel[]) {
  describe(kernel.name, () => {
    it.each(combinations(kernel.tunables))("equals float64 with %o", async (consts) => {
      const shapes = kernel === (matmulSkinnyKernel as Kernel) ? skinny : SHAPES;
      for (const shape of shapes) await checkNt({ kernel, shape, consts });
    });

    it.each<Record<string, boolean>>([
      { BIAS: true },
      { RESIDUAL: true },
      { ACCUMULATE: true },
      { BIAS: true, RESIDUAL: true, ACCUMULATE: true },
    ])("adds %o", async (consts) => {
      await checkNt({ kernel, shape: [35, 67, 29], consts });
      await checkNt({ kernel, shape: [9, 70, 64], consts });
    });

    it("reads weights stored as f16s", async () => {
      for (const shape of SHAPES) await checkNt({ kernel, shape, weight: "f16s" });
    });

    it("folds a grid of more than 65,535 workgroups", async () => {
      const consts = smallest(kernel);
      const m = rowsToOverflow(kernel, consts, (rows) => ({ m: rows, n: 1 }));
      await checkNt({ kernel, shape: [m, 1, 1], consts: { ...consts, ACCUMULATE: true } });
    });
  });
}
