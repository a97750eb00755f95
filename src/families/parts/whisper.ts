import {
  layerNormTensors,
  linearTensors,
  type TensorEntry,
  vectorTensor,
} from "../../checkpoint/tensor-specs.ts";
import { type ConfigReader, MAX_LAYERS, MAX_SMALL } from "../../io/config-reader.ts";
import type { WhisperConfig } from "../../network/towers/audio.ts";

/** Returns the keys that audio towers of Whisper's form have in common. */
export function parseWhisper(
  section: ConfigReader,
): Pick<WhisperConfig, "melBins" | "width" | "heads" | "headDim" | "layers" | "ffnSize"> {
  section.only("activation_function", "gelu");
  section.only("scale_embedding", false);
  const width = section.size("d_model", 1280);
  const heads = section.size("encoder_attention_heads", 20);
  if (width % (2 * heads) !== 0) {
    throw section.error("d_model", width, `a multiple of 2 * ${heads} heads`);
  }
  return {
    melBins: section.size("num_mel_bins", 128, MAX_SMALL),
    width,
    heads,
    headDim: width / heads,
    layers: section.size("encoder_layers", 32, MAX_LAYERS),
    ffnSize: section.size("encoder_ffn_dim", 5120),
  };
}

/** Returns the tensors of the convolutions and layers of an audio tower of Whisper's form. */
export function whisperTensors(audio: WhisperConfig): TensorEntry[] {
  const { width, ffnSize, melBins } = audio;
  const part = { part: "audio" } as const;
  // A log-mel has a deviation of 0.37 and each GELU halves it; without the gains of the convolutions
  // sinusoidal positions, of deviation 0.7, drown the sound for 500 steps.
  const tensors: TensorEntry[] = [
    ["audio_tower.conv1.weight", { shape: [width, melBins, 3], ...part, gain: 3 }],
    vectorTensor("audio_tower.conv1.bias", width, part),
    ["audio_tower.conv2.weight", { shape: [width, width, 3], ...part, gain: 2 }],
    vectorTensor("audio_tower.conv2.bias", width, part),
  ];
  for (let i = 0; i < audio.layers; i++) {
    const layer = `audio_tower.layers.${i}`;
    tensors.push(
      ...layerNormTensors(`${layer}.self_attn_layer_norm`, width, part),
      ...linearTensors(`${layer}.self_attn.q_proj`, width, width, part),
      ...linearTensors(`${layer}.self_attn.k_proj`, width, width, part, false),
      ...linearTensors(`${layer}.self_attn.v_proj`, width, width, part),
      ...linearTensors(`${layer}.self_attn.out_proj`, width, width, part),
      ...layerNormTensors(`${layer}.final_layer_norm`, width, part),
      ...linearTensors(`${layer}.fc1`, ffnSize, width, part),
      ...linearTensors(`${layer}.fc2`, width, ffnSize, part),
    );
  }
  return tensors;
}
