import { mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CheckpointError, ShapeError } from "../../src/core/errors.ts";
import { bytesSource } from "../../src/io/byte-source.ts";
import type { SafetensorsDType } from "../../src/checkpoint/safetensors-header.ts";
import { openCheckpoint, openSafetensors } from "../../src/checkpoint/safetensors.ts";
import { encodeSafetensors, writeSafetensors } from "../../src/checkpoint/safetensors-writer.ts";

const golden = new URL("../golden/io/", import.meta.url);
const file = new Uint8Array(await readFile(new URL("small.safetensors", golden)));
const { tensors: expected } = JSON.parse(await readFile(new URL("small.json", golden), "utf8")) as {
  tensors: Record<
    string,
    { dtype: string; shape: number[]; bytes: number[]; f32: (number | null)[] }
  >;
};
const DTYPES: Record<string, SafetensorsDType> = {
  bfloat16: "BF16",
  float16: "F16",
  float32: "F32",
  uint32: "U32",
  int32: "I32",
  int64: "I64",
  uint8: "U8",
};

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "aubade-safetensors-"));
});
afterAll(async () => {
  await rm(folder, { recursive: true });
});

function withHeader(header: string, data: Uint8Array | number): Uint8Array {
  const text = new TextEncoder().encode(header);
  const body = typeof data === "number" ? new Uint8Array(data) : data;
  const bytes = new Uint8Array(8 + text.length + body.length);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(text.length), true);
  bytes.set(text, 8);
  bytes.set(body, 8 + text.length);
  return bytes;
}

const open = (bytes: Uint8Array) => openSafetensors(bytesSource(bytes), "x.safetensors");

describe("reading what Python wrote", () => {
  it("gives every tensor's dtype, shape, bytes and float values", async () => {
    const store = await open(file);
    expect(store.metadata).toEqual({ format: "pt" });
    expect(new Set(store.tensors.keys())).toEqual(new Set(Object.keys(expected)));
    for (const [name, tensor] of Object.entries(expected)) {
      const info = store.tensors.get(name)!;
      expect([info.dtype, info.shape]).toEqual([DTYPES[tensor.dtype], tensor.shape]);
      expect([...(await store.read(name))]).toEqual(tensor.bytes);
      if (!/float/.test(tensor.dtype)) {
        await expect(store.readF32(name)).rejects.toThrow(ShapeError);
        continue;
      }
      const values = [...(await store.readF32(name))];
      expect(values.map((v) => (Number.isFinite(v) ? v : null))).toEqual(tensor.f32);
    }
  });

  it("writes the very bytes that Python wrote", async () => {
    const tensors = Object.entries(expected).map(([name, tensor]) => ({
      name,
      dtype: DTYPES[tensor.dtype]!,
      shape: tensor.shape,
      data: new Uint8Array(tensor.bytes),
    }));
    expect(encodeSafetensors(tensors, { format: "pt" })).toEqual(file);
    const path = join(folder, "streamed.safetensors");
    const lazy = tensors.map((tensor) => ({ ...tensor, data: async () => tensor.data }));
    await writeSafetensors(path, lazy, { format: "pt" });
    expect(new Uint8Array(await readFile(path))).toEqual(file);
    expect(await readdir(folder)).toEqual(["streamed.safetensors"]);
  });

  it("reads a part of a tensor and refuses one beyond its end", async () => {
    const store = await open(file);
    const part = await store.readRange("bytes", 2, 3);
    expect([...part]).toEqual([2, 3, 4]);
    await expect(store.readRange("bytes", 5, 3)).rejects.toThrow(/"bytes" has 7 bytes; 5 to 8/);
    const whole = bytesSource(file);
    const read = (offset: number, length: number) => whole.read(offset, length);
    const plain = { size: whole.size, read };
    for (const each of [store, await openSafetensors(plain, "x.safetensors")]) {
      await each.readInto("bytes", 1, part);
      expect([...part]).toEqual([1, 2, 3]);
      await expect(each.readInto("bytes", 5, part)).rejects.toThrow(/5 to 8 were asked/);
    }
    await expect(store.read("missing")).rejects.toThrow(/no tensor "missing" among its 10/);
  });
});

describe("checkpoint folders", () => {
  it("follows the index over shards and names a shard that lacks its tensor", async () => {
    const shard = (name: string, value: number) =>
      encodeSafetensors([{ name, dtype: "F32", shape: [1], data: Float32Array.of(value) }]);
    const dir = await mkdtemp(join(folder, "shards-"));
    await writeFile(join(dir, "a.safetensors"), shard("x", 1));
    await writeFile(join(dir, "b.safetensors"), shard("y", 2));
    const index = join(dir, "model.safetensors.index.json");
    const writeIndex = (map: Record<string, string>) =>
      writeFile(index, JSON.stringify({ metadata: {}, weight_map: map }));
    await writeIndex({ x: "a.safetensors", y: "b.safetensors" });
    const store = await openCheckpoint(dir);
    expect([...(await store.readF32("x")), ...(await store.readF32("y"))]).toEqual([1, 2]);
    const into = new Float32Array(1);
    await store.readInto("y", 0, new Uint8Array(into.buffer));
    expect(into[0]).toBe(2);
    await store.close();
    await writeIndex({ y: "b.safetensors", x: "b.safetensors", z: "b.safetensors" });
    await expect(openCheckpoint(dir)).rejects.toThrow(
      `${join(dir, "b.safetensors")} has no tensors ["x", "z"] among its 1, but ${index} says so.`,
    );
    for (const place of ["../a.safetensors", "..", ".", "", "/a", "%2e%2e", "a\0", "a?b"]) {
      await writeIndex({ x: place });
      await expect(openCheckpoint(dir)).rejects.toThrow(/no file name/);
    }
    await writeIndex({ x: "c.safetensors", y: "b.safetensors" });
    const part = await openCheckpoint(dir, (name) => name !== "x");
    expect([...part.tensors.keys()]).toEqual(["y"]);
    await part.close();
    await expect(openCheckpoint(dir)).rejects.toThrow(/c\.safetensors \(ENOENT\)/);
    await writeFile(index, '{"weight_map":{"x":"a.safetensors","x":"b.safetensors"}}');
    await expect(openCheckpoint(dir)).rejects.toThrow(/index\.json lists "x" twice/);
    await writeFile(index, Uint8Array.of(0x7b, 0xff, 0x7d));
    await expect(openCheckpoint(dir)).rejects.toThrow(/index\.json is not JSON/);
  });

  it("keeps to the index, and to model.safetensors when both are there", async () => {
    const dir = await mkdtemp(join(folder, "both-"));
    const whole = (names: string[]) =>
      encodeSafetensors(
        names.map((name) => ({ name, dtype: "F32", shape: [], data: new Float32Array(1) })),
      );
    await writeFile(join(dir, "a.safetensors"), whole(["x", "unlisted"]));
    const map = { weight_map: { x: "a.safetensors" } };
    await writeFile(join(dir, "model.safetensors.index.json"), JSON.stringify(map));
    const names = async () => {
      const store = await openCheckpoint(dir);
      await expect(store.read("unlisted")).rejects.toThrow(/no tensor "unlisted" among its 1/);
      await store.close();
      return [...store.tensors.keys()];
    };
    expect(await names()).toEqual(["x"]);
    await writeFile(join(dir, "model.safetensors"), whole(["y"]));
    expect(await names()).toEqual(["y"]);
  });

  it("opens a single file, and says so when there are no weights", async () => {
    const dir = await mkdtemp(join(folder, "single-"));
    await expect(openCheckpoint(dir)).rejects.toThrow(/holds neither model.safetensors/);
    await writeFile(join(dir, "model.safetensors"), file);
    const store = await openCheckpoint(dir);
    expect(store.tensors.size).toBe(10);
    await store.close();
  });
});

describe("damaged files", () => {
  const f32 = (begin: number, end: number, shape = [(end - begin) / 4]) =>
    JSON.stringify({ dtype: "F32", shape, data_offsets: [begin, end] });
  const deepDtype = (levels: number) =>
    withHeader(`{"a":{"dtype":${"[".repeat(levels)}${"]".repeat(levels)}}}`, 0);
  const cases: [name: string, bytes: Uint8Array, code: string, message: RegExp][] = [
    ["seven bytes", new Uint8Array(7), "truncated-file", /7 bytes/],
    ["a header beyond the limit", new Uint8Array(8).fill(255), "header-too-large", /announces/],
    ["a header beyond the file", withHeader("{}", 0).subarray(0, 9), "truncated-file", /needs 10/],
    ["a header that is no JSON", withHeader("{]", 0), "bad-header", /not JSON/],
    ["a header that is a list", withHeader("[]", 0), "bad-header", /not an object/],
    [
      "an overlap",
      withHeader(`{"a":${f32(0, 8)},"b":${f32(4, 12)}}`, 12),
      "tensor-layout",
      /"b" o/,
    ],
    [
      "a gap",
      withHeader(`{"a":${f32(0, 4)},"b":${f32(8, 12)}}`, 12),
      "tensor-layout",
      /"b" leaves/,
    ],
    ["bytes left over", withHeader(`{"a":${f32(0, 4)}}`, 5), "tensor-layout", /1 bytes after/],
    ["a tensor cut short", withHeader(`{"a":${f32(0, 8)}}`, 7), "truncated-file", /"a" lies at/],
    ["a wrong size", withHeader(`{"a":${f32(0, 8, [3])}}`, 8), "bad-shape", /needs 12 bytes/],
    ["a fractional shape", withHeader(`{"a":${f32(0, 6)}}`, 6), "bad-shape", /1\.5/],
    ["an overflow", withHeader(`{"a":${f32(0, 8, [2 ** 52, 2 ** 52])}}`, 8), "bad-shape", /needs/],
    [
      "a name twice",
      withHeader(`{"a":${f32(0, 4)},"\\u0061":${f32(0, 4)}}`, 4),
      "duplicate-name",
      /"a"/,
    ],
    ["an unknown dtype", withHeader(`{"a":{"dtype":"F33"}}`, 0), "unknown-dtype", /F33/],
    ["an inherited dtype", withHeader(`{"a":{"dtype":"toString"}}`, 0), "unknown-dtype", /toS/],
    ["reversed offsets", withHeader(`{"a":${f32(8, 4, [])}}`, 8), "truncated-file", /8 to 4/],
    ["a deep dtype", deepDtype(50_000), "bad-header", /more than 64 levels/],
    ["a dtype of lists", deepDtype(40), "unknown-dtype", /the unknown dtype \[\[\.\.\.\]\]/],
    [
      "an overflow before a zero",
      withHeader(`{"a":${f32(0, 0, [2 ** 52, 2 ** 52, 0])}}`, 0),
      "bad-shape",
      /needs/,
    ],
    [
      "a field twice",
      withHeader(`{"a":{"dtype":"U8","dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, 4),
      "duplicate-name",
      /lists "dtype" twice/,
    ],
    ["a minus zero", withHeader(`{"a":{"dtype":"U8","shape":[-0]}}`, 0), "bad-shape", /"a"/],
    ["metadata of numbers", withHeader(`{"__metadata__":{"a":1}}`, 0), "bad-header", /strings/],
  ];
  it.each(cases)("%s ends in a clear error", async (_, bytes, code, message) => {
    const error = await open(bytes).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(CheckpointError);
    expect(error).toMatchObject({ code, message: expect.stringMatching(message) });
    expect((error as Error).message).toContain("x.safetensors");
  });
});

it("refuses to write a tensor whose data do not fit its shape, and leaves nothing behind", async () => {
  const path = join(folder, "bad.safetensors");
  const bad = { name: "a", dtype: "F32", shape: [3], data: () => new Float32Array(2) } as const;
  await expect(writeSafetensors(path, [bad])).rejects.toThrow(/"a" of F32 \[3\] needs 12 bytes/);
  expect((await readdir(folder)).filter((name) => name.startsWith("bad"))).toEqual([]);
  expect(() => encodeSafetensors([bad, bad].map((t) => ({ ...t, data: t.data() })))).toThrow(
    /"a" comes twice/,
  );
});
