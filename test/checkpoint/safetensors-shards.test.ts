import { mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { fromBf16, fromF16, toBf16, toF16 } from "../../src/core/dtype.ts";
import { openCheckpoint } from "../../src/checkpoint/safetensors.ts";
import {
  shardName,
  splitShards,
  type TensorToSave,
  writeShards,
} from "../../src/checkpoint/safetensors-shards.ts";
import { encodeSafetensors } from "../../src/checkpoint/safetensors-writer.ts";
import { runPython } from "../helpers/python.ts";
import { randomF32 } from "../helpers/random-data.ts";

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "aubade-shards-"));
});
afterAll(async () => {
  await rm(root, { recursive: true });
});
const newFolder = async () => join(await mkdtemp(join(root, "save-")), "weights");
const INDEX = "model.safetensors.index.json";

/** A tensor whose slices have `step` values and all lie in one array, which is overwritten. */
function inSlices(name: string, shape: number[], values: Float32Array, step: number): TensorToSave {
  return {
    name,
    shape,
    async *slices() {
      const room = new Float32Array(step);
      for (let at = 0; at < values.length; at += step) {
        const part = values.subarray(at, at + step);
        room.fill(NaN).set(part);
        yield room.subarray(0, part.length);
      }
    },
  };
}

const SHAPES: [name: string, shape: number[]][] = [
  ["embed.weight", [20, 8]],
  ["b.weight", [3, 4]],
  ["a.bias", [5]],
  ["scalar", []],
  ["empty", [0, 4]],
  ["a.weight", [4, 9]],
  ["b.bias", [7]],
];
const values = new Map(
  SHAPES.map(([name, shape], i) => [
    name,
    randomF32(
      shape.reduce((p, n) => p * n, 1),
      i + 1,
    ),
  ]),
);
const tensors = SHAPES.map(([name, shape], i) => inSlices(name, shape, values.get(name)!, i + 1));

const HELD = {
  F32: (value: number) => value,
  F16: (value: number) => fromF16(toF16(value)),
  BF16: (value: number) => fromBf16(toBf16(value)),
};

describe("the division among files", () => {
  it("is that of huggingface_hub, names too", async () => {
    const golden = new URL("../golden/io/shards.json", import.meta.url);
    const { cases } = JSON.parse(await readFile(golden, "utf8")) as {
      cases: { limit: number; sizes: number[]; files: Record<string, number[]> }[];
    };
    expect(cases.length).toBeGreaterThan(50);
    for (const { limit, sizes, files } of cases) {
      const shards = splitShards([...sizes.keys()], (i) => sizes[i]!, limit);
      // A single file lists its tensors in order, whichever way they came into it.
      const entries = shards.map((shard, i) => [shardName(i, shards.length), shard] as const);
      expect(Object.fromEntries(entries)).toEqual(files);
    }
  });
});

describe.each(["F32", "F16", "BF16"] as const)("saving as %s", (dtype) => {
  const bytesOf = dtype === "F32" ? 4 : 2;
  const total = [...values.values()].reduce((sum, { length }) => sum + length * bytesOf, 0);
  let inexact = 0;
  for (const tensor of values.values()) {
    for (const value of tensor) if (HELD[dtype](value) !== value) inexact++;
  }

  it.each([
    ["one file", undefined, ["model.safetensors"]],
    [
      "shards",
      80 * bytesOf,
      [
        "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
        "model.safetensors.index.json",
      ],
    ],
  ])("reads back from %s", async (_, maxShardBytes, files) => {
    const folder = await newFolder();
    const options = maxShardBytes === undefined ? { dtype } : { dtype, maxShardBytes };
    const saved = await writeShards(folder, tensors, options);
    expect(saved).toEqual({ files, bytes: total, inexact, overflow: 0 });
    expect((await readdir(folder)).sort()).toEqual(files);
    const store = await openCheckpoint(folder);
    expect(store.metadata).toEqual({ format: "pt" });
    for (const [name, shape] of SHAPES) {
      expect(store.tensors.get(name)).toMatchObject({ dtype, shape });
      expect(await store.readF32(name)).toEqual(values.get(name)!.map(HELD[dtype]));
    }
    await store.close();
  });
});

describe("one file", () => {
  it("has the bytes of encodeSafetensors", async () => {
    const folder = await newFolder();
    await writeShards(folder, tensors, { dtype: "F32", metadata: { a: "b" } });
    const whole = SHAPES.map(([name, shape]) => {
      return { name, dtype: "F32", shape, data: values.get(name)! } as const;
    });
    const file = new Uint8Array(await readFile(join(folder, "model.safetensors")));
    expect(file).toEqual(encodeSafetensors(whole, { a: "b" }));
  });

  it("may hold nothing", async () => {
    const folder = await newFolder();
    const saved = await writeShards(folder, [], { dtype: "F16" });
    expect(saved).toEqual({ files: ["model.safetensors"], bytes: 0, inexact: 0, overflow: 0 });
    const store = await openCheckpoint(folder);
    expect(store.tensors.size).toBe(0);
    await store.close();
  });

  it("converts a slice that is longer than a step of the conversion", async () => {
    const long = Float32Array.from({ length: 2 ** 21 + 3 }, (_, i) => i % 5003);
    const folder = await newFolder();
    const tensor = { name: "long", shape: [long.length], slices: () => [long] };
    const { inexact } = await writeShards(folder, [tensor], { dtype: "BF16" });
    const store = await openCheckpoint(folder);
    const back = await store.readF32("long");
    await store.close();
    let changed = 0;
    for (let i = 0; i < long.length; i++) {
      if (back[i] !== HELD.BF16(long[i]!)) throw new Error(`${i} became ${back[i]}`);
      if (back[i] !== long[i]) changed++;
    }
    expect(inexact).toBe(changed);
  });
});

describe("the counts", () => {
  it("tell what became infinite, and do not count infinities and NaN", async () => {
    const tensor = {
      name: "x",
      shape: [7],
      slices: () => [Float32Array.of(65519, 65520, -1e9, 1, Infinity, NaN, 3.4e38)],
    };
    const save = async (dtype: "F32" | "F16" | "BF16") =>
      writeShards(await newFolder(), [tensor], { dtype });
    expect(await save("F16")).toMatchObject({ inexact: 4, overflow: 3 });
    expect(await save("BF16")).toMatchObject({ inexact: 4, overflow: 1 });
    expect(await save("F32")).toMatchObject({ inexact: 0, overflow: 0 });
  });
});

describe("an earlier save", () => {
  const bytes = { F32: 4, F16: 2 };
  const save = (folder: string, parts: number, dtype: "F32" | "F16" = "F32") => {
    const list = Array.from({ length: parts }, (_, i) =>
      inSlices(`t${i}`, [4], values.get("b.weight")!.subarray(i, i + 4), 3),
    );
    return writeShards(folder, list, { dtype, maxShardBytes: 4 * bytes[dtype] });
  };

  it("is gone with all its files after a save in another number of files", async () => {
    const folder = await newFolder();
    for (const parts of [1, 3, 2, 1, 3, 3]) {
      const { files } = await save(folder, parts);
      await writeFile(join(folder, "config.json"), "{}");
      await writeFile(join(folder, "model-00001-of-00009.safetensors.part"), "cut off");
      await writeFile(join(folder, "model-extra.safetensors"), "not ours");
      const again = await save(folder, parts, "F16");
      expect(again.files).toEqual(files);
      const others = ["config.json", "model-extra.safetensors"];
      expect((await readdir(folder)).sort()).toEqual([...files, ...others].sort());
      const store = await openCheckpoint(folder);
      expect([...store.tensors.values()].map(({ dtype }) => dtype)).toEqual(
        Array(parts).fill("F16"),
      );
      await store.close();
    }
  });

  it("stays as it was when a new one fails", async () => {
    const folder = await newFolder();
    await save(folder, 3);
    const before = (await readdir(folder)).sort();
    const contents = await Promise.all(before.map((name) => readFile(join(folder, name))));
    const good = inSlices("a", [4], new Float32Array(4), 2);
    const wrong: [TensorToSave[], RegExp][] = [
      [[good, inSlices("b", [4], new Float32Array(3), 2)], /"b" of \[4\] has 4 .* give 3/],
      [[good, inSlices("b", [4], new Float32Array(5), 2)], /"b" of \[4\] has 4 .* give more/],
      [[good, good], /"a" comes twice/],
      [[good, { ...good, name: "b", slices: breaking }], /the source broke/],
    ];
    for (const [list, message] of wrong) {
      const options = { dtype: "F32", maxShardBytes: 16 } as const;
      await expect(writeShards(folder, list, options)).rejects.toThrow(message);
      expect((await readdir(folder)).sort()).toEqual(before);
      for (const [i, name] of before.entries()) {
        expect((await readFile(join(folder, name))).equals(contents[i]!)).toBe(true);
      }
    }
  });
});

function* breaking(): Generator<Float32Array> {
  yield new Float32Array(2);
  throw new Error("the source broke");
}

/** Loads a folder as transformers does, and each file with the safetensors library. */
const READER = `
import json, os, sys
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from transformers.modeling_utils import load_sharded_checkpoint
folder = sys.argv[1]
index = json.load(open(os.path.join(folder, "${INDEX}")))
tensors, same = {}, True
for file in sorted(set(index["weight_map"].values())):
    path = os.path.join(folder, file)
    with safe_open(path, "pt") as f:
        part = {name: f.get_tensor(name) for name in f.keys()}
        metadata = f.metadata()
    assert all(index["weight_map"][name] == file for name in part)
    tensors |= part
    save_file(part, path + ".again", metadata=metadata)
    same &= open(path, "rb").read() == open(path + ".again", "rb").read()
assert tensors.keys() == index["weight_map"].keys()
class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        for name, value in tensors.items():
            self.register_parameter(name.replace(".", "_"), torch.nn.Parameter(torch.zeros_like(value)))
    def load_state_dict(self, state, strict):
        return super().load_state_dict({n.replace(".", "_"): v for n, v in state.items()}, strict)
    def state_dict(self, **kw):
        names = {n.replace(".", "_"): n for n in tensors}
        return {names.get(n, n): v for n, v in super().state_dict(**kw).items()}
model = Model()
load_sharded_checkpoint(model, folder)
loaded = model.state_dict()
text = json.dumps(index, indent=2, sort_keys=True) + "\\n"
print(json.dumps({
    "same": same,
    "index": text == open(os.path.join(folder, "${INDEX}")).read(),
    "metadata": index["metadata"],
    "values": {name: loaded[name].float().flatten().tolist() for name in tensors},
    "rounded": all(torch.equal(loaded[n], tensors[n]) for n in tensors),
}))
`;

describe("Python", () => {
  it(
    "loads the shards by their index, and writes the same bytes",
    { timeout: 180_000 },
    async () => {
      const folder = await newFolder();
      const { bytes } = await writeShards(folder, tensors, { dtype: "BF16", maxShardBytes: 160 });
      const modules = ["torch", "safetensors", "transformers"];
      const printed = await runPython(READER, [folder], modules);
      if (printed === undefined) return;
      const read = JSON.parse(printed.trim().split("\n").at(-1)!) as {
        values: Record<string, number[]>;
      };
      const elements = bytes / 2;
      expect(read).toMatchObject({
        same: true,
        index: true,
        rounded: true,
        metadata: { total_size: bytes, total_parameters: elements },
      });
      for (const [name, list] of values) {
        expect(read.values[name]).toEqual([...list].map(HELD.BF16));
      }
    },
  );
});
