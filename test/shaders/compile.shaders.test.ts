/// <reference types="vite/client" />
import { readFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
// The package's main entry does not load under Node's module rules.
import { WgslReflect } from "wgsl_reflect/wgsl_reflect.module.js";
import type { Tier } from "../../src/gpu/capabilities.ts";
import { openDevice, type Device } from "../../src/gpu/device.ts";
import type { Kernel } from "../../src/gpu/kernel.ts";
import { buildShader, type Specialisation } from "../../src/gpu/shader.ts";

const modules = import.meta.glob<Record<string, unknown>>(
  ["../../src/kernels/*.ts", "../ops/made-up/kernels.ts"],
  { eager: true },
);

const isKernel = (value: unknown): value is Kernel =>
  typeof value === "object" && value !== null && "shader" in value && "grid" in value;

const kernels = Object.values(modules)
  .flatMap((module) => Object.values(module))
  .filter(isKernel);

/** The default, then every other value of each tunable and library, one at a time. */
function specialisations(kernel: Kernel): Specialisation[] {
  // A library has no default where its variants are storage types, so the first is always named.
  const library = Object.fromEntries(
    Object.entries(kernel.libraries).map(([name, variants]) => [name, variants[0]!]),
  );
  const consts = { ...kernel.constants };
  const list: Specialisation[] = [{ library, consts }];
  for (const [name, values] of Object.entries(kernel.tunables)) {
    for (const value of values) list.push({ library, consts: { ...consts, [name]: value } });
  }
  for (const [name, value] of Object.entries(kernel.constants)) {
    if (typeof value === "boolean") list.push({ library, consts: { ...consts, [name]: !value } });
  }
  for (const [name, variants] of Object.entries(kernel.libraries)) {
    for (const variant of variants.slice(1)) {
      list.push({ library: { ...library, [name]: variant }, consts });
    }
  }
  return list;
}

for (const tier of ["t0", "t1"] as const satisfies readonly Tier[]) {
  describe(`every kernel compiles in ${tier}`, () => {
    let device: Device;
    beforeAll(async () => {
      device = await openDevice({ backend: "null", tier });
    });
    afterAll(() => device.close());

    it.each(kernels.map((kernel) => [kernel.name, kernel] as const))("%s", async (_, kernel) => {
      for (const specialisation of specialisations(kernel)) {
        await device.pipelines.get(kernel, specialisation);
      }
      device.check();
    });
  });
}

describe("every binding is what its shader declares", () => {
  it("finds kernels, with names that are unique and equal to their files", () => {
    expect(kernels.length).toBeGreaterThan(20);
    expect(new Set(kernels.map((kernel) => kernel.name)).size).toBe(kernels.length);
    for (const kernel of kernels) {
      expect(kernel.shader.pathname.endsWith(`/${kernel.name}.wgsl`)).toBe(true);
    }
  });

  it.each(kernels.map((kernel) => [kernel.name, kernel] as const))("%s", async (_, kernel) => {
    const library = specialisations(kernel)[0]!.library!;
    // Function bodies are left out: the package's parser stumbles over some valid expressions.
    const text = await buildShader(kernel.shader, "t0", { library });
    const reflect = new WgslReflect(text.replace(/^(@compute.*\n)?fn [^]*?^}/gm, ""));
    const params = reflect.structs.find((struct) => struct.name === "Params");
    expect(params?.members.map((member) => [member.name, member.type.name])).toEqual(
      Object.entries(kernel.params),
    );
    expect(params!.members.map((member) => member.offset)).toEqual(
      params!.members.map((_member, index) => index * 4),
    );
    const declared = reflect.storage
      .filter((variable) => variable.group === 0)
      .sort((a, b) => a.binding - b.binding);
    expect(declared.map((variable) => [variable.binding, variable.name, variable.access])).toEqual(
      Object.entries(kernel.buffers).map(([name, access], binding) => [
        binding,
        name,
        access === "read" ? "read" : "read_write",
      ]),
    );
    expect(reflect.uniforms.map((variable) => [variable.binding, variable.name])).toEqual([
      [declared.length, "params"],
    ]);
    expect(declared.length).toBeLessThanOrEqual(8);
  });

  it.each(kernels.map((kernel) => [kernel.name, kernel] as const))(
    "%s declares its tunables and constants with the same defaults",
    async (_, kernel) => {
      const text = await readFile(kernel.shader, "utf8");
      const defaults = Object.entries(kernel.tunables).map(([name, values]) => [name, values[0]!]);
      for (const [name, value] of [...defaults, ...Object.entries(kernel.constants)]) {
        const match = new RegExp(`^const ${name as string}: *\\w+ *= *([^;]+);`, "m").exec(text);
        expect(match?.[1]?.replace(/[uf]$/, ""), `const ${name as string}`).toBe(String(value));
      }
    },
  );
});
