import { describe, it } from "vitest";
import { ropeDecodeKernel, ropeKernel } from "../../src/kernels/attention.ts";
import { rope } from "../../src/reference/rope.ts";
import { combinations, f64, fuzz, periodicF32, zeros } from "../helpers/cases.ts";
import { checkKernel, compare, differences } from "../helpers/check-kernel.ts";
import { randomF32, randomU32 } from "../helpers/random-data.ts";
import { useDevice } from "../helpers/device.ts";

const device = useDevice();
const shapes = [
  [1, 1, 2],
  [3, 7, 6],
  [33, 4, 16],
  [65, 2, 24],
  [5, 16, 128],
  [70_001, 3, 4],
  ...fuzz(41, 4, [1, 300], [1, 9], [1, 40]).map(([rows, heads, half]) => [
    rows!,
    heads!,
    half! * 2,
  ]),
] as [number, number, number][];

/** A table of true rotations, unlike random numbers: |cos|^2 + |sin|^2 = 1. */
function rotations(rows: number, headDim: number): Float32Array {
  const half = headDim / 2;
  return Float32Array.from({ length: rows * headDim }, (_, i) => {
    const angle = Math.floor(i / headDim) / 100 ** ((i % half) / half);
    return i % headDim < half ? Math.cos(angle) : Math.sin(angle);
  });
}

describe("the float64 definition of rope", () => {
  it("turns pairs as a complex product does", () => {
    // Head of 4: pairs (0, 2) and (1, 3) as complex numbers times e^(i angle).
    const table = f64([Math.cos(0.3), Math.cos(2), Math.sin(0.3), Math.sin(2)]);
    const want = [
      1 * Math.cos(0.3) - 3 * Math.sin(0.3),
      2 * Math.cos(2) - 4 * Math.sin(2),
      1 * Math.sin(0.3) + 3 * Math.cos(0.3),
      2 * Math.sin(2) + 4 * Math.cos(2),
    ];
    compare("rope", rope(f64([1, 2, 3, 4]), table, 1, 1, 4), want, 1e-30);
  });

  it("has sign -1 as its gradient", () => {
    const table = f64(rotations(3, 4));
    const [x, dy] = [f64(randomF32(24, 1)), f64(randomF32(24, 2))];
    const loss = (at: Float64Array) =>
      rope(at, table, 3, 2, 4).reduce((sum, value, i) => sum + value * dy[i]!, 0);
    compare("dx", rope(dy, table, 3, 2, 4, -1), differences(loss, x), 1e-16);
  });
});

describe.each(combinations(ropeKernel.tunables))("rope with %o", (consts) => {
  it.each(shapes)("equals float64 for %i rows of %i heads of %i", async (rows, heads, headDim) => {
    const x = periodicF32(rows * heads * headDim, 1);
    const table = rotations(rows, headDim);
    for (const sign of [1, -1] as const) {
      if (sign < 0 && rows > 1000) continue;
      await checkKernel(device(), ropeKernel, {
        consts,
        buffers: { x, table, y: zeros(x.length) },
        params: { rows, heads, headDim, sign },
        expected: { y: rope(f64(x), f64(table), rows, heads, headDim, sign) },
        nmse: 1e-13,
      });
    }
  });
});

describe.each(combinations(ropeDecodeKernel.tunables))("rope-decode with %o", (consts) => {
  it.each(shapes)("equals float64 for %i rows of %i heads of %i", async (rows, heads, headDim) => {
    const [positions, step] = [50, 7];
    const x = periodicF32(rows * heads * headDim, 1);
    const table = rotations(positions, headDim);
    const base = randomU32(rows, positions - step, 3);
    const y = rope(f64(x), f64(table), rows, heads, headDim, 1, (row) => base[row]! + step);
    await checkKernel(device(), ropeDecodeKernel, {
      consts,
      buffers: { x, table, base, state: Uint32Array.of(step, 99), y: zeros(x.length) },
      params: { rows, heads, headDim, sign: 1 },
      expected: { y },
      nmse: 1e-13,
    });
  });
});
