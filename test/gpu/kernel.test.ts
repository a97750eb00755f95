import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  defineKernel,
  grid1d,
  kernelConsts,
  paramsBytes,
  writeParams,
} from "../../src/gpu/kernel.ts";

const kernel = defineKernel({
  name: "sample",
  shader: new URL("file:///sample.wgsl"),
  buffers: { x: "read" },
  params: { rows: "u32", shift: "i32", scale: "f32", last: "u32", more: "f32" },
  tunables: { WG: [64, 256], FAST: [true, false] },
  constants: { HEAD_DIM: 128, BIAS: false },
  grid: ({ rows }) => grid1d(rows),
});

describe("kernel parameters", () => {
  it("lie 4 bytes apart, little-endian, in the order of the declaration", () => {
    const view = new DataView(new ArrayBuffer(64));
    writeParams(kernel, view, 16, {
      more: 1.5,
      last: 2 ** 32 - 1,
      scale: -0.1,
      shift: -7,
      rows: 9,
    });
    const bytes = view.buffer.slice(16);
    expect(new Uint32Array(bytes)[0]).toBe(9);
    expect(new Int32Array(bytes)[1]).toBe(-7);
    expect(new Float32Array(bytes)[2]).toBe(Math.fround(-0.1));
    expect(new Uint32Array(bytes)[3]).toBe(2 ** 32 - 1);
    expect(new Float32Array(bytes)[4]).toBe(1.5);
    expect(new Uint32Array(view.buffer.slice(0, 16))).toEqual(new Uint32Array(4));
    expect(new Uint32Array(view.buffer.slice(36))).toEqual(new Uint32Array(7));
  });

  it("fill whole vec4s, as the uniform address space demands", () => {
    expect(paramsBytes(kernel)).toBe(32);
    expect(paramsBytes({ ...kernel, params: { a: "u32", b: "u32", c: "u32", d: "f32" } })).toBe(16);
  });

  it("must all be given", () => {
    const view = new DataView(new ArrayBuffer(32));
    expect(() => writeParams(kernel, view, 0, { rows: 1 })).toThrow(
      "kernel sample: parameter shift is missing",
    );
  });

  it("constants take the first tunable unless chosen", () => {
    expect(kernelConsts(kernel)).toEqual({ WG: 64, FAST: true, HEAD_DIM: 128, BIAS: false });
    expect(kernelConsts(kernel, { WG: 256, BIAS: true })).toMatchObject({ WG: 256, BIAS: true });
  });
});

describe("grid1d", () => {
  it("covers every count within the limits, with fewer surplus workgroups than rows", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 65_535 ** 2 }), (count) => {
        const [x, y, z] = grid1d(count);
        expect(z).toBe(1);
        expect(Math.max(x, y)).toBeLessThanOrEqual(65_535);
        expect(x * y).toBeGreaterThanOrEqual(count);
        expect(x * y - count).toBeLessThan(y);
      }),
      { examples: [[0], [1], [65_535], [65_536], [131_071], [65_535 ** 2]], seed: 1 },
    );
  });
});
