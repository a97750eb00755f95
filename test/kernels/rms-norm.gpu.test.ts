import { describe, it } from "vitest";
import { rmsNormKernel } from "../../src/kernels/rms-norm.ts";
import { rmsNorm } from "../../src/reference/rms-norm.ts";
import { checkKernel } from "../helpers/check-kernel.ts";
import { randomF32 } from "../helpers/random-data.ts";
import { useDevice } from "../helpers/device.ts";

const device = useDevice();

describe("rms-norm", () => {
  for (const [rows, cols] of [
    [1, 1],
    [3, 64],
    [7, 1000],
    [2, 3584],
    [70_001, 3],
  ] as const) {
    for (const WG of rmsNormKernel.tunables["WG"]!) {
      it(`equals float64 at [${rows}, ${cols}] with WG ${WG}`, async () => {
        const x = randomF32(rows * cols, rows);
        const weight = randomF32(cols, 2);
        const want = rmsNorm(Float64Array.from(x), Float64Array.from(weight), rows, cols, 1e-6);
        await checkKernel(device(), rmsNormKernel, {
          consts: { WG },
          buffers: {
            x,
            weight,
            y: new Float32Array(rows * cols),
            stats: new Float32Array(rows * 2),
          },
          params: { rows, cols, eps: 1e-6 },
          expected: want,
          nmse: 1e-12,
        });
      });
    }
  }
});
