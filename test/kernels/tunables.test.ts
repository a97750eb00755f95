/// <reference types="vite/client" />
import { describe, expect, it } from "vitest";
import type { Kernel } from "../../src/gpu/kernel.ts";
import { TUNED, tunablesFor } from "../../src/kernels/tunables.ts";

const modules = import.meta.glob<Record<string, unknown>>("../../src/kernels/*.ts", {
  eager: true,
});
const kernels = Object.values(modules)
  .flatMap((module) => Object.values(module))
  .filter(
    (value): value is Kernel => typeof value === "object" && value !== null && "shader" in value,
  );

describe("the table of tunables", () => {
  it("names kernels that exist", () => {
    const names = kernels.map((kernel) => kernel.name);
    for (const name of TUNED) expect(names).toContain(name);
  });

  it("selects only values that the kernel lists and the tests cover", () => {
    for (const kernel of kernels) {
      for (const software of [true, false]) {
        for (const [name, value] of Object.entries(tunablesFor(kernel, software))) {
          expect(kernel.tunables[name], `${kernel.name}.${name}`).toContain(value);
        }
      }
    }
  });
});
