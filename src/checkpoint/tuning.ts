import { ConfigError } from "../core/errors.ts";

/** Which parts of the model train, in the words of Qwen's own fine-tuning scripts. */
export interface TuningGroups {
  /** Decoder, embedding and head. */
  tune_mm_llm: boolean;
  /** Vision tower without its merger. */
  tune_mm_vision: boolean;
  /** Audio tower without its projection. */
  tune_mm_audio: boolean;
  /** What joins a tower to the decoder: the vision merger and the audio projection. */
  tune_mm_mlp: boolean;
  /** Names that stay frozen besides; `*` stands for any characters. */
  freeze: readonly string[];
}

/** The group that a canonical parameter name belongs to. */
export function tuningGroup(name: string): Exclude<keyof TuningGroups, "freeze"> {
  if (/^(visual\.merger|audio_tower\.(ln_post|proj)|multi_modal_projector)\./.test(name)) {
    return "tune_mm_mlp";
  }
  if (name.startsWith("visual.")) return "tune_mm_vision";
  return name.startsWith("audio_tower.") ? "tune_mm_audio" : "tune_mm_llm";
}

/** True when a name is the pattern's, in which `*` stands for any characters. */
function matches(name: string, pattern: string): boolean {
  const parts = pattern.split("*").map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`^${parts.join(".*")}$`).test(name);
}

/**
 * Tables of the audio towers that never train: the ends of sound, which no forward pass uses, and
 * positions, which transformers keeps frozen.
 */
const FIXED = ["audio_tower.audio_bos_eos_token", "audio_tower.embed_positions"];

/** True when a parameter trains under these groups and freeze patterns. */
export function trains(name: string, groups: TuningGroups): boolean {
  if (!groups[tuningGroup(name)]) return false;
  if (FIXED.some((table) => name === `${table}.weight`)) return false;
  return !groups.freeze.some((pattern) => matches(name, pattern));
}

/**
 * True for weights that stay f32 however frozen matrices are stored, because kernels read them as
 * f32: vectors (norms, biases), and tables that are added to rows instead of multiplied with them.
 */
export function staysF32(name: string, shape: readonly number[]): boolean {
  return shape.length < 2 || FIXED.some((table) => name === `${table}.weight`);
}

/** Matrices that take no adapter: tables, which are no linear layers, and the head. */
const TABLES = ["model.embed_tokens", "lm_head", ...FIXED];

/** True for a matrix that is no linear layer with room for an adapter: a table, or the head. */
export function isTable(layer: string): boolean {
  return TABLES.includes(layer);
}

/**
 * The linear layers that get an adapter: those that a target names, in the parts that train.
 *
 * A target is the end of a layer's name, at a dot (PEFT's rule), or a pattern of the whole name in
 * which `*` stands for any characters. The one word `all-linear` (PEFT's) names every linear layer;
 * the head is none.
 *
 * @param layers names of all matrices without `.weight`, in the order of the model.
 * @throws {ConfigError} `no-such-layer` for a target that names none, `no-adapter` when all layers
 *   that are named lie in parts that do not train.
 */
export function adapterLayers(
  layers: readonly string[],
  targets: readonly string[] | "all-linear",
  groups: TuningGroups,
): Set<string> {
  const linear = layers.filter((layer) => !isTable(layer));
  const named = new Set<string>(targets === "all-linear" ? linear : []);
  for (const target of targets === "all-linear" ? [] : targets) {
    const found = linear.filter((layer) =>
      target.includes("*") ? matches(layer, target) : `.${layer}`.endsWith(`.${target}`),
    );
    if (found.length === 0) {
      throw new ConfigError(
        "no-such-layer",
        `train.lora.target_modules names "${target}", and the model has no such linear layer.`,
        { hint: `Its layers end in ${lastParts(linear).join(", ")}.` },
      );
    }
    for (const layer of found) named.add(layer);
  }
  const chosen = linear.filter((layer) => named.has(layer) && trains(`${layer}.weight`, groups));
  if (chosen.length > 0) return new Set(chosen);
  throw new ConfigError(
    "no-adapter",
    "every layer that train.lora.target_modules names lies in a part that does not train.",
    { hint: "Set train.tune_mm_llm, _vision, _audio or _mlp to true for the parts that are to." },
  );
}

function lastParts(layers: readonly string[]): string[] {
  const names = layers.map((layer) => layer.split(".").at(-1)!);
  return [...new Set(names)].filter((name) => !/^\d+$/.test(name));
}
