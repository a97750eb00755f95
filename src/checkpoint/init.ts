/**
 * Random weights for a model that is trained from scratch. Matrices have variance 1 / fan-in, so
 * that activations start at about their input's size; the exceptions are said where they are made.
 */
import { Random } from "../core/random.ts";
import type { ModelConfig } from "../network/config.ts";

/** One tensor's initial value. */
export interface InitialTensor {
  shape: number[];
  data: Float32Array;
}

/** Standard deviation of the token embedding. */
const EMBEDDING_DEVIATION = 0.5;
/** Standard deviation of the head: near zero, so that training starts from a uniform guess. */
const HEAD_DEVIATION = 0.02;
/**
 * Gains of the two audio convolutions. A log-mel has a deviation of 0.37 and each GELU halves it;
 * without the gains the sinusoidal positions, of deviation 0.7, drown the sound for 500 steps.
 */
const CONVOLUTION_GAINS = { "audio_tower.conv1.weight": 3, "audio_tower.conv2.weight": 2 } as const;

/**
 * Draws initial weights for a whole model.
 *
 * Names are canonical; data are f32. The same configuration
 * and seed give the same weights, and each tensor draws from a stream of its own.
 */
export function initialWeights(config: ModelConfig, seed: number): Map<string, InitialTensor> {
  const weights = new Map<string, InitialTensor>();
  for (const [name, shape] of config.family.tensors(config)) {
    if (name === "lm_head.weight" && config.tieWordEmbeddings) continue;
    const random = new Random(seed, "init", weights.size);
    weights.set(name, { shape, data: initialTensor(config, name, shape, random) });
  }
  return weights;
}

function initialTensor(
  config: ModelConfig,
  name: string,
  shape: readonly number[],
  random: Random,
): Float32Array {
  const size = shape.reduce((product, length) => product * length, 1);
  // A vector is the scale of a norm, which starts at one, or a bias, which starts at zero.
  if (shape.length === 1) return new Float32Array(size).fill(name.endsWith(".bias") ? 0 : 1);
  if (config.family.names.unused.includes(name)) return new Float32Array(size);
  const deviation = deviationOf(config, name, size / shape[0]!);
  return Float32Array.from({ length: size }, () => random.normal(0, deviation));
}

function deviationOf(config: ModelConfig, name: string, fanIn: number): number {
  if (name === "model.embed_tokens.weight") return EMBEDDING_DEVIATION;
  if (name === "lm_head.weight") return HEAD_DEVIATION;
  const gains: Record<string, number> = CONVOLUTION_GAINS;
  const gain = gains[name] ?? (isResidual(name) ? 1 / Math.sqrt(2 * config.text.layers) : 1);
  return gain / Math.sqrt(fanIn);
}

/** Whether a matrix writes to the decoder's residual stream, which has two of them a layer. */
function isResidual(name: string): boolean {
  return /^model\.layers\.\d+\.(self_attn\.o_proj|mlp\.down_proj)\.weight$/.test(name);
}
