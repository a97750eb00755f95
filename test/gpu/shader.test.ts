import { describe, expect, it } from "vitest";
import { buildShader, locateLine, specialise, specialisationKey } from "../../src/gpu/shader.ts";

const source = `const WG: u32 = 64u;
const EPS: f32 = 1.0e-6f;
const SHIFT: i32 = 2;
const FLAG: bool = false; // and a comment
  const INNER: u32 = 3u;
fn f() -> u32 { return WG; }`;

describe("specialise", () => {
  it("writes literals of the declared type", () => {
    const text = specialise(source, { WG: 256, EPS: 1e-12, SHIFT: -3, FLAG: true });
    expect(text.split("\n").slice(0, 4)).toEqual([
      "const WG: u32 = 256u;",
      "const EPS: f32 = 1e-12f;",
      "const SHIFT: i32 = -3;",
      "const FLAG: bool = true; // and a comment",
    ]);
    expect(specialise(source, { EPS: 2 })).toContain("const EPS: f32 = 2.0f;");
    expect(specialise(source)).toBe(source);
  });

  it("rejects a name that the file does not declare at its top level", () => {
    const message = (name: string) => `the shader declares no top-level const ${name}`;
    expect(() => specialise(source, { WIDTH: 1 })).toThrow(message("WIDTH"));
    expect(() => specialise(source, { INNER: 1 })).toThrow(message("INNER"));
    expect(() => specialise(source, { W: 1 })).toThrow(message("W"));
  });
});

describe("specialisationKey", () => {
  it("does not depend on the order of names, but on every value", () => {
    const key = specialisationKey({ consts: { A: 1, B: true }, library: { weight: "f32" } });
    expect(specialisationKey({ library: { weight: "f32" }, consts: { B: true, A: 1 } })).toBe(key);
    expect(specialisationKey({ consts: { A: 1, B: false }, library: { weight: "f32" } })).not.toBe(
      key,
    );
    expect(specialisationKey({ consts: { A: 1, B: true } })).not.toBe(key);
  });
});

describe("buildShader", () => {
  const rms = new URL("../../shaders/rms-norm.wgsl", import.meta.url);

  it("appends the library of the tier, and enables what the tier's text uses", async () => {
    const t0 = await buildShader(rms, "t0");
    const t1 = await buildShader(rms, "t1");
    expect(t0.match(/^enable/gm)).toBeNull();
    expect(t0).not.toMatch(/subgroup[A-Z]/);
    expect(t1.startsWith("enable ")).toBe(true);
    expect(t1.split("\n")[0]).toContain("subgroups");
  });

  it("keeps the kernel's line numbers and can tell the library's", async () => {
    const lines = (await buildShader(rms, "t0")).split("\n");
    const own = lines.findIndex((line) => line.includes("fn main(")) + 1;
    expect(locateLine(lines, own, "rms-norm.wgsl")).toEqual({ file: "rms-norm.wgsl", line: own });
    const { file, line } = locateLine(lines, lines.length, "rms-norm.wgsl");
    expect(file).toBe("lib/reduce.t0.wgsl");
    const first = locateLine(lines, lines.length - line + 1, "rms-norm.wgsl");
    expect(first).toEqual({ file: "lib/reduce.t0.wgsl", line: 1 });
  });

  it("rejects a variant that no library has, and a library that the file does not use", async () => {
    await expect(buildShader(rms, "t0", { library: { reduce: "t9" } })).rejects.toThrow(
      "library reduce has no variant t9",
    );
    await expect(buildShader(rms, "t0", { library: { weight: "f32" } })).rejects.toThrow(
      "does not use the library weight",
    );
  });
});
