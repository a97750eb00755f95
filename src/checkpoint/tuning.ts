import { ConfigError } from "../core/errors.ts";
import type { TensorSpec, TensorSpecs } from "./tensor-specs.ts";

/** Which parts of the model train, in the words of Qwen's own fine-tuning scripts. */
export interface TuningGroups {
  /** Decoder, embedding and head. */
  tune_mm_llm: boolean;
  /** Vision tower without its merger. */
  tune_mm_vision: boolean;
  /** Audio tower without its projection. */
  tune_mm_audio: boolean;
  /** The layers that join a tower to the decoder: the vision merger and the audio projection. */
  tune_mm_mlp: boolean;
  /** Names that stay frozen besides; `*` stands for any characters. */
  freeze: readonly string[];
}

/** The group of each part of a model. */
const GROUPS = {
  decoder: "tune_mm_llm",
  vision: "tune_mm_vision",
  audio: "tune_mm_audio",
} as const satisfies Record<TensorSpec["part"], keyof TuningGroups>;

/** Returns the group that a tensor belongs to. */
export function tuningGroup({ part, joins }: TensorSpec): Exclude<keyof TuningGroups, "freeze"> {
  return joins ? "tune_mm_mlp" : GROUPS[part];
}

/** Tells whether a name is the pattern's, in which `*` stands for any characters. */
function matches(name: string, pattern: string): boolean {
  const parts = pattern.split("*").map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`^${parts.join(".*")}$`).test(name);
}

/** Tells whether a tensor trains under these groups and freeze patterns. */
export function trains(name: string, spec: TensorSpec, groups: TuningGroups): boolean {
  if (!groups[tuningGroup(spec)] || spec.fixed || spec.unused) return false;
  return !groups.freeze.some((pattern) => matches(name, pattern));
}

/**
 * Returns the linear layers that get an adapter: those that a target names, in the parts that
 * train.
 *
 * A target is the end of a layer's name, at a dot (PEFT's rule), or a pattern of the whole name in
 * which `*` stands for any characters. The one word `all-linear` (PEFT's) names every linear layer;
 * the head is none.
 *
 * @param layers all linear layers by their name without `.weight`, in the order of the model.
 * @throws {ConfigError} `no-such-layer` for a target that names none, `no-adapter` when all layers
 *   that are named lie in parts that do not train.
 */
export function adapterLayers(
  layers: TensorSpecs,
  targets: readonly string[] | "all-linear",
  groups: TuningGroups,
): Set<string> {
  const linear = [...layers.keys()];
  const named = new Set<string>(targets === "all-linear" ? linear : []);
  for (const target of targets === "all-linear" ? [] : targets) {
    const found = linear.filter((layer) =>
      target.includes("*") ? matches(layer, target) : `.${layer}`.endsWith(`.${target}`),
    );
    if (found.length === 0) {
      throw new ConfigError(
        "no-such-layer",
        `target_modules names "${target}", and the model has no such linear layer.`,
        { hint: `Its layers end in ${lastParts(linear).join(", ")}.` },
      );
    }
    for (const layer of found) named.add(layer);
  }
  const chosen = [...layers].filter(
    ([layer, spec]) => named.has(layer) && trains(`${layer}.weight`, spec, groups),
  );
  if (chosen.length > 0) return new Set(chosen.map(([layer]) => layer));
  throw new ConfigError(
    "no-adapter",
    "every layer that target_modules names lies in a part that does not train.",
    { hint: "Set tune_mm_llm, _vision, _audio or _mlp to true for the parts that are to." },
  );
}

function lastParts(layers: readonly string[]): string[] {
  const names = layers.map((layer) => layer.split(".").at(-1)!);
  return [...new Set(names)].filter((name) => !/^\d+$/.test(name));
}
