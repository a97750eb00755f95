import { afterEach, describe, expect, inject, it, vi } from "vitest";
import { TIER_FEATURES } from "../../src/gpu/capabilities.ts";
import { BUFFER_USAGE, Device, openDevice } from "../../src/gpu/device.ts";
import { openProvider } from "../../src/gpu/node.ts";
import { useDevice } from "../helpers/device.ts";
import { randomU32 } from "../helpers/random-data.ts";

/** WebGPU's default limits that kernels depend on (WebGPU, section 3.6.2). */
const DEFAULT_LIMITS = {
  maxStorageBufferBindingSize: 134_217_728,
  maxBufferSize: 268_435_456,
  maxStorageBuffersPerShaderStage: 8,
  maxUniformBufferBindingSize: 65_536,
  maxComputeWorkgroupStorageSize: 16_384,
  maxComputeInvocationsPerWorkgroup: 256,
  maxComputeWorkgroupSizeX: 256,
  maxComputeWorkgroupSizeZ: 64,
  maxComputeWorkgroupsPerDimension: 65_535,
  maxBindGroups: 4,
  minStorageBufferOffsetAlignment: 256,
  minUniformBufferOffsetAlignment: 256,
} as const;

describe("opening a device", () => {
  const device = useDevice();

  it("asks for what its tier needs, and T0 for nothing", () => {
    const { raw, capabilities } = device();
    const tier = inject("tier");
    expect(capabilities.tier).toBe(tier);
    for (const feature of TIER_FEATURES[tier]) expect(raw.features.has(feature)).toBe(true);
    if (tier !== "t0") return;
    const limits: Record<string, number> = {};
    for (const name in DEFAULT_LIMITS) limits[name] = raw.limits[name as "maxBufferSize"];
    expect(limits).toEqual(DEFAULT_LIMITS);
    // Dawn always grants what is in core; nothing with a name of a tier may be there.
    const optional = ["shader-f16", "subgroups", "timestamp-query", "float32-filterable"];
    for (const feature of optional) expect(raw.features.has(feature), feature).toBe(false);
    expect(capabilities).toMatchObject({ chunkBytes: 134_217_728, timestamps: false });
  });

  it("is the adapter whose name has the text that is asked for, or an error that lists the names", async () => {
    const { adapter } = device().capabilities;
    // Dawn's name and the adapter's own description begin alike.
    const word = /[A-Za-z]+/.exec(adapter)![0];
    const named = await openDevice({ tier: "t0", adapter: word });
    expect(named.capabilities.adapter).toBe(adapter);
    named.close();
    const none = openDevice({ adapter: "no such thing" });
    await expect(none).rejects.toMatchObject({ code: "no-such-adapter" });
    await expect(none).rejects.toThrow(new RegExp(`Give part of one of these names: .*${word}`));
  });

  it("describes the adapter as plain data", () => {
    const { capabilities } = device();
    expect(structuredClone(capabilities)).toEqual(capabilities);
    expect(capabilities.adapter.length).toBeGreaterThan(0);
  });

  it("passes for another kind of device where a test asks for it", async () => {
    const software = !device().capabilities.software;
    const other = await openDevice({ tier: inject("tier"), profile: { software } });
    expect(other.capabilities).toEqual({ ...device().capabilities, software });
    other.close();
  });

  it("lowers the chunk limit, and never raises it", async () => {
    const low = await openDevice({ tier: inject("tier"), chunkBytes: 2 ** 20 });
    expect(low.capabilities.chunkBytes).toBe(2 ** 20);
    low.close();
    const high = await openDevice({ tier: inject("tier"), chunkBytes: 2 ** 50 });
    expect(high.capabilities.chunkBytes).toBe(device().capabilities.chunkBytes);
    high.close();
  });
});

describe("buffers", () => {
  const device = useDevice();

  it("come back as they were written, at any offset", async () => {
    const buffer = device().createBuffer("round trip", 1000);
    const data = randomU32(250, 2 ** 32, 1);
    device().write(buffer, 0, data);
    expect(new Uint32Array(await device().read(buffer))).toEqual(data);
    device().write(buffer, 400, data.subarray(3, 8));
    const part = new Uint32Array(await device().read(buffer, 396, 28));
    expect([...part]).toEqual([data[99], ...data.subarray(3, 8), data[105]]);
    // Bytes that are not a multiple of 4 are cut off on the host.
    const bytes = new Uint8Array(await device().read(buffer, 400, 5));
    expect([...bytes]).toEqual([...new Uint8Array(data.buffer, 12, 5)]);
    const floats = await device().readF32(buffer, 400, 2);
    expect(floats).toEqual(new Float32Array(data.buffer, 12, 2));
    device().destroyBuffer(buffer);
  });

  it("are counted while they live", () => {
    const { counters } = device();
    const before = { ...counters };
    const buffer = device().createBuffer("counted", 5);
    expect(counters.buffers).toBe(before.buffers + 1);
    expect(counters.bufferBytes).toBe(before.bufferBytes + 8);
    device().destroyBuffer(buffer);
    expect(counters).toEqual(before);
    const empty = device().createBuffer("empty", 0);
    expect(empty.size).toBe(4);
    device().destroyBuffer(empty);
  });

  it("take uploads above 32 MiB in pieces", async () => {
    const words = (70 * 2 ** 20) / 4 + 3;
    const data = new Uint32Array(words);
    for (let i = 0; i < words; i++) data[i] = Math.imul(i, 2654435761);
    const buffer = device().createBuffer("large", data.byteLength);
    const writes = vi.spyOn(device().raw.queue, "writeBuffer");
    device().write(buffer, 0, data);
    const sizes = writes.mock.calls.map((call) => call[4]);
    writes.mockRestore();
    expect(sizes).toEqual([2 ** 25, 2 ** 25, data.byteLength - 2 ** 26]);
    const back = new Uint32Array(await device().read(buffer));
    // Compared as bytes: element by element would take longer than the transfer.
    expect(Buffer.compare(Buffer.from(back.buffer), Buffer.from(data.buffer))).toBe(0);
    device().destroyBuffer(buffer);
  });

  it("that are too large are refused by name before the driver sees them", () => {
    const limit = device().raw.limits.maxBufferSize;
    expect(() => device().createBuffer("giant", limit + 4)).toThrow(
      `buffer giant needs ${Math.ceil((limit + 4) / 4) * 4} bytes, the adapter allows ${limit}`,
    );
    device().check();
  });
});

describe("failures", () => {
  const opened: Device[] = [];
  const open = async () => {
    const device = await openDevice({ tier: inject("tier") });
    opened.push(device);
    return device;
  };
  afterEach(() => {
    for (const device of opened.splice(0)) device.close();
  });

  it("a validation error between calls rejects the next awaited call, and all later ones", async () => {
    const device = await open();
    const buffer = device.createBuffer("b", 16);
    device.raw.createBuffer({ label: "wrong usage", size: 16, usage: BUFFER_USAGE.mapRead | 0x80 });
    const error = { code: "gpu-validation", message: /the GPU refused a command: .*wrong usage/s };
    await expect(device.read(buffer)).rejects.toMatchObject({
      code: error.code,
      message: expect.stringMatching(error.message),
    });
    await expect(device.read(buffer)).rejects.toMatchObject({ code: error.code });
    expect(() => device.createBuffer("later", 4)).toThrow(error.message);
  });

  it("a range beyond a buffer rejects the call itself", async () => {
    const device = await open();
    const buffer = device.createBuffer("short", 16);
    await expect(device.read(buffer, 0, 64)).rejects.toMatchObject({ code: "gpu-validation" });
  });

  it("a write beyond a buffer rejects the next awaited call", async () => {
    const device = await open();
    const buffer = device.createBuffer("short", 16);
    device.write(buffer, 8, new Float32Array(4));
    await expect(device.idle()).rejects.toMatchObject({ code: "gpu-validation" });
  });

  it("a device lost during a read-back rejects it", async () => {
    const device = await open();
    const buffer = device.createBuffer("b", 1 << 20);
    const reading = device.read(buffer);
    device.raw.destroy();
    await expect(reading).rejects.toMatchObject({
      name: "DeviceError",
      code: "device-lost",
      message: expect.stringContaining("--resume"),
    });
    await expect(device.idle()).rejects.toMatchObject({ code: "device-lost" });
    expect(() => device.createBuffer("later", 4)).toThrow(/lost/);
  });

  it("closing twice is fine, and ends waiting calls", async () => {
    const device = await open();
    const reading = device.read(device.createBuffer("b", 64));
    device.close();
    device.close();
    await expect(reading).rejects.toMatchObject({
      code: "device-lost",
      message: expect.stringContaining("closed while work was waiting"),
    });
  });

  it("a tier that the adapter lacks is named, with the best that it has", async () => {
    const provider = await openProvider();
    const adapter = await provider.gpu.requestAdapter();
    const features = new Set([...adapter!.features].filter((name) => name !== "subgroups"));
    const poor = { features, limits: adapter!.limits, info: adapter!.info } as object;
    vi.spyOn(provider.gpu, "requestAdapter").mockResolvedValueOnce(poor as GPUAdapter);
    await expect(openDevice({ tier: "t1" })).rejects.toMatchObject({
      name: "DeviceError",
      code: "tier-unavailable",
      message: expect.stringMatching(/tier t1 needs subgroups, .* ask for t0/),
    });
  });

  it("no adapter at all says what to install", async () => {
    const { gpu } = await openProvider();
    vi.spyOn(gpu, "requestAdapter").mockResolvedValueOnce(null);
    await expect(openDevice()).rejects.toMatchObject({
      name: "DeviceError",
      code: "no-adapter",
      message: expect.stringContaining("Install a Vulkan"),
    });
  });

  it("a driver that gives no device is an error with a name", async () => {
    const { gpu } = await openProvider();
    const adapter = await gpu.requestAdapter();
    vi.spyOn(adapter!, "requestDevice").mockRejectedValueOnce(new Error("no memory"));
    vi.spyOn(gpu, "requestAdapter").mockResolvedValueOnce(adapter);
    await expect(openDevice({ tier: "t0" })).rejects.toMatchObject({
      code: "device-refused",
      message: expect.stringContaining("no memory"),
    });
  });
});
