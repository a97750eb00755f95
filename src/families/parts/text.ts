import { linearTensors, type TensorEntry, vectorTensor } from "../../checkpoint/tensor-specs.ts";
import { type ConfigReader, MAX_LAYERS } from "../../io/config-reader.ts";
import type { TextConfig } from "../../network/config.ts";

/** Values of the transformers class for keys that a file leaves out. */
export interface TextDefaults {
  vocabSize: number;
  hiddenSize: number;
  intermediateSize: number;
  layers: number;
  heads: number;
  /** As many as heads when left out. */
  kvHeads?: number;
  rmsNormEps: number;
  ropeTheta: number;
  maxPositions: number;
  attentionBias: boolean;
  qkNorm: boolean;
  /** The frequencies that follow each position: plain, or three counts in a row or taking turns. */
  rotary: "plain" | "contiguous" | "interleaved";
}

/**
 * Parses the section of a text decoder.
 *
 * Rotary settings may be keys of the section, of `rope_scaling`, or (transformers 5) of
 * `rope_parameters`; `mrope` and `default` mean plain frequencies.
 */
export function parseText(section: ConfigReader, defaults: TextDefaults): TextConfig {
  section.only("hidden_act", "silu");
  section.only("use_sliding_window", false);
  const hiddenSize = section.size("hidden_size", defaults.hiddenSize);
  const heads = section.size("num_attention_heads", defaults.heads);
  const kvHeads = section.size("num_key_value_heads", defaults.kvHeads ?? heads);
  const headDim = section.size("head_dim", hiddenSize / heads);
  if (heads % kvHeads !== 0) {
    throw section.error("num_key_value_heads", kvHeads, `a divisor of ${heads} heads`);
  }
  const rope = section.section(section.either("rope_scaling", "rope_parameters"));
  rope.only(rope.either("rope_type", "type"), "default", "mrope");
  return {
    vocabSize: section.size("vocab_size", defaults.vocabSize),
    hiddenSize,
    intermediateSize: section.size("intermediate_size", defaults.intermediateSize),
    layers: section.size("num_hidden_layers", defaults.layers, MAX_LAYERS),
    heads,
    kvHeads,
    headDim,
    rmsNormEps: section.number("rms_norm_eps", defaults.rmsNormEps),
    ropeTheta: (rope.has("rope_theta") ? rope : section).number("rope_theta", defaults.ropeTheta),
    rotaryAxes: rotaryAxes(rope, headDim, defaults.rotary),
    attentionBias: defaults.attentionBias,
    qkNorm: defaults.qkNorm,
    maxPositions: section.size("max_position_embeddings", defaults.maxPositions),
  };
}

/**
 * Returns the position that each frequency follows, by `mrope_section`: three counts of
 * frequencies.
 */
function rotaryAxes(rope: ConfigReader, headDim: number, rotary: TextDefaults["rotary"]): number[] {
  if (rotary === "plain") return Array<number>(headDim / 2).fill(0);
  const counts = rope.integers("mrope_section");
  const frequencies = counts.reduce((sum, count) => sum + count, 0);
  if (counts.length !== 3 || 2 * frequencies !== headDim) {
    throw rope.error("mrope_section", counts, `three counts that sum to ${headDim / 2}`);
  }
  if (rotary === "contiguous") {
    return counts.flatMap((count, axis) => Array<number>(count).fill(axis));
  }
  // Every third frequency is the height's, the one after it the width's, while their counts last.
  return Array.from({ length: frequencies }, (_, j) => (j < 3 * counts[j % 3]! ? j % 3 : 0));
}

/** Checks that a tower's rows are as wide as the decoder's. */
export function checkWidth(file: ConfigReader, key: string, width: number, text: TextConfig): void {
  if (width === text.hiddenSize) return;
  throw file.error(key, width, `the decoder's hidden_size, ${text.hiddenSize},`);
}

/** Returns the tensors of a decoder; the head is listed whether or not it is tied. */
export function textTensors(text: TextConfig): TensorEntry[] {
  const { hiddenSize, intermediateSize, headDim, vocabSize, layers, attentionBias, qkNorm } = text;
  const part = { part: "decoder" } as const;
  // Two matrices of every layer write to the residual stream.
  const residual = { ...part, gain: 1 / Math.sqrt(2 * layers) };
  const vocabulary = { shape: [vocabSize, hiddenSize], ...part };
  const tensors: TensorEntry[] = [
    ["model.embed_tokens.weight", { ...vocabulary, table: "embedding" }],
  ];
  for (let i = 0; i < layers; i++) {
    const layer = `model.layers.${i}`;
    tensors.push(
      vectorTensor(`${layer}.input_layernorm.weight`, hiddenSize, part),
      ...linearTensors(
        `${layer}.self_attn.q_proj`,
        text.heads * headDim,
        hiddenSize,
        part,
        attentionBias,
      ),
      ...linearTensors(
        `${layer}.self_attn.k_proj`,
        text.kvHeads * headDim,
        hiddenSize,
        part,
        attentionBias,
      ),
      ...linearTensors(
        `${layer}.self_attn.v_proj`,
        text.kvHeads * headDim,
        hiddenSize,
        part,
        attentionBias,
      ),
      ...linearTensors(
        `${layer}.self_attn.o_proj`,
        hiddenSize,
        text.heads * headDim,
        residual,
        false,
      ),
      ...(qkNorm ? ["q_norm", "k_norm"] : []).map((norm) =>
        vectorTensor(`${layer}.self_attn.${norm}.weight`, headDim, part),
      ),
      vectorTensor(`${layer}.post_attention_layernorm.weight`, hiddenSize, part),
      ...linearTensors(`${layer}.mlp.gate_proj`, intermediateSize, hiddenSize, part, false),
      ...linearTensors(`${layer}.mlp.up_proj`, intermediateSize, hiddenSize, part, false),
      ...linearTensors(`${layer}.mlp.down_proj`, hiddenSize, intermediateSize, residual, false),
    );
  }
  tensors.push(vectorTensor("model.norm.weight", hiddenSize, part), [
    "lm_head.weight",
    { ...vocabulary, table: "head" },
  ]);
  return tensors;
}
