import { describe, expect, it } from "vitest";
import { defineKernel } from "../../src/gpu/kernel.ts";
import { useDevice } from "../helpers/device.ts";

const HEADER = `const WG: u32 = 4u;
struct Params { count: u32 }
@group(0) @binding(0) var<storage, read_write> y: array<u32>;
@group(0) @binding(1) var<uniform> params: Params;
@compute @workgroup_size(WG)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {`;

/** A kernel whose shader is given as text. */
function kernel(name: string, body: string) {
  return defineKernel({
    name,
    shader: new URL(`data:text/plain,${encodeURIComponent(`${HEADER}\n${body}\n}`)}`),
    buffers: { y: "write" },
    params: { count: "u32" },
    tunables: { WG: [4, 8] },
    grid: () => [1, 1, 1],
  });
}

describe("pipelines", () => {
  const device = useDevice();

  it("a shader that does not compile names file, line and text, and spares the device", async () => {
    const broken = kernel("broken", "  y[0] = params.count;\n  y[1] = nothing;");
    await expect(device().pipelines.get(broken)).rejects.toMatchObject({
      name: "DeviceError",
      code: "shader-error",
      message: expect.stringMatching(/broken\.wgsl:8:\d+ .*nothing[^]*\n {4} {2}y\[1\] = nothing;/),
    });
    await device().idle();
    device().check();
  });

  it("a layout that does not fit the shader says why", async () => {
    const more = kernel("more", "  y[0] = params.count;");
    const wrong = { ...more, name: "wrong", buffers: { y: "read" } as const };
    await expect(device().pipelines.get(wrong)).rejects.toMatchObject({
      code: "shader-error",
      message: expect.stringMatching(/cannot compile wrong[^]*binding/i),
    });
    device().check();
  });

  it("compiles each specialisation once", async () => {
    const { pipelines, counters } = device();
    const good = kernel("good", "  y[id.x] = params.count;");
    const before = counters.pipelines;
    const [first, second] = await Promise.all([pipelines.get(good), pipelines.get(good, {})]);
    expect(second).toBe(first);
    await pipelines.get(good, { consts: { WG: 8 } });
    await pipelines.get(good, { consts: { WG: 8 } });
    expect(counters.pipelines).toBe(before + 2);
  });

  it("names a buffer that is not bound", async () => {
    const good = await device().pipelines.get(kernel("good", "  y[id.x] = params.count;"));
    const arena = device().createBuffer("arena", 256, 0x40);
    expect(() => device().pipelines.bind(good, {}, arena)).toThrow(
      "kernel good: buffer y is not bound",
    );
    device().destroyBuffer(arena);
  });
});
