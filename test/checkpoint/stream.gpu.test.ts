import { cpSync, mkdtempSync, rmSync, truncateSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, inject, it } from "vitest";
import { bf16ToF32, f16ToF32 } from "../../src/core/convert16.ts";
import { CheckpointError, DeviceError } from "../../src/core/errors.ts";
import { f16sScale, packF16s } from "../../src/core/f16s.ts";
import { Random } from "../../src/core/random.ts";
import { bytesSource } from "../../src/io/byte-source.ts";
import { encodeSafetensors } from "../../src/checkpoint/safetensors-writer.ts";
import { openSafetensors } from "../../src/checkpoint/safetensors.ts";
import { Model } from "../../src/model/model.ts";
import {
  arraySource,
  storedSource,
  type WeightDType,
  type WeightSource,
} from "../../src/checkpoint/weight-source.ts";
import type { TensorSpecs } from "../../src/checkpoint/tensor-specs.ts";
import { ModelWeights, type WeightLoading } from "../../src/checkpoint/weights.ts";
import { measureLoad, writeBigCheckpoint } from "../helpers/big-checkpoint.ts";
import { useDevice } from "../helpers/device.ts";

const golden = (name: string) => fileURLToPath(new URL(`../golden/${name}`, import.meta.url));
const FROZEN = { trains: () => false };
const MIB = 2 ** 20;

/** A row of the second is wider than a slice; the fourth has a row of odd width in every slice. */
const SHAPES = [[333, 8], [5, 5000], [4100], [777, 5], [7, 3, 2, 2], [0, 8], [4, 0], [1, 1]];

/** A file of one tensor for each shape; the values have all magnitudes of their type. */
function fileOf(dtype: WeightDType): { bytes: Uint8Array<ArrayBuffer>; names: string[] } {
  const random = new Random(3, "data");
  const tensors = SHAPES.map((shape, index) => {
    const size = shape.reduce((a, b) => a * b, 1);
    const values = Float32Array.from(
      { length: size },
      () => random.normal() * 2 ** -random.integer(40),
    );
    // The largest, which decides the scale, is the last: the first look must come to the end.
    if (size > 1) values[size - 1] = 300;
    if (size > 100) values[size >> 1] = -Infinity;
    // The upper half of a float32 is a bfloat16; read as float16, it is some other value.
    const halves = new Uint16Array(values.buffer).filter((_, i) => i % 2 === 1);
    return { name: `w${index}`, dtype, shape, data: dtype === "F32" ? values : halves };
  });
  return { bytes: encodeSafetensors(tensors), names: tensors.map(({ name }) => name) };
}

/** The tensors of a decoder of these shapes. */
const specsOf = (sources: ReadonlyMap<string, WeightSource>): TensorSpecs =>
  new Map([...sources].map(([name, { shape }]) => [name, { shape, part: "decoder" }]));

async function load(
  file: ReturnType<typeof fileOf>,
  device: Parameters<typeof Model.load>[0],
  storage: "f32" | "f16s",
  loading: WeightLoading,
) {
  const store = await openSafetensors(bytesSource(file.bytes), "x.safetensors");
  const sources = new Map<string, WeightSource>(
    file.names.map((name) => [name, storedSource(store, name)]),
  );
  return {
    store,
    weights: await ModelWeights.load(
      device,
      sources,
      specsOf(sources),
      { ...FROZEN, storage },
      loading,
    ),
  };
}

describe.each([
  ["one binding", {}],
  ["small bindings", { chunkBytes: 24 * 1024 }],
])("weights streamed in slices, %s", (_name, options) => {
  const device = useDevice(options);

  it.each(["BF16", "F16", "F32"] as const)("%s: are the bits of whole tensors", async (dtype) => {
    const file = fileOf(dtype);
    for (const storage of ["f32", "f16s"] as const) {
      for (const loading of [
        { sliceBytes: 4096 },
        { sliceBytes: 4096, keepBytes: 0 },
        { sliceBytes: 4098, keepBytes: 3000 },
        {},
      ]) {
        const { store, weights } = await load(file, device(), storage, loading);
        let inexact = 0;
        for (const [name, { value, shape, scale }] of weights.parameters) {
          const whole = new Float32Array(shape.reduce((a, b) => a * b, 1));
          const raw = (await store.read(name)).buffer;
          if (dtype === "F32") whole.set(new Float32Array(raw));
          else if (dtype === "BF16") bf16ToF32(new Uint16Array(raw), whole);
          else f16ToF32(new Uint16Array(raw), whole);
          let want = new Uint32Array(whole.buffer);
          const packed = storage === "f16s" && shape.length > 1;
          expect(value.type).toBe(packed ? "f16s" : "f32");
          if (packed && whole.length > 0) {
            expect(scale, name).toBe(f16sScale(whole));
            const result = packF16s(whole, value.width, scale);
            inexact += result.inexact;
            want = result.words as Uint32Array<ArrayBuffer>;
          } else expect(scale).toBe(1);
          const got = new Uint32Array((await value.download()).buffer);
          expect(got.length).toBe(want.length);
          expect(
            got.findIndex((word, i) => word !== want[i]),
            `${name} ${storage}`,
          ).toBe(-1);
        }
        expect(weights.inexact).toBe(inexact);
        weights.destroy();
      }
    }
  });

  it("tell how far they are, from nothing to all, a tied weight once", async () => {
    const store = await openSafetensors(bytesSource(fileOf("BF16").bytes), "x.safetensors");
    const source = storedSource(store, "w1");
    const { buffers } = device().counters;
    const heard: number[][] = [];
    const onProgress = (done: number, total: number) => heard.push([done, total]);
    const sources = new Map([
      ["model.embed_tokens.weight", source],
      ["lm_head.weight", source],
    ]);
    const training = { ...FROZEN, storage: "f16s" as const };
    const weights = await ModelWeights.load(device(), sources, specsOf(sources), training, {
      ...{ onProgress, sliceBytes: 4096, keepBytes: 0 },
    });
    // 10,000 bytes a row: every row is a slice.
    expect(heard).toEqual([0, 1, 2, 3, 4, 5].map((row) => [row * 10_000, 50_000]));
    const [embedding, head] = weights.parameters.values();
    expect(head).toBe(embedding);
    expect(weights.distinct).toEqual([embedding]);
    expect(device().counters.buffers - buffers).toBe(embedding!.value.chunks.length);
    weights.destroy();
    expect(device().counters.buffers).toBe(buffers);
  });
});

describe("a load that fails", () => {
  const device = useDevice();
  const work = mkdtempSync(join(tmpdir(), "aubade-stream-"));
  afterAll(() => rmSync(work, { recursive: true }));

  async function failure(loading: () => Promise<unknown>): Promise<Error> {
    const { buffers, bufferBytes } = device().counters;
    const error = await loading().then(
      () => expect.fail("it did not fail"),
      (reason: unknown) => reason as Error,
    );
    expect(device().counters).toMatchObject({ buffers, bufferBytes });
    return error;
  }

  it("frees what it made when a file cannot be read to its end", async () => {
    const file = fileOf("BF16");
    const cut = bytesSource(file.bytes);
    let reads = 0;
    const readInto = cut.readInto!.bind(cut);
    cut.readInto = (offset, into) => {
      if (++reads === 5) throw new CheckpointError("short-read", "the cable was pulled.");
      return readInto(offset, into);
    };
    const store = await openSafetensors(cut, "x.safetensors");
    const sources = new Map(file.names.map((name) => [name, storedSource(store, name)]));
    const training = { trains: (name: string) => name === "w0" };
    const error = await failure(() =>
      ModelWeights.load(device(), sources, specsOf(sources), training, { sliceBytes: 2048 }),
    );
    expect(error.message).toBe("the cable was pulled.");
  });

  it("names a shard that is cut off before anything is uploaded", async () => {
    const folder = join(work, "cut");
    cpSync(golden("omni/tiny-a"), folder, { recursive: true });
    truncateSync(join(folder, "model.safetensors"), 100_000);
    const { uploadBytes } = device().counters;
    const error = await failure(() => Model.load(device(), folder));
    expect(error).toMatchObject({ code: "truncated-file" });
    expect(error.message).toContain(join(folder, "model.safetensors"));
    expect(device().counters.uploadBytes).toBe(uploadBytes);
  });

  it("names what is no number with a fraction", async () => {
    const data = Int32Array.of(1);
    const bytes = encodeSafetensors([{ name: "q", dtype: "I32", shape: [1], data }]);
    const store = await openSafetensors(bytesSource(bytes), "x.safetensors");
    expect(() => storedSource(store, "q")).toThrow(/x\.safetensors: tensor "q" is I32/);
  });

  it("names the weight that the device has no room for, and what the model needs", async () => {
    const { raw } = device();
    const pop = raw.popErrorScope.bind(raw);
    let scopes = 0;
    // No test can count on a driver to run out of memory: the answer to the third question is ours.
    raw.popErrorScope = async () => {
      const error = await pop();
      return ++scopes === 3 ? ({ message: "out of memory" } as GPUError) : error;
    };
    const training = { trains: (name: string) => name === "visual.merger.mlp.0.weight" };
    const error = await failure(() => Model.load(device(), golden("omni/tiny-a"), training));
    delete (raw as Partial<GPUDevice>).popErrorScope;
    expect(error).toBeInstanceOf(DeviceError);
    expect(error).toMatchObject({ code: "out-of-memory" });
    expect(error.message).toMatch(
      /no room for model\.layers\.0\.self_attn\.q_proj\.weight \(0\.00 GiB\): .* take 0\.00 GiB.*f16s/,
    );
    // The device is as good as before.
    (await Model.load(device(), golden("omni/tiny-a"))).weights.destroy();
  });

  it("keeps tables that are added to rows in f32", async () => {
    const training = { ...FROZEN, storage: "f16s" as const };
    const { weights } = await Model.load(device(), golden("qwen2-audio/tiny-a"), training);
    const typeOf = (name: string) => weights.parameters.get(name)!.value.type;
    expect(typeOf("audio_tower.embed_positions.weight")).toBe("f32");
    expect(typeOf("audio_tower.layers.0.fc1.weight")).toBe("f16s");
    expect(typeOf("model.norm.weight")).toBe("f32");
    weights.destroy();
  });
});

describe("host memory", () => {
  const folder = mkdtempSync(join(tmpdir(), "aubade-stream-"));
  afterAll(() => rmSync(folder, { recursive: true }));

  it("is less than the largest tensor, whatever the storage", async () => {
    // An embedding of 102 MB and nine matrices of 6 MB.
    const bytes = await writeBigCheckpoint(folder, 800_000, 50_000);
    expect(bytes).toBeGreaterThan(150e6);
    for (const storage of ["f16s", "f32"] as const) {
      const { peakExtra, endExtra, gpuBytes, inexact } = await measureLoad(
        folder,
        storage,
        inject("tier"),
      );
      expect(gpuBytes / bytes).toBeCloseTo(storage === "f16s" ? 1 : 2, 2);
      expect(peakExtra / MIB).toBeLessThan(storage === "f16s" ? 80 : 96);
      expect(endExtra / MIB).toBeLessThan(60);
      expect(inexact).toBe(0);
    }
  });
});

describe("new adapters", () => {
  const device = useDevice();

  it("whose rank no matrix has are refused by the name of the layer", async () => {
    const sources = new Map([["mlp.up_proj.weight", arraySource([6, 4], new Float32Array(24))]]);
    const load = (r: number) =>
      ModelWeights.load(device(), sources, specsOf(sources), {
        ...FROZEN,
        adapters: { r, alpha: 8, choose: (layers) => new Set(layers.keys()), seed: 1 },
      });
    await expect(load(7)).rejects.toMatchObject({
      name: "ConfigError",
      code: "rank-too-large",
      message: expect.stringContaining("train.lora.r is 7; mlp.up_proj is a matrix of 6 x 4"),
      hint: expect.stringContaining("at most 4"),
    });
    const weights = await load(6);
    expect(weights.adapters.get("mlp.up_proj")!.a.value.rows).toBe(6);
    weights.destroy();
  });
});
