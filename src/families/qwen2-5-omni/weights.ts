import type { ModelConfig } from "../../network/config.ts";
import {
  layerNormTensors,
  linearTensors,
  type TensorNames,
  textTensors,
  visionTensors,
  whisperTensors,
} from "../../checkpoint/tensor-names.ts";

const AUDIO_ENDS = "audio_tower.audio_bos_eos_token.weight";

/** Every tensor that a thinker of this configuration stores, by its canonical name. */
export function tensors({ text, vision, audio }: ModelConfig): Map<string, number[]> {
  const { width, outputDim } = audio!;
  return new Map([
    ...textTensors(text),
    ...visionTensors(vision!, { q: 1, k: 1, v: 1 }),
    ...whisperTensors(audio!),
    ...layerNormTensors("audio_tower.ln_post", width),
    ...linearTensors("audio_tower.proj", outputDim, width),
    [AUDIO_ENDS, [2, outputDim]],
  ]);
}

/** Released checkpoints store the thinker beside the speech half; transformers saves it alone too. */
export const names: TensorNames = {
  stored: (canonical) => `thinker.${canonical}`,
  canonical(stored) {
    if (stored.startsWith("talker.") || stored.startsWith("token2wav.")) return undefined;
    return stored.startsWith("thinker.") ? stored.slice("thinker.".length) : stored;
  },
  module: (canonical) => canonical,
  unused: [AUDIO_ENDS],
};
