import { describe, expect, it } from "vitest";
import {
  addKernel,
  geluBackwardKernel,
  geluKernel,
  swigluBackwardKernel,
  swigluKernel,
} from "../../src/kernels/pointwise.ts";
import { erf, gelu, geluBackward } from "../../src/reference/gelu.ts";
import { swiglu, swigluBackward } from "../../src/reference/swiglu.ts";
import { combinations, f64, fuzz, OVERFLOW, periodicF32, zeros } from "../helpers/cases.ts";
import { checkKernel, compare, differences, runKernel } from "../helpers/check-kernel.ts";
import { randomF32 } from "../helpers/random-data.ts";
import { useDevice } from "../helpers/device.ts";

const device = useDevice();
const counts = [1, 3, 7, 33, 65, 1000, ...fuzz(31, 3, [1, 20_000]).flat()];

/** A reference over periodic data needs to be computed for the first period only. */
function periodic(count: number, of: (head: number) => Float64Array): Float64Array {
  const head = of(Math.min(count, 1009));
  return Float64Array.from({ length: count }, (_, i) => head[i % 1009]!);
}

describe("the float64 definitions", () => {
  it("have an exact error function", () => {
    // NIST DLMF table 7.23; the last is 1 - 1.5374597944280349e-12.
    expect(erf(0)).toBe(0);
    expect(erf(0.5)).toBeCloseTo(0.5204998778130465, 15);
    expect(erf(-1)).toBeCloseTo(-0.8427007929497149, 15);
    expect(erf(2)).toBeCloseTo(0.9953222650189527, 15);
    expect(erf(5)).toBeCloseTo(0.9999999999984626, 14);
    expect(erf(7)).toBe(1);
  });

  it("have the gradients that central differences have", () => {
    const [x, up, dy] = [1, 2, 3].map((seed) => f64(randomF32(20, seed, -4, 4)));
    const dot = (y: Float64Array) => y.reduce((sum, value, i) => sum + value * dy![i]!, 0);
    compare(
      "gelu",
      geluBackward(dy!, x!),
      differences((at) => dot(gelu(at)), x!),
      1e-16,
    );
    const { dgate, dup } = swigluBackward(dy!, x!, up!);
    compare(
      "dgate",
      dgate,
      differences((at) => dot(swiglu(at, up!)), x!),
      1e-16,
    );
    compare(
      "dup",
      dup,
      differences((at) => dot(swiglu(x!, at)), up!),
      1e-16,
    );
  });
});

for (const consts of combinations(addKernel.tunables)) {
  // So many elements need a folded grid where a thread takes one of them.
  const many = consts["PER"] === 1 && consts["WG"] === 64 ? [OVERFLOW] : [];
  describe(`pointwise kernels with ${JSON.stringify(consts)}`, () => {
    it.each([...counts, ...many])("add equals float64 for %i", async (count) => {
      const [a, b] = [periodicF32(count, 1), periodicF32(count, 2)];
      await checkKernel(device(), addKernel, {
        consts,
        buffers: { a, b, y: zeros(count) },
        params: { count, scale: -0.75 },
        expected: {
          y: periodic(count, (n) => f64(a.subarray(0, n)).map((v, i) => v - 0.75 * b[i]!)),
        },
        nmse: 1e-13,
      });
    });

    it.each([...counts, ...many])("swiglu equals float64 for %i", async (count) => {
      const [gate, up] = [periodicF32(count, 1, -20, 20), periodicF32(count, 2)];
      await checkKernel(device(), swigluKernel, {
        consts,
        buffers: { gate, up, y: zeros(count) },
        params: { count },
        expected: { y: periodic(count, (n) => swiglu(f64(gate.subarray(0, n)), f64(up))) },
      });
    });

    it.each([...counts, ...many])("swiglu-backward equals float64 for %i", async (count) => {
      const [dy, gate] = [periodicF32(count, 1), periodicF32(count, 2, -20, 20)];
      const up = periodicF32(count, 3);
      const heads = (n: number) => [dy, gate, up].map((data) => f64(data.subarray(0, n)));
      const of = (n: number) =>
        swigluBackward(...(heads(n) as [Float64Array, Float64Array, Float64Array]));
      await checkKernel(device(), swigluBackwardKernel, {
        consts,
        buffers: { dy, gate, up, dgate: zeros(count), dup: zeros(count) },
        params: { count },
        expected: {
          dgate: periodic(count, (n) => of(n).dgate),
          dup: periodic(count, (n) => of(n).dup),
        },
      });
    });

    it.each([...counts, ...many])("gelu equals float64 for %i", async (count) => {
      const x = periodicF32(count, 5, -6, 6);
      await checkKernel(device(), geluKernel, {
        consts,
        buffers: { x, y: zeros(count) },
        params: { count },
        expected: { y: periodic(count, (n) => gelu(f64(x.subarray(0, n)))) },
        nmse: 1e-13,
      });
    });

    it.each([...counts, ...many])("gelu-backward equals float64 for %i", async (count) => {
      const [dy, x] = [periodicF32(count, 1), periodicF32(count, 2, -6, 6)];
      const want = (n: number) => geluBackward(f64(dy.subarray(0, n)), f64(x.subarray(0, n)));
      await checkKernel(device(), geluBackwardKernel, {
        consts,
        buffers: { dy, x, dx: zeros(count) },
        params: { count },
        expected: { dx: periodic(count, want) },
        nmse: 1e-13,
      });
    });
  });
}

describe("functions at the ends of their range", () => {
  it("erf, seen through gelu, is within 2e-7 everywhere and keeps its digits near 0", async () => {
    const sweep = Float32Array.from({ length: 40_001 }, (_, i) => (i - 20_000) / 2500);
    const small = Float32Array.from({ length: 61 }, (_, i) => 10 ** (-i / 2));
    for (const x of [sweep, small]) {
      const { y } = await runKernel(device(), geluKernel, {
        buffers: { x, y: zeros(x.length) },
        params: { count: x.length },
      });
      x.forEach((value, i) => {
        const got = y![i]!;
        const want = 0.5 * value * (1 + erf(value * Math.SQRT1_2));
        // Half of x times the allowance for erf, plus the rounding of the product itself.
        const allowed = Math.abs(value) * 1e-7 + Math.abs(want) * 1.2e-7 + 1e-38;
        expect(Math.abs(got - want), `gelu(${value}) = ${got}, not ${want}`).toBeLessThan(allowed);
      });
    }
  });

  it("swiglu stays finite for gates that overflow exp", async () => {
    const gate = Float32Array.of(-1e30, -1000, -100, -88, 88, 100, 1000, 1e30);
    const { y } = await runKernel(device(), swigluKernel, {
      buffers: { gate, up: new Float32Array(8).fill(1), y: zeros(8) },
      params: { count: 8 },
    });
    gate.forEach((value, i) => {
      if (value > 0) expect(y![i]! / value).toBeCloseTo(1, 6);
      else if (value >= -1000) expect(Math.abs(y![i]!)).toBeLessThan(1e-30);
      else expect(Number.isFinite(y![i]!)).toBe(true);
    });
  });
});
