import type { ModelConfig } from "../../network/config.ts";
import {
  layerNormTensors,
  linearTensors,
  type TensorNames,
  textTensors,
  whisperTensors,
} from "../../checkpoint/tensor-names.ts";

/** The table of positions of the audio tower; transformers keeps it frozen. */
export const POSITIONS = "audio_tower.embed_positions.weight";

/** Every tensor that a model of this configuration stores, by its canonical name. */
export function tensors({ text, audio }: ModelConfig): Map<string, number[]> {
  const { width, outputDim, maxFrames } = audio!;
  return new Map([
    ...whisperTensors(audio!),
    [POSITIONS, [maxFrames / 2, width]],
    ...layerNormTensors("audio_tower.layer_norm", width),
    ...linearTensors("multi_modal_projector.linear", outputDim, width),
    ...textTensors(text),
  ]);
}

/** The Hub's names, in which the decoder is a model inside, and those of transformers 5. */
export const names: TensorNames = {
  stored: (canonical) => canonical.replace(/^(?=model\.|lm_head\.)/, "language_model."),
  canonical(stored) {
    const name = stored.replace(
      /^model\.(?=audio_tower\.|multi_modal_projector\.|language_model\.)/,
      "",
    );
    return name
      .replace(/^language_model\.(?=model\.|lm_head\.)/, "")
      .replace(/^language_model\./, "model.");
  },
  module: (canonical) => canonical.replace(/^(?=model\.|lm_head\.)/, "language_model."),
  unused: [],
};
