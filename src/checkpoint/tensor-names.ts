import type { AudioConfig, TextConfig, VisionConfig } from "../network/config.ts";

/** A tensor's canonical name and its shape, row-major. */
export type TensorEntry = [name: string, shape: number[]];

/** How a family's checkpoints name their tensors. */
export interface TensorNames {
  /** Name under which checkpoints on the Hub store a tensor. */
  stored(canonical: string): string;
  /**
   * Brings any spelling of a stored tensor to the name that this code uses.
   *
   * @returns undefined for tensors of parts that are not read, such as Omni's speech half.
   */
  canonical(stored: string): string | undefined;
  /** Path of a tensor or layer among the modules of transformers 4.57.6: what PEFT writes. */
  module(canonical: string): string;
  /** Tensors that no forward pass uses: they may be missing and never train. */
  readonly unused: readonly string[];
}

/** The tensors of a linear layer. */
export function linearTensors(
  name: string,
  outputs: number,
  inputs: number,
  bias = true,
): TensorEntry[] {
  const weight: TensorEntry = [`${name}.weight`, [outputs, inputs]];
  return bias ? [weight, [`${name}.bias`, [outputs]]] : [weight];
}

/** The tensors of a LayerNorm. */
export function layerNormTensors(name: string, width: number): TensorEntry[] {
  return [
    [`${name}.weight`, [width]],
    [`${name}.bias`, [width]],
  ];
}

/** The tensors of a decoder; the head is listed whether or not it is tied. */
export function textTensors(text: TextConfig): TensorEntry[] {
  const { hiddenSize, intermediateSize, headDim, vocabSize } = text;
  const tensors: TensorEntry[] = [["model.embed_tokens.weight", [vocabSize, hiddenSize]]];
  for (let i = 0; i < text.layers; i++) {
    const layer = `model.layers.${i}`;
    tensors.push(
      [`${layer}.input_layernorm.weight`, [hiddenSize]],
      ...linearTensors(`${layer}.self_attn.q_proj`, text.heads * headDim, hiddenSize),
      ...linearTensors(`${layer}.self_attn.k_proj`, text.kvHeads * headDim, hiddenSize),
      ...linearTensors(`${layer}.self_attn.v_proj`, text.kvHeads * headDim, hiddenSize),
      ...linearTensors(`${layer}.self_attn.o_proj`, hiddenSize, text.heads * headDim, false),
      [`${layer}.post_attention_layernorm.weight`, [hiddenSize]],
      ...linearTensors(`${layer}.mlp.gate_proj`, intermediateSize, hiddenSize, false),
      ...linearTensors(`${layer}.mlp.up_proj`, intermediateSize, hiddenSize, false),
      ...linearTensors(`${layer}.mlp.down_proj`, hiddenSize, intermediateSize, false),
    );
  }
  tensors.push(["model.norm.weight", [hiddenSize]], ["lm_head.weight", [vocabSize, hiddenSize]]);
  return tensors;
}

/**
 * The tensors of a vision tower.
 *
 * @param attention the layers of a block's attention before its projection, with their rows as
 *   multiples of the hidden size: `{ q: 1, k: 1, v: 1 }` or `{ qkv: 3 }`.
 */
export function visionTensors(
  vision: VisionConfig,
  attention: Readonly<Record<string, number>>,
): TensorEntry[] {
  const { hiddenSize, intermediateSize, patchSize, mergeSize } = vision;
  const kernel = [vision.inChannels, vision.temporalPatchSize, patchSize, patchSize];
  const tensors: TensorEntry[] = [["visual.patch_embed.proj.weight", [hiddenSize, ...kernel]]];
  for (let i = 0; i < vision.depth; i++) {
    const block = `visual.blocks.${i}`;
    tensors.push(
      [`${block}.norm1.weight`, [hiddenSize]],
      ...Object.entries({ ...attention, proj: 1 }).flatMap(([part, rows]) =>
        linearTensors(`${block}.attn.${part}`, rows * hiddenSize, hiddenSize),
      ),
      [`${block}.norm2.weight`, [hiddenSize]],
      ...linearTensors(`${block}.mlp.gate_proj`, intermediateSize, hiddenSize),
      ...linearTensors(`${block}.mlp.up_proj`, intermediateSize, hiddenSize),
      ...linearTensors(`${block}.mlp.down_proj`, hiddenSize, intermediateSize),
    );
  }
  const merged = hiddenSize * mergeSize ** 2;
  tensors.push(
    ["visual.merger.ln_q.weight", [hiddenSize]],
    ...linearTensors("visual.merger.mlp.0", merged, merged),
    ...linearTensors("visual.merger.mlp.2", vision.outHiddenSize, merged),
  );
  return tensors;
}

/** The convolutions and layers of an audio tower, which all families share. */
export function whisperTensors(audio: AudioConfig): TensorEntry[] {
  const { width, ffnSize, melBins } = audio;
  const tensors: TensorEntry[] = [
    ["audio_tower.conv1.weight", [width, melBins, 3]],
    ["audio_tower.conv1.bias", [width]],
    ["audio_tower.conv2.weight", [width, width, 3]],
    ["audio_tower.conv2.bias", [width]],
  ];
  for (let i = 0; i < audio.layers; i++) {
    const layer = `audio_tower.layers.${i}`;
    tensors.push(
      ...layerNormTensors(`${layer}.self_attn_layer_norm`, width),
      ...linearTensors(`${layer}.self_attn.q_proj`, width, width),
      ...linearTensors(`${layer}.self_attn.k_proj`, width, width, false),
      ...linearTensors(`${layer}.self_attn.v_proj`, width, width),
      ...linearTensors(`${layer}.self_attn.out_proj`, width, width),
      ...layerNormTensors(`${layer}.final_layer_norm`, width),
      ...linearTensors(`${layer}.fc1`, ffnSize, width),
      ...linearTensors(`${layer}.fc2`, width, ffnSize),
    );
  }
  return tensors;
}
