import { afterEach, describe, expect, it, vi } from "vitest";
import { isSoftware } from "../../src/gpu/capabilities.ts";
import * as node from "../../src/gpu/node.ts";
import * as web from "../../src/gpu/web.ts";

describe("isSoftware", () => {
  it.each([
    [{ description: "llvmpipe: Mesa 26.1.6-1~bpo13+1 (LLVM 19.1.7)" }, true],
    [{ vendor: "google", architecture: "swiftshader" }, true],
    [{ description: "Microsoft Basic Render Driver" }, true],
    [{ isFallbackAdapter: true }, true],
    [{ vendor: "nvidia", device: "NVIDIA H100 80GB HBM3", isFallbackAdapter: false }, false],
    [{ vendor: "intel", description: "Intel(R) UHD Graphics 770 (Warpaint)" }, false],
    [{}, false],
  ])("%o: %s", (info, expected) => {
    expect(isSoftware(info)).toBe(expected);
  });
});

describe("openProvider in Node", () => {
  it("gives one instance per backend, and checks shaders on the null backend", async () => {
    const first = await node.openProvider({ backend: "null" });
    const second = await node.openProvider({ backend: "null" });
    expect(second.gpu).toBe(first.gpu);
    first.dispose();
    const adapter = await second.gpu.requestAdapter();
    const device = await adapter!.requestDevice();
    device.pushErrorScope("validation");
    device.createShaderModule({ code: "@compute fn main() {}" });
    expect((await device.popErrorScope())?.message).toContain("workgroup_size");
    device.destroy();
    expect(GPUBufferUsage.STORAGE).toBe(128);
  });
});

describe("openProvider in a browser", () => {
  afterEach(() => vi.unstubAllGlobals());

  it("gives navigator.gpu", async () => {
    vi.stubGlobal("navigator", { gpu: "the browser's" });
    expect((await web.openProvider()).gpu).toBe("the browser's");
    await expect(web.openProvider({ backend: "null" })).rejects.toThrow('no "null" backend');
  });

  it("says what is missing", async () => {
    vi.stubGlobal("navigator", {});
    await expect(web.openProvider()).rejects.toThrow(/navigator\.gpu is missing.*Chrome or Edge/);
    vi.stubGlobal("isSecureContext", false);
    await expect(web.openProvider()).rejects.toThrow(/not loaded securely.*https/);
  });

  it("exports the same names as Node", () => {
    expect(Object.keys(web)).toEqual(Object.keys(node));
  });
});
