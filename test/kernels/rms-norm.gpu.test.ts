import { describe, expect, it } from "vitest";
import {
  normWeightGradKernel,
  rmsNormBackwardKernel,
  rmsNormKernel,
} from "../../src/kernels/norm.ts";
import { normWeightGrad } from "../../src/reference/norm-weight-grad.ts";
import { rmsNorm, rmsNormBackward } from "../../src/reference/rms-norm.ts";
import { combinations, f64, fuzz, periodicF32, zeros } from "../helpers/cases.ts";
import { checkKernel, compare, differences } from "../helpers/check-kernel.ts";
import { randomF32 } from "../helpers/random-data.ts";
import { useDevice } from "../helpers/device.ts";

const device = useDevice();
const eps = 1e-6;
const shapes = [
  [1, 1],
  [3, 64],
  [33, 48],
  [7, 1000],
  [2, 3584],
  [70_001, 3],
  ...fuzz(11, 4, [1, 300], [1, 300]),
] as [number, number][];

describe("the float64 definition of RMSNorm", () => {
  it("has the gradients that central differences have", () => {
    const [rows, cols] = [3, 5];
    const x = f64(randomF32(15, 1));
    const weight = f64(randomF32(5, 2));
    const dy = f64(randomF32(15, 3));
    const loss = (at: Float64Array, by: Float64Array) =>
      rmsNorm(at, by, rows, cols, eps).y.reduce((sum, y, i) => sum + y * dy[i]!, 0);
    const { stats } = rmsNorm(x, weight, rows, cols, eps);
    const dx = rmsNormBackward(dy, x, weight, stats, rows, cols);
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

describe.each(combinations(rmsNormKernel.tunables))("rms-norm with %o", (consts) => {
  it.each(shapes)("equals float64 at [%i, %i]", async (rows, cols) => {
    const x = periodicF32(rows * cols, rows);
    const weight = randomF32(cols, 2);
    await checkKernel(device(), rmsNormKernel, {
      consts,
      buffers: { x, weight, y: zeros(rows * cols), stats: zeros(rows * 2) },
      params: { rows, cols, eps },
      expected: rmsNorm(f64(x), f64(weight), rows, cols, eps),
      nmse: 1e-12,
    });
  });
});

describe.each(combinations(rmsNormBackwardKernel.tunables))("its backward with %o", (consts) => {
  it.each(shapes)("equals float64 at [%i, %i]", async (rows, cols) => {
    // One column has gradient 0 (but for eps), all cancellation; 0.1 keeps eps from vanishing.
    const x = periodicF32(rows * cols, rows, 0.1, 1);
    const weight = randomF32(cols, 2);
    const dy = periodicF32(rows * cols, 3);
    const stats = Float32Array.from(rmsNorm(f64(x), f64(weight), rows, cols, eps).stats);
    const dx = rmsNormBackward(f64(dy), f64(x), f64(weight), f64(stats), rows, cols);
    const checked = cols > 1;
    await checkKernel(device(), rmsNormBackwardKernel, {
      consts,
      buffers: { dy, x, weight, stats, dx: zeros(rows * cols) },
      params: { rows, cols },
      expected: checked ? { dx } : {},
    });
  });
});

describe.each(combinations(normWeightGradKernel.tunables))("norm-weight-grad with %o", (consts) => {
  it.each([
    [1, 1, 1],
    [65, 64, 16],
    [1000, 33, 7],
    [6, 1000, 100],
    [70_001, 3, 1],
    [70_001, 60, 1],
    ...fuzz(12, 4, [1, 300], [1, 100], [1, 50]),
  ] as [number, number, number][])(
    "equals float64 for %i rows of %i in blocks of %i",
    async (rows, cols, rowsPerBlock) => {
      const [dy, x] = [periodicF32(rows * cols, 1), periodicF32(rows * cols, 2)];
      const stats = periodicF32(rows * 2, 3);
      const partial = normWeightGrad(f64(dy), f64(x), f64(stats), rows, cols, rowsPerBlock);
      await checkKernel(device(), normWeightGradKernel, {
        consts,
        buffers: { dy, x, stats, partial: zeros(partial.length) },
        params: { rows, cols, rowsPerBlock },
        expected: { partial },
      });
    },
  );
});

it("leaves everything alone for no rows", () => {
  for (const kernel of [rmsNormKernel, rmsNormBackwardKernel]) {
    for (const consts of combinations(kernel.tunables)) {
      expect(kernel.grid({ rows: 0, cols: 64, eps }, consts)[0]).toBe(0);
    }
  }
});

it("folds a grid of more than 65,535 workgroups of one thread a row", async () => {
  const [rows, cols] = [8 * 65_540 - 3, 2];
  const consts = { WG: 8, THREAD_A_ROW: true };
  expect(rmsNormKernel.grid({ rows, cols, eps }, consts)[1]).toBe(2);
  const x = periodicF32(rows * cols, 1);
  const weight = randomF32(cols, 2);
  await checkKernel(device(), rmsNormKernel, {
    consts,
    buffers: { x, weight, y: zeros(rows * cols), stats: zeros(rows * 2) },
    params: { rows, cols, eps },
    expected: rmsNorm(f64(x), f64(weight), rows, cols, eps),
    nmse: 1e-12,
  });
});
