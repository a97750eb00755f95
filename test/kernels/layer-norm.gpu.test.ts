import { describe, it } from "vitest";
import { layerNormBackwardKernel, layerNormKernel } from "../../src/kernels/norm.ts";
import { layerNorm, layerNormBackward } from "../../src/reference/layer-norm.ts";
import { normWeightGrad } from "../../src/reference/norm-weight-grad.ts";
import { combinations, f64, fuzz, periodicF32, zeros } from "../helpers/cases.ts";
import { checkKernel, compare, differences } from "../helpers/check-kernel.ts";
import { randomF32 } from "../helpers/random-data.ts";
import { useDevice } from "../helpers/device.ts";

const device = useDevice();
const eps = 1e-5;
const shapes = [
  [3, 64],
  [33, 48],
  [7, 1000],
  [2, 1280],
  [70_001, 3],
  ...fuzz(21, 4, [1, 300], [3, 300]),
] as [number, number][];

describe("the float64 definition of LayerNorm", () => {
  it("has the gradients that central differences have", () => {
    const [rows, cols] = [3, 5];
    const [x, dy] = [f64(randomF32(15, 1)), f64(randomF32(15, 3))];
    const [weight, bias] = [f64(randomF32(5, 2)), f64(randomF32(5, 4))];
    const loss = (at: Float64Array, by: Float64Array) =>
      layerNorm(at, by, bias, rows, cols, eps).y.reduce((sum, y, i) => sum + y * dy[i]!, 0);
    const { stats } = layerNorm(x, weight, bias, rows, cols, eps);
    const dx = layerNormBackward(dy, x, weight, stats, rows, cols);
    compare(
      "dx",
      dx,
      differences((at) => loss(at, weight), x),
      1e-16,
    );
    const dweight = normWeightGrad(dy, x, stats, rows, cols);
    compare(
      "dweight",
      dweight,
      differences((by) => loss(x, by), weight),
      1e-16,
    );
  });
});

describe.each(combinations(layerNormKernel.tunables))("layer-norm with %o", (consts) => {
  it.each([[1, 1] as [number, number], ...shapes])(
    "equals float64 at [%i, %i]",
    async (rows, cols) => {
      // The values lie far from 0 beside their deviation, where a one-pass variance would cancel.
      const x = periodicF32(rows * cols, rows, 9, 11);
      const [weight, bias] = [randomF32(cols, 2), randomF32(cols, 3)];
      await checkKernel(device(), layerNormKernel, {
        consts,
        buffers: { x, weight, bias, y: zeros(rows * cols), stats: zeros(rows * 2) },
        params: { rows, cols, eps },
        expected: layerNorm(f64(x), f64(weight), f64(bias), rows, cols, eps),
      });
    },
  );
});

describe.each(combinations(layerNormBackwardKernel.tunables))("its backward with %o", (consts) => {
  it.each(shapes)("equals float64 at [%i, %i]", async (rows, cols) => {
    const x = periodicF32(rows * cols, rows);
    const weight = randomF32(cols, 2);
    const dy = periodicF32(rows * cols, 3);
    const { stats } = layerNorm(f64(x), f64(weight), f64(weight), rows, cols, eps);
    const dx = layerNormBackward(f64(dy), f64(x), f64(weight), stats, rows, cols);
    await checkKernel(device(), layerNormBackwardKernel, {
      consts,
      buffers: { dy, x, weight, stats: Float32Array.from(stats), dx: zeros(rows * cols) },
      params: { rows, cols },
      expected: { dx },
    });
  });
});
