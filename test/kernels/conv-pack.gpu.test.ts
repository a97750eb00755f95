import { describe, it } from "vitest";
import { convPackBackwardKernel, convPackKernel } from "../../src/kernels/conv.ts";
import { convPack, convPackBackward, invertConvIndex } from "../../src/reference/conv-pack.ts";
import { NO_ROW } from "../../src/reference/rows.ts";
import { combinations, f64, fuzz, periodicF32, zeros } from "../helpers/cases.ts";
import { checkKernel, compare, differences } from "../helpers/check-kernel.ts";
import { randomF32 } from "../helpers/random-data.ts";
import { useDevice } from "../helpers/device.ts";

const device = useDevice();

/** Input rows, channels, taps, stride. */
const shapes = [
  [1, 1, 1, 1],
  [3, 7, 3, 1],
  [33, 65, 3, 2],
  [7, 1000, 3, 2],
  [100, 5, 4, 3],
  [70_001, 5, 3, 1],
  ...fuzz(71, 4, [1, 200], [1, 100], [1, 5], [1, 3]),
] as [number, number, number, number][];

/** The windows of a convolution with padding taps >> 1. */
function windows(rowsIn: number, taps: number, stride: number): Uint32Array {
  const rows = Math.ceil(rowsIn / stride);
  return Uint32Array.from({ length: rows * taps }, (_, i) => {
    const source = Math.floor(i / taps) * stride + (i % taps) - (taps >> 1);
    return source < 0 || source >= rowsIn ? NO_ROW : source;
  });
}

describe("the float64 definition", () => {
  it("has the gradient that central differences have", () => {
    const index = windows(5, 3, 2);
    const dy = f64(randomF32(3 * 2 * 3, 1));
    const loss = (x: Float64Array) =>
      convPack(x, index, 2, 3).reduce((sum, value, i) => sum + value * dy[i]!, 0);
    const dx = convPackBackward(dy, index, 5, 2, 3);
    compare("dx", dx, differences(loss, f64(randomF32(10, 2))), 1e-16);
  });
});

describe.each(combinations(convPackKernel.tunables))("conv-pack with %o", (consts) => {
  it.each(shapes)(
    "equals float64 for %i rows of %i, %i taps, stride %i",
    async (rowsIn, cols, taps, stride) => {
      const x = periodicF32(rowsIn * cols, 1);
      const index = windows(rowsIn, taps, stride);
      const rows = index.length / taps;
      await checkKernel(device(), convPackKernel, {
        consts,
        buffers: { x, index, y: zeros(rows * cols * taps) },
        params: { rows, cols, taps },
        expected: { y: convPack(f64(x), index, cols, taps) },
        nmse: 0,
      });
    },
  );
});

describe.each(combinations(convPackBackwardKernel.tunables))("its backward with %o", (consts) => {
  it.each(shapes)(
    "equals float64 for %i rows of %i, %i taps, stride %i",
    async (rowsIn, cols, taps, stride) => {
      const index = windows(rowsIn, taps, stride);
      const dy = periodicF32(index.length * cols, 1);
      await checkKernel(device(), convPackBackwardKernel, {
        consts,
        buffers: { dy, inverse: invertConvIndex(index, rowsIn, taps), dx: zeros(rowsIn * cols) },
        params: { rows: rowsIn, cols, taps },
        expected: { dx: convPackBackward(f64(dy), index, rowsIn, cols, taps) },
      });
    },
  );
});
