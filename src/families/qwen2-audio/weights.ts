import type { TensorNames } from "../../checkpoint/tensor-names.ts";
import {
  layerNormTensors,
  linearTensors,
  type TensorSpecs,
} from "../../checkpoint/tensor-specs.ts";
import type { TextConfig } from "../../network/config.ts";
import type { WhisperConfig } from "../../network/towers/audio.ts";
import { textTensors } from "../parts/text.ts";
import { whisperTensors } from "../parts/whisper.ts";

/** The table of positions of the audio tower; transformers keeps it frozen. */
export const POSITIONS = "audio_tower.embed_positions.weight";

/** Returns every tensor that a model of these shapes stores, by its canonical name. */
export function tensors(text: TextConfig, audio: WhisperConfig): TensorSpecs {
  const { width, outputDim, maxFrames } = audio;
  const joint = { part: "audio", joins: true } as const;
  return new Map([
    ...whisperTensors(audio),
    [POSITIONS, { shape: [maxFrames / 2, width], part: "audio", table: "rows", fixed: true }],
    ...layerNormTensors(audio.norm, width, joint),
    ...linearTensors(audio.projection, outputDim, width, joint),
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
};
