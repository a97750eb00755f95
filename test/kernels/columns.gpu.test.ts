import { describe, expect, it } from "vitest";
import { copyColumnsKernel } from "../../src/kernels/rows.ts";
import { copyColumns } from "../../src/reference/columns.ts";
import { combinations, f64, fuzz, periodicF32 } from "../helpers/cases.ts";
import { checkKernel } from "../helpers/check-kernel.ts";
import { useDevice } from "../helpers/device.ts";

const device = useDevice();

/** Rows, columns, and the columns of x and of y before and after them. */
const shapes = [
  [1, 1, 0, 0, 0, 0],
  [3, 7, 0, 26, 5, 0],
  [65, 64, 64, 0, 0, 64],
  [33, 200, 1, 2, 3, 4],
  [5, 512, 2048, 512, 0, 0],
  [70_001, 3, 2, 1, 1, 3],
  ...fuzz(71, 6, [1, 300], [1, 200], [0, 70], [0, 70], [0, 70], [0, 70]),
] as [number, number, number, number, number, number][];

it("the definition moves columns and leaves the others", () => {
  const [x, y] = [Float64Array.of(1, 2, 3, 4, 5, 6), Float64Array.of(-1, -2, -3, -4)];
  const columns = { cols: 1, srcCols: 3, srcFirst: 2, dstCols: 2, dstFirst: 1 };
  expect([...copyColumns(x, y, columns)]).toEqual([-1, 3, -3, 6]);
});

describe.each(combinations(copyColumnsKernel.tunables))("copy-columns with %o", (consts) => {
  it.each(shapes)(
    "equals float64 for %i rows of %i from %i + %i to %i + %i",
    async (rows, cols, srcFirst, srcAfter, dstFirst, dstAfter) => {
      const [srcCols, dstCols] = [srcFirst + cols + srcAfter, dstFirst + cols + dstAfter];
      const columns = { cols, srcCols, srcFirst, dstCols, dstFirst };
      const [x, y] = [periodicF32(rows * srcCols, 1), periodicF32(rows * dstCols, 2)];
      for (const ZERO of [false, true]) {
        // With ZERO nothing of x may come through, not even by a product with zero.
        const source = ZERO ? x.map(() => NaN) : x;
        const want = ZERO ? new Float64Array(x.length) : f64(x);
        await checkKernel(device(), copyColumnsKernel, {
          consts: { ...consts, ZERO },
          buffers: { x: source, y },
          params: { rows, ...columns },
          expected: { y: copyColumns(want, f64(y), columns) },
          absolute: 0,
        });
      }
    },
  );

  it("launches nothing for no rows", () => {
    const params = { rows: 0, cols: 4, srcCols: 4, srcFirst: 0, dstCols: 4, dstFirst: 0 };
    expect(copyColumnsKernel.grid(params, { ...consts, ZERO: false })[0]).toBe(0);
  });
});
