import { openProvider, whileWaiting, type GpuProvider } from "#gpu";
import { DeviceError } from "../core/errors.ts";
import { refuseUnknown } from "../core/options.ts";
import { chooseTier, isSoftware, TIER_FEATURES } from "./capabilities.ts";
import type { Capabilities, DeviceProfile, Tier } from "./capabilities.ts";
import { PipelineCache, type PipelineCounters } from "./pipelines.ts";
import { Pacer } from "./pacer.ts";

/** How to open a device. */
export interface DeviceOptions {
  /** Kernel tier to use; the best that the adapter has when left out. */
  tier?: Tier;
  /** Part of the name of the adapter to use (Node only); the fastest when left out. */
  adapter?: string | undefined;
  /** Upper bound on the bytes of one storage binding, below the adapter's own; for tests. */
  chunkBytes?: number;
  /** Kernels are chosen as for such a device instead of what this one is; for tests. */
  profile?: Partial<Pick<DeviceProfile, "software">>;
  /** `null` opens Dawn's null backend, which compiles shaders and computes nothing. */
  backend?: "null";
}

/** Exact counts of what was made and sent since the device was opened. */
export interface Counters extends PipelineCounters {
  buffers: number;
  bufferBytes: number;
  dispatches: number;
  submits: number;
  readBacks: number;
  uploadBytes: number;
}

/** Bytes sent by one `writeBuffer`: large uploads are cut so that staging memory stays small. */
const UPLOAD_BYTES = 32 * 2 ** 20;

/**
 * Opens the preferred adapter's device.
 *
 * Tier T0 asks for default limits and no features at all, so that what runs there runs anywhere.
 *
 * @throws {DeviceError} `no-adapter` when there is none, `no-such-adapter` for a name that none has,
 *   `tier-unavailable` when it lacks features,
 *   `device-refused` when the driver gives no device.
 */
export async function openDevice(options: DeviceOptions = {}): Promise<Device> {
  refuseUnknown(options, ["tier", "adapter", "chunkBytes", "profile", "backend"], "openDevice");
  const { backend, adapter: named } = options;
  const provider = await openProvider({
    ...(backend !== undefined && { backend }),
    ...(named !== undefined && { adapter: named }),
  });
  const adapter = await requestAdapter(provider.gpu, named);
  if (adapter === null) {
    provider.dispose();
    throw new DeviceError("no-adapter", "WebGPU found no adapter.", {
      hint: "Install a Vulkan, Metal or Direct3D 12 driver for the GPU, or start through `node train.js`, which fetches a software driver.",
    });
  }
  let tier: Tier;
  try {
    tier = chooseTier(adapter, options.tier);
  } catch (cause) {
    provider.dispose();
    throw cause;
  }
  const features = new Set<string>(TIER_FEATURES[tier]);
  if (tier !== "t0" && adapter.features.has("timestamp-query")) features.add("timestamp-query");
  const requiredLimits: Record<string, number> = {};
  if (tier !== "t0") {
    for (const name of [
      "maxStorageBufferBindingSize",
      "maxBufferSize",
      "maxComputeWorkgroupStorageSize",
    ] as const) {
      requiredLimits[name] = adapter.limits[name];
    }
  }
  let raw: GPUDevice;
  try {
    raw = await adapter.requestDevice({
      label: "aubade",
      requiredFeatures: [...features] as GPUFeatureName[],
      requiredLimits,
    });
  } catch (cause) {
    provider.dispose();
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new DeviceError(
      "device-refused",
      `the adapter ${adapter.info.description} gave no device for tier ${tier}: ${why}.`,
      { hint: "Close other programs that use the GPU, or ask for a lower tier.", cause },
    );
  }
  return new Device(provider, adapter, raw, tier, options);
}

/** Asks for an adapter; Dawn raises an error that lists those there are where none has the name. */
async function requestAdapter(gpu: GPU, named: string | undefined): Promise<GPUAdapter | null> {
  try {
    return await gpu.requestAdapter({ powerPreference: "high-performance" });
  } catch (cause) {
    if (named === undefined) throw cause;
    const text = cause instanceof Error ? cause.message : String(cause);
    const names = [...text.matchAll(/name: '([^']*)'/g)].map(([, name]) => name);
    throw new DeviceError("no-such-adapter", `No adapter is called "${named}".`, {
      hint: `Give part of one of these names: ${names.join(", ") || "there is none"}.`,
      cause,
    });
  }
}

/** One opened GPU device with its buffers, pipelines, counters and its way to fail. */
export class Device {
  readonly raw: GPUDevice;
  readonly capabilities: Capabilities;
  readonly pipelines: PipelineCache;
  /** Cuts and paces submitted work. */
  readonly pacer: Pacer;
  readonly counters: Counters = {
    buffers: 0,
    bufferBytes: 0,
    bindGroups: 0,
    pipelines: 0,
    dispatches: 0,
    submits: 0,
    readBacks: 0,
    uploadBytes: 0,
  };
  readonly #provider: GpuProvider;
  /** How the calls that wait are told that the device is lost. */
  readonly #waiting = new Set<(error: DeviceError) => void>();
  #lost: DeviceError | undefined;
  #failure: DeviceError | undefined;
  #closed = false;

  constructor(
    provider: GpuProvider,
    adapter: GPUAdapter,
    raw: GPUDevice,
    tier: Tier,
    { chunkBytes, profile }: Pick<DeviceOptions, "chunkBytes" | "profile">,
  ) {
    this.raw = raw;
    this.#provider = provider;
    const { info } = adapter;
    const limit = Math.min(raw.limits.maxStorageBufferBindingSize, raw.limits.maxBufferSize);
    this.capabilities = {
      tier,
      adapter:
        info.description ||
        info.device ||
        [info.vendor, info.architecture].filter(Boolean).join(" ") ||
        "unnamed adapter",
      vendor: info.vendor,
      architecture: info.architecture,
      software: isSoftware(info),
      timestamps: raw.features.has("timestamp-query"),
      chunkBytes: Math.min(limit, chunkBytes ?? limit),
      ...profile,
    };
    this.pipelines = new PipelineCache(raw, tier, this.counters);
    this.pacer = new Pacer(isSoftware(info) ? 2e6 : 1e9);
    raw.addEventListener("uncapturederror", (event) => {
      event.preventDefault();
      const { error } = event;
      const oom = error.constructor.name === "GPUOutOfMemoryError";
      this.#failure ??= new DeviceError(
        oom ? "out-of-memory" : "gpu-validation",
        `the GPU refused a command: ${error.message}`,
        oom ? { hint: "Lower train.max_tokens_per_pass or train.prompts_per_step." } : {},
      );
    });
    void raw.lost.then((lost) => {
      const error = new DeviceError(
        "device-lost",
        this.#closed
          ? "the device was closed while work was waiting."
          : `the GPU device was lost (${lost.reason}): ${lost.message}.`,
        { hint: "Start again with --resume to go on from the last checkpoint." },
      );
      this.#failure ??= error;
      this.#lost = error;
      for (const tell of this.#waiting) tell(error);
    });
  }

  /** Throws the first error that the GPU reported outside an awaited call, if there is one. */
  check(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Makes a storage buffer (also a copy source and target); sizes are rounded up to 4 bytes. */
  createBuffer(label: string, bytes: number, usage = 0): GPUBuffer {
    this.check();
    const size = Math.max(4, Math.ceil(bytes / 4) * 4);
    if (size > this.raw.limits.maxBufferSize) {
      throw new DeviceError(
        "buffer-too-large",
        `buffer ${label} needs ${size} bytes, the adapter allows ${this.raw.limits.maxBufferSize}.`,
      );
    }
    this.counters.buffers++;
    this.counters.bufferBytes += size;
    return this.raw.createBuffer({
      label,
      size,
      usage: usage | BUFFER_USAGE.storage | BUFFER_USAGE.copySource | BUFFER_USAGE.copyTarget,
    });
  }

  /** Frees a buffer made by `createBuffer`. */
  destroyBuffer(buffer: GPUBuffer): void {
    this.counters.buffers--;
    this.counters.bufferBytes -= buffer.size;
    buffer.destroy();
  }

  /** Copies host data into a buffer, in pieces of 32 MiB; `offset` in bytes, a multiple of 4. */
  write(buffer: GPUBuffer, offset: number, data: ArrayBufferView): void {
    this.counters.uploadBytes += data.byteLength;
    for (let start = 0; start < data.byteLength; start += UPLOAD_BYTES) {
      const length = Math.min(UPLOAD_BYTES, data.byteLength - start);
      this.raw.queue.writeBuffer(
        buffer,
        offset + start,
        data.buffer as ArrayBuffer,
        data.byteOffset + start,
        length,
      );
    }
  }

  /** Records commands and submits them. */
  submit(record: (encoder: GPUCommandEncoder) => void): void {
    const encoder = this.raw.createCommandEncoder();
    record(encoder);
    this.submitEncoder(encoder, 0);
  }

  /** Submits a recorded encoder that holds `work` FLOPs. */
  submitEncoder(encoder: GPUCommandEncoder, work: number): void {
    this.check();
    this.raw.queue.submit([encoder.finish()]);
    this.counters.submits++;
    this.pacer.submitted(work);
  }

  /** Waits until everything submitted so far is done. */
  async idle(): Promise<void> {
    await this.#guard(this.raw.queue.onSubmittedWorkDone());
    this.pacer.drained();
  }

  /** Reads bytes back from a buffer; waits for all work submitted before. */
  async read(buffer: GPUBuffer, offset = 0, bytes = buffer.size - offset): Promise<ArrayBuffer> {
    this.check();
    this.counters.readBacks++;
    const size = Math.ceil(bytes / 4) * 4;
    const staging = this.raw.createBuffer({
      label: "read-back",
      size,
      usage: BUFFER_USAGE.mapRead | BUFFER_USAGE.copyTarget,
    });
    try {
      this.submit((encoder) => encoder.copyBufferToBuffer(buffer, offset, staging, 0, size));
      await this.#guard(staging.mapAsync(1));
      this.pacer.drained();
      return staging.getMappedRange().slice(0, bytes);
    } finally {
      staging.destroy();
    }
  }

  /** `read` as float32 values. */
  async readF32(buffer: GPUBuffer, offset = 0, count?: number): Promise<Float32Array> {
    return new Float32Array(
      await this.read(buffer, offset, count === undefined ? undefined : count * 4),
    );
  }

  /** Closes the device and frees everything made on it; waiting calls reject. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.raw.destroy();
    this.#provider.dispose();
  }

  async #guard<T>(work: Promise<T>): Promise<T> {
    let result: T;
    try {
      result = await whileWaiting(this.#orLost(work));
    } catch (cause) {
      if (cause instanceof DeviceError) throw cause;
      // A map that aborts does so because the device went away: let that be the error.
      await this.#orLost(new Promise((resolve) => setTimeout(resolve, 100)));
      throw new DeviceError("gpu-failed", "the GPU did not finish a command.", { cause });
    }
    this.check();
    return result;
  }

  /** Work, or the loss of the device. A race with one lasting promise would keep every call. */
  async #orLost<T>(work: Promise<T>): Promise<T> {
    if (this.#lost !== undefined) throw this.#lost;
    let tell: ((error: DeviceError) => void) | undefined;
    try {
      return await new Promise<T>((resolve, reject) => {
        this.#waiting.add((tell = reject));
        work.then(resolve, reject);
      });
    } finally {
      if (tell !== undefined) this.#waiting.delete(tell);
    }
  }
}

/** WebGPU's buffer usage bits under house names (the globals do not exist in every Node). */
export const BUFFER_USAGE = {
  mapRead: 0x1,
  copySource: 0x4,
  copyTarget: 0x8,
  uniform: 0x40,
  storage: 0x80,
  indirect: 0x100,
  queryResolve: 0x200,
} as const;
