import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { writeSafetensors, type TensorToWrite } from "../../src/checkpoint/safetensors-writer.ts";
import { readAdapters } from "../../src/checkpoint/adapter-folder.ts";
import { parseModelConfig } from "../../src/families/registry.ts";

const root = fileURLToPath(new URL("../golden/", import.meta.url));

/** How adapters of a layer are spelled by PEFT over several versions and classes of transformers. */
const SPELLINGS: Record<string, Record<string, string[]>> = {
  omni: {
    "model.layers.0.self_attn.q_proj": [
      "model.layers.0.self_attn.q_proj",
      "thinker.model.layers.0.self_attn.q_proj",
    ],
    "visual.blocks.1.attn.q": ["visual.blocks.1.attn.q", "thinker.visual.blocks.1.attn.q"],
  },
  vl: {
    "model.layers.0.self_attn.q_proj": [
      "model.layers.0.self_attn.q_proj",
      "model.language_model.layers.0.self_attn.q_proj",
    ],
    "visual.merger.mlp.2": ["visual.merger.mlp.2", "model.visual.merger.mlp.2"],
  },
  "qwen2-audio": {
    "model.layers.2.mlp.up_proj": [
      "language_model.model.layers.2.mlp.up_proj",
      "model.language_model.layers.2.mlp.up_proj",
    ],
    "audio_tower.layers.0.fc2": ["audio_tower.layers.0.fc2", "model.audio_tower.layers.0.fc2"],
    "multi_modal_projector.linear": ["model.multi_modal_projector.linear"],
  },
};

describe("adapters of a file", () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "aubade-adapter-"));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  async function family(name: string) {
    const text = await readFile(join(root, name, "tiny-a/config.json"), "utf8");
    return parseModelConfig(text);
  }

  const factors = (module: string, a: number[], b: number[], suffix = ""): TensorToWrite[] =>
    [["A", a] as const, ["B", b] as const].map(([letter, shape]) => ({
      name: `base_model.model.${module}.lora_${letter}${suffix}.weight`,
      dtype: "F32",
      shape,
      data: new Float32Array(shape.reduce((x, y) => x * y)).fill(letter === "A" ? 1 : 2),
    }));

  const read = async (name: string, tensors: TensorToWrite[]) => {
    await writeSafetensors(join(folder, "adapter_model.safetensors"), tensors);
    return readAdapters(folder, await family(name), 2);
  };

  it.each(Object.keys(SPELLINGS))("%s: every spelling of a module is its layer", async (name) => {
    const { tensors } = await family(name);
    for (const [layer, spellings] of Object.entries(SPELLINGS[name]!)) {
      const [outputs, inputs] = tensors.get(`${layer}.weight`)!.shape as [number, number];
      for (const module of spellings) {
        for (const part of ["", ".default"]) {
          const found = await read(name, factors(module, [2, inputs], [outputs, 2], part));
          expect([...found.keys()], module).toEqual([layer]);
          expect(found.get(layer)!.a[0]).toBe(1);
          expect(found.get(layer)!.b).toHaveLength(2 * outputs);
        }
      }
    }
  });

  it("is refused by name where it has no place", async () => {
    const refused = async (tensors: TensorToWrite[], message: RegExp) =>
      expect(read("vl", tensors)).rejects.toMatchObject({
        code: "bad-adapter",
        message: expect.stringMatching(message) as string,
      });
    await refused(factors("lm_head", [2, 64], [160, 2]), /lm_head, which takes no adapter here/);
    await refused(factors("model.layers.9.mlp.up_proj", [2, 64], [100, 2]), /no layer of the/);
    const conv = factors("model.visual.patch_embed.proj", [2, 3], [48, 2]);
    await refused(conv, /visual.patch_embed.proj, which takes no adapter here/);
    const q = "layers.0.self_attn.q_proj";
    const twice = [`model.language_model.${q}`, `model.${q}`];
    await refused(
      twice.flatMap((module) => factors(module, [2, 64], [64, 2])),
      /second adapter on model.layers.0.self_attn.q_proj/,
    );
    const [a, b] = factors(`model.${q}`, [2, 64], [64, 2]);
    await refused([a!], /it has no ".*lora_B.weight"/);
    await refused([{ ...a!, name: "base_model.model.lm_head.weight" }, b!], /no factor of an/);
  });

  it("a talker's layers are none of the thinker's", async () => {
    const talker = factors("talker.model.layers.0.self_attn.q_proj", [2, 64], [64, 2]);
    await expect(read("omni", talker)).rejects.toMatchObject({ code: "bad-adapter" });
  });
});
