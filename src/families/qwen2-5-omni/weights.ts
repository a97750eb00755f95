import type { LikeFolder, TensorNames } from "../../checkpoint/tensor-names.ts";
import {
  layerNormTensors,
  linearTensors,
  type TensorSpecs,
} from "../../checkpoint/tensor-specs.ts";
import type { TextConfig } from "../../network/config.ts";
import type { WhisperConfig } from "../../network/towers/audio.ts";
import type { WindowVisionConfig } from "../../network/towers/vision.ts";
import { textTensors } from "../parts/text.ts";
import { whisperTensors } from "../parts/whisper.ts";
import { visionTensors } from "../parts/window-vision.ts";

const AUDIO_ENDS = "audio_tower.audio_bos_eos_token.weight";

/** Returns every tensor that a thinker stores, by its canonical name. */
export function tensors(
  text: TextConfig,
  vision: WindowVisionConfig,
  audio: WhisperConfig,
): TensorSpecs {
  const { width, outputDim } = audio;
  const joint = { part: "audio", joins: true } as const;
  return new Map([
    ...textTensors(text),
    ...visionTensors(vision, { q: 1, k: 1, v: 1 }),
    ...whisperTensors(audio),
    ...layerNormTensors(audio.norm, width, joint),
    ...linearTensors(audio.projection, outputDim, width, joint),
    [AUDIO_ENDS, { shape: [2, outputDim], part: "audio", table: "rows", unused: true }],
  ]);
}

/** Released checkpoints store the thinker beside the speech half; transformers saves it alone too. */
export const names: TensorNames = {
  stored: (canonical, like) => (isBare(like) ? canonical : `thinker.${canonical}`),
  canonical(stored) {
    if (stored.startsWith("talker.") || stored.startsWith("token2wav.")) return undefined;
    return stored.startsWith("thinker.") ? stored.slice("thinker.".length) : stored;
  },
  module: (canonical) => canonical,
  // The voices: the class of the whole model does not load without the file.
  companions: ["spk_dict.pt"],
  /**
   * A whole Omni is said to have no speech half: that is not exported, and transformers would draw
   * random weights for it.
   */
  exportedSettings: (settings) => ({
    ...settings,
    ...("thinker_config" in settings && { enable_audio_output: false }),
  }),
};

/** Returns true for a folder of a thinker alone, whose names have no prefix. */
function isBare(like: LikeFolder | undefined): boolean {
  if (like?.settings["model_type"] !== "qwen2_5_omni_thinker") return false;
  return !like.names.some((name) => name.startsWith("thinker."));
}
