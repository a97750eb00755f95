import { describe, expect, it } from "vitest";

import { decide, hiddenGpu, noticeFor } from "../../../src/cli/driver/adapter.ts";
import type { Decision } from "../../../src/cli/driver/adapter.ts";
import { readProbe } from "../../../src/cli/driver/probe.ts";
import type { Probe } from "../../../src/cli/driver/probe.ts";
import { parseOsRelease } from "../../../src/cli/driver/distro.ts";
import { isNeeded, mesaVersion, noAdapterError } from "../../../src/cli/driver/software-driver.ts";

const probe = (change: Partial<Probe>): Probe => ({
  works: true,
  software: false,
  allTiers: true,
  label: "",
  reason: "",
  ...change,
});
const GPU = probe({ label: "NVIDIA H100", allTiers: true });
const OLD_GPU = probe({ label: "Intel UHD", allTiers: false });
const LAVAPIPE = probe({ software: true, allTiers: false, label: "llvmpipe: Mesa 25.0.7 (LLVM)" });
const NEW_LAVAPIPE = probe({ ...LAVAPIPE, allTiers: true });
const NOTHING = probe({ works: false, allTiers: false, reason: "no libvulkan.so.1" });
const BROKEN_GPU = probe({ works: false, label: "NVIDIA H100" });

describe("decide", () => {
  it.each<[string, Probe, Probe | "absent" | "unavailable", boolean, Decision]>([
    ["a GPU wins without a private driver", GPU, "absent", false, "system"],
    ["a GPU wins over a private driver", GPU, NEW_LAVAPIPE, false, "system"],
    ["a GPU wins even where tests want every tier", OLD_GPU, NEW_LAVAPIPE, true, "system"],
    ["a GPU that only the private loader reaches wins", LAVAPIPE, GPU, false, "private"],
    ["software of the system needs no download", LAVAPIPE, "absent", false, "system"],
    ["... nor the private driver that is there", LAVAPIPE, NEW_LAVAPIPE, false, "system"],
    ["... unless tests want every tier", LAVAPIPE, "absent", true, "fetch"],
    ["... and take it where it is there", LAVAPIPE, NEW_LAVAPIPE, true, "private"],
    ["... and do without where it cannot be had", LAVAPIPE, "unavailable", true, "system"],
    ["every tier in the system is enough for tests", NEW_LAVAPIPE, "absent", true, "system"],
    ["nothing: fetch", NOTHING, "absent", false, "fetch"],
    ["nothing, but a private driver", NOTHING, NEW_LAVAPIPE, false, "private"],
    ["a broken GPU: fetch", BROKEN_GPU, "absent", false, "fetch"],
    ["nothing anywhere", NOTHING, "unavailable", false, "none"],
    ["a private driver that does not run", NOTHING, NOTHING, false, "none"],
  ])("%s", (_, system, own, allTiers, expected) => {
    expect(decide(system, own, allTiers)).toBe(expected);
  });
});

describe("what is printed", () => {
  it("names the software driver, and leaves a GPU to the device", () => {
    expect(noticeFor(NEW_LAVAPIPE, "26.1.6")).toBe(
      "no GPU found: running on the software driver Mesa 26.1.6 (slow; for trying things out)",
    );
    expect(noticeFor(LAVAPIPE, undefined)).toContain("software driver Mesa 25.0.7 (slow");
    expect(noticeFor(GPU, undefined)).toBe("");
  });

  it("tells the owner of an NVIDIA GPU why it is not used", () => {
    expect(hiddenGpu(LAVAPIPE, true, "no libvulkan.so.1")).toMatch(
      /NVIDIA GPU is here \(\/dev\/nvidia0\) but .*\(no libvulkan\.so\.1\).*libnvidia-gl/,
    );
    expect(hiddenGpu(LAVAPIPE, false, "")).toBeUndefined();
    expect(hiddenGpu(GPU, true, "")).toBeUndefined();
  });

  it("ends with one command where nothing can be had", () => {
    const distro = parseOsRelease("ID=debian\nVERSION_CODENAME=trixie\n");
    const error = noAdapterError(
      distro,
      [],
      "no libvulkan.so.1",
      new Error("Could not resolve x."),
    );
    expect(error.code).toBe("no-adapter");
    expect(error.message).toBe(
      "Found no GPU that WebGPU can use (no libvulkan.so.1), and could not fetch a software " +
        "driver: Could not resolve x. Run: sudo apt-get install mesa-vulkan-drivers",
    );
    const unknown = noAdapterError(parseOsRelease("ID=alpine\n"), [], "r", "c");
    expect(unknown.hint).toContain("lavapipe");
  });
});

describe("readProbe", () => {
  const info = { vendor: "mesa", device: "llvmpipe-19", description: "llvmpipe: Mesa 26.1.6" };
  const features = ["shader-f16", "subgroups", "chromium-experimental-subgroup-matrix"];

  it("reads a software adapter with every tier, even if the driver crashed after it", () => {
    const stdout = `${JSON.stringify({ found: true, works: true, info, features })}\n`;
    expect(readProbe({ code: null, stdout, stderr: "" })).toEqual({
      works: true,
      software: true,
      allTiers: true,
      label: "llvmpipe: Mesa 26.1.6",
      reason: "",
    });
  });

  it("does not call a GPU software", () => {
    const report = { found: true, works: true, info: { vendor: "nvidia", device: "H100" } };
    const result = readProbe({ code: 0, stdout: JSON.stringify(report), stderr: "" });
    expect(result).toMatchObject({ works: true, software: false, allTiers: false, label: "H100" });
  });

  it.each([
    [
      "Warning: Couldn't load Vulkan: libvulkan.so.1: cannot open shared object file\n    at x",
      '{"found":false,"works":false}',
      0,
      "Couldn't load Vulkan: libvulkan.so.1: cannot open shared object file",
    ],
    ["", '{"found":false,"works":false}', 0, "no Vulkan driver offers an adapter"],
    ["", '{"found":true,"works":false}', 0, "a compute shader gave wrong numbers"],
    ["", "", null, "the driver did not answer in 60 s"],
    ["", "", 139, "the driver ended with code 139"],
  ])("says why there is none (%#)", (stderr, stdout, code, reason) => {
    expect(readProbe({ code, stdout, stderr })).toMatchObject({ works: false, reason });
  });
});

describe("the private driver's parts", () => {
  it("reads Mesa's version from the package's name", () => {
    expect(
      mesaVersion(["/a/libc6_2.41_amd64.deb", "/a/mesa-vulkan-drivers_26.1.6-1~bpo13+1_amd64.deb"]),
    ).toBe("26.1.6");
    expect(mesaVersion(["/a/mesa-vulkan-drivers_26.0.8-1ubuntu0.3_arm64.deb"])).toBe("26.0.8");
    expect(() => mesaVersion([])).toThrow("no mesa-vulkan-drivers");
  });

  it("keeps libraries but not the drivers of GPUs", () => {
    const kept = ["libvulkan_lvp.so", "libvulkan.so.1", "libc.so.6", "libLLVM.so.19.1"];
    const dropped = ["libvulkan_intel.so", "libVkLayer_MESA_overlay.so", "gconv", "crt1.o"];
    expect([...kept, ...dropped].filter(isNeeded)).toEqual(kept);
  });
});
