/// <reference types="vite/client" />
import { describe, expect, it } from "vitest";
import type { Kernel } from "../../src/gpu/kernel.ts";
import { chooseMatmul, chooseTunables, type MatmulLayout } from "../../src/kernels/choose.ts";
import { profileOf } from "../helpers/device.ts";
import { splitRows } from "../../src/kernels/matmul.ts";

const modules = import.meta.glob<Record<string, unknown>>("../../src/kernels/*.ts", {
  eager: true,
});
const kernels = Object.values(modules)
  .flatMap((module) => Object.values(module))
  .filter(
    (value): value is Kernel => typeof value === "object" && value !== null && "shader" in value,
  );

describe("the table of tunables", () => {
  it("selects only values that the kernel lists and the tests cover", () => {
    for (const kernel of kernels) {
      for (const software of [true, false]) {
        for (const [name, value] of Object.entries(chooseTunables(profileOf(software), kernel))) {
          expect(kernel.tunables[name], `${kernel.name}.${name}`).toContain(value);
        }
      }
    }
  });
});

const LAYOUTS: MatmulLayout[] = ["nt", "nn", "tn"];
const SIZES = [1, 2, 3, 7, 16, 17, 33, 48, 64, 192, 1176, 6000];

describe("the matmul table", () => {
  it("selects only values that the kernel lists and the tests cover", () => {
    for (const software of [true, false]) {
      for (const layout of LAYOUTS) {
        for (const m of SIZES) {
          for (const n of SIZES) {
            for (const k of SIZES) {
              const { kernel, consts } = chooseMatmul(profileOf(software), layout, { m, n, k });
              expect(Object.keys(consts).sort()).toEqual(Object.keys(kernel.tunables).sort());
              const tunables: Kernel["tunables"] = kernel.tunables;
              for (const [name, value] of Object.entries(consts)) {
                expect(tunables[name]).toContain(value);
              }
            }
          }
        }
      }
    }
  });

  it("keeps the bindings and parameters of a layout, whichever kernel it selects", () => {
    for (const layout of LAYOUTS) {
      const all = [true, false].flatMap((software) =>
        SIZES.map((m) => chooseMatmul(profileOf(software), layout, { m, n: 64, k: 64 }).kernel),
      );
      for (const kernel of all) {
        expect(Object.entries(kernel.buffers)).toEqual(Object.entries(all[0]!.buffers));
        expect(Object.entries(kernel.params)).toEqual(Object.entries(all[0]!.params));
      }
    }
  });

  it("splits rows into at most the parts asked for", () => {
    for (const rows of [0, 1, 63, 64, 65, 128, 6000, 70_001]) {
      expect(Math.ceil(rows / splitRows(rows, 32))).toBeLessThanOrEqual(32);
    }
    expect(splitRows(6000, 32)).toBe(188);
  });
});
