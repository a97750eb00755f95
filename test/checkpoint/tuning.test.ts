import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { parseModelConfig } from "../../src/families/registry.ts";
import { takesAdapter } from "../../src/checkpoint/tensor-specs.ts";
import {
  adapterLayers,
  trains,
  tuningGroup,
  type TuningGroups,
} from "../../src/checkpoint/tuning.ts";

const file = new URL("../golden/omni/tiny-a/config.json", import.meta.url);
const { tensors } = parseModelConfig(readFileSync(file, "utf8"));
const linear = [...tensors].filter(([name, spec]) => takesAdapter(name, spec));
const layers = new Map(linear.map(([name, spec]) => [name.slice(0, -".weight".length), spec]));
const trained = (name: string, groups: TuningGroups) => trains(name, tensors.get(name)!, groups);

const NONE: TuningGroups = {
  ...{ tune_mm_llm: false, tune_mm_vision: false, tune_mm_audio: false, tune_mm_mlp: false },
  freeze: [],
};
const ALL: TuningGroups = {
  ...{ tune_mm_llm: true, tune_mm_vision: true, tune_mm_audio: true, tune_mm_mlp: true },
  freeze: [],
};

describe("tuning groups", () => {
  it("cover every weight, each alone", () => {
    const counts: Record<string, number> = {};
    for (const [name, spec] of tensors) {
      const group = tuningGroup(spec);
      counts[group] = (counts[group] ?? 0) + 1;
      const unused = name === "audio_tower.audio_bos_eos_token.weight";
      expect(trained(name, { ...NONE, [group]: true }), name).toBe(!unused);
      expect(trained(name, { ...ALL, [group]: false }), name).toBe(false);
    }
    expect(Object.keys(counts).sort()).toEqual([
      "tune_mm_audio",
      "tune_mm_llm",
      "tune_mm_mlp",
      "tune_mm_vision",
    ]);
    // Merger: a norm and two linear layers; audio: a norm and one.
    expect(counts["tune_mm_mlp"]).toBe(1 + 4 + 2 + 2);
  });

  it("freeze patterns name whole names", () => {
    const groups = { ...ALL, freeze: ["model.layers.0.*", "*.bias"] };
    expect(trained("model.layers.0.mlp.up_proj.weight", groups)).toBe(false);
    expect(trained("visual.blocks.0.attn.q.bias", groups)).toBe(false);
    expect(trained("model.layers.1.mlp.up_proj.weight", groups)).toBe(true);
    expect(trained("audio_tower.layers.0.fc1.weight", groups)).toBe(true);
  });
});

describe("layers that get an adapter", () => {
  const chosen = (targets: string[], groups = ALL) => [...adapterLayers(layers, targets, groups)];

  it("are named by the end of their name at a dot, in decoder and towers", () => {
    const q = chosen(["q_proj"]);
    expect(q).toContain("model.layers.0.self_attn.q_proj");
    expect(q).toContain("audio_tower.layers.0.self_attn.q_proj");
    expect(chosen(["proj"])).not.toContain("model.layers.0.self_attn.o_proj");
    expect(chosen(["mlp.0", "audio_tower.proj"])).toEqual([
      "visual.merger.mlp.0",
      "audio_tower.proj",
    ]);
  });

  it("or by a pattern of the whole name", () => {
    expect(chosen(["model.layers.*.mlp.*"])).toHaveLength(3 * 3);
    expect(chosen(["model.layers.1.*"])).toHaveLength(7);
  });

  it("lie in parts that train and are not frozen by name", () => {
    const decoder = chosen(["q_proj", "k_proj"], { ...NONE, tune_mm_llm: true });
    expect(decoder.every((layer) => layer.startsWith("model.layers."))).toBe(true);
    expect(decoder).toHaveLength(2 * 3);
    const groups = { ...ALL, freeze: ["model.layers.0.*"] };
    expect(chosen(["gate_proj"], groups)).not.toContain("model.layers.0.mlp.gate_proj");
  });

  it("are all of them for all-linear, as far as they train", () => {
    expect([...adapterLayers(layers, "all-linear", ALL)]).toEqual(chosen(["*"]));
    const decoder = [...adapterLayers(layers, "all-linear", { ...NONE, tune_mm_llm: true })];
    expect(decoder).toHaveLength(3 * 7);
    expect(decoder).not.toContain("lm_head");
  });

  it("are never tables; what names nothing is an error with what there is", () => {
    expect(chosen(["*"])).toHaveLength(layers.size);
    for (const target of ["embed_tokens", "lm_head", "Q_PROJ", "roj"]) {
      expect(() => chosen([target]), target).toThrow(
        new RegExp(`names "${target}".*Its layers end in q_proj, k_proj`),
      );
    }
    expect(() => chosen(["fc1"], { ...NONE, tune_mm_llm: true })).toThrow(/does not train/);
  });
});
