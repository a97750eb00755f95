import type { TensorNames } from "../../checkpoint/tensor-names.ts";
import type { TensorSpecs } from "../../checkpoint/tensor-specs.ts";
import type { TextConfig } from "../../network/config.ts";
import type { WindowVisionConfig } from "../../network/towers/vision.ts";
import { textTensors } from "../parts/text.ts";
import { visionTensors } from "../parts/window-vision.ts";

/** Returns every tensor that a model of these shapes stores, by its canonical name. */
export function tensors(text: TextConfig, vision: WindowVisionConfig): TensorSpecs {
  return new Map([...textTensors(text), ...visionTensors(vision, { qkv: 3 })]);
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
};
