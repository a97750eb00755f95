import type { ModelConfig } from "../../network/config.ts";
import { type TensorNames, textTensors, visionTensors } from "../../checkpoint/tensor-names.ts";

/** Every tensor that a model of this configuration stores, by its canonical name. */
export function tensors({ text, vision }: ModelConfig): Map<string, number[]> {
  return new Map([...textTensors(text), ...visionTensors(vision!, { qkv: 3 })]);
}

/** The Hub's names, and the module paths of transformers since 4.52, with or without `model.`. */
export const names: TensorNames = {
  stored: (canonical) => canonical,
  canonical(stored) {
    const name = stored.replace(/^model\.(?=visual\.|language_model\.)/, "");
    return name.replace(/^language_model\./, "model.");
  },
  module(canonical) {
    if (canonical.startsWith("visual.")) return `model.${canonical}`;
    return canonical.replace(/^model\./, "model.language_model.");
  },
  unused: [],
};
