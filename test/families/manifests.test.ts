import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import type { FamilyModel } from "../../src/families/family.ts";
import { parseModelConfig } from "../../src/families/registry.ts";
import { matchTensors } from "../../src/checkpoint/match-tensors.ts";
import { releasedModels, respell, spellings, type ReleasedModel } from "../helpers/manifests.ts";

const models = releasedModels();
const configOf = ({ configPath }: ReleasedModel) =>
  parseModelConfig(readFileSync(configPath, "utf8"), configPath);
const shapesOf = (tensors: ReadonlyMap<string, number[]>) =>
  new Map([...tensors].map(([name, shape]) => [name, { shape }]));
const match = (config: FamilyModel, stored: ReadonlyMap<string, number[]>) =>
  matchTensors(config, shapesOf(stored), "released");
const elements = (shapes: Iterable<readonly number[]>) =>
  [...shapes].reduce((sum, shape) => sum + shape.reduce((a, b) => a * b, 1), 0);

/** Counts of tensors and of their elements, as in docs/models.md#parameter-counts. */
const RELEASED: Record<string, [tensors: number, weights: number]> = {
  "Qwen2.5-Omni-3B": [1442, 4_703_464_448],
  "Qwen2.5-Omni-7B": [1346, 8_931_813_888],
  "Qwen2.5-VL-3B-Instruct": [824, 3_754_622_976],
  "Qwen2.5-VL-7B-Instruct": [729, 8_292_166_656],
  "Qwen2.5-VL-32B-Instruct": [1161, 33_452_718_336],
  "Qwen2.5-VL-72B-Instruct": [1353, 73_410_777_344],
  "Qwen2-Audio-7B-Instruct": [876, 8_397_094_912],
};

it("every released size has a manifest", () => {
  expect(models.map(({ name }) => name).sort()).toEqual(Object.keys(RELEASED).sort());
});

describe.each(models)("$name", (model) => {
  const config = configOf(model);

  it("its tensors are those that config.json asks for, name by name and shape by shape", () => {
    const matched = match(config, model.tensors);
    expect(new Set(matched.values())).toEqual(new Set(model.tensors.keys()));
    expect([model.tensors.size, elements(model.tensors.values())]).toEqual(RELEASED[model.name]);
  });

  it("stores every tensor under the name that it is saved by", () => {
    for (const [canonical, stored] of match(config, model.tensors)) {
      if (canonical === "lm_head.weight" && stored.includes("embed_tokens")) continue;
      expect(config.family.names.stored(canonical)).toBe(stored);
    }
  });

  it("a checkpoint with one layer less is refused by the names of its tensors", () => {
    const last = config.text.layers - 1;
    const fewer = new Map([...model.tensors].filter(([name]) => !name.includes(`.${last}.mlp.`)));
    expect(fewer.size).toBeLessThan(model.tensors.size);
    expect(() => match(config, fewer)).toThrow(/is missing/);
  });
});

describe("other spellings of tensor names", () => {
  const folders: Record<string, RegExp> = {
    "qwen2-5-omni": /Omni/,
    "qwen2-5-vl": /VL/,
    "qwen2-audio": /Audio/,
  };
  for (const spelling of spellings()) {
    it(`${spelling.family} as ${spelling.writtenBy} writes them`, () => {
      const its = models.filter(({ name }) => folders[spelling.family]!.test(name));
      expect(its.length).toBeGreaterThan(0);
      for (const model of its) {
        const respelt = new Map(
          [...model.tensors].map(([name, shape]) => [respell(name, spelling), shape]),
        );
        const config = configOf(model);
        const usual = match(config, model.tensors);
        for (const [canonical, stored] of match(config, respelt)) {
          expect(stored).toBe(respell(usual.get(canonical)!, spelling));
        }
      }
    });
  }
});
