/**
 * Random weights for a model that is trained from scratch. Matrices have variance 1 / fan-in, so
 * that activations start at about their input's size; the exceptions are said where they are made.
 */
import { Random } from "../core/random.ts";
import type { TensorSpec, TensorSpecs } from "./tensor-specs.ts";

/** One tensor's initial value. */
export interface InitialTensor {
  shape: readonly number[];
  data: Float32Array;
}

/** Standard deviation of the token embedding. */
const EMBEDDING_DEVIATION = 0.5;
/** Standard deviation of the head: near zero, so that training starts from a uniform guess. */
const HEAD_DEVIATION = 0.02;

/**
 * Draws initial weights for a whole model.
 *
 * Names are canonical; data are f32. The same configuration
 * and seed give the same weights, and each tensor draws from a stream of its own.
 */
export function initialWeights(
  { tensors, tieWordEmbeddings }: { tensors: TensorSpecs; tieWordEmbeddings: boolean },
  seed: number,
): Map<string, InitialTensor> {
  const weights = new Map<string, InitialTensor>();
  for (const [name, spec] of tensors) {
    if (spec.table === "head" && tieWordEmbeddings) continue;
    const random = new Random(seed, "init", weights.size);
    weights.set(name, { shape: spec.shape, data: initialTensor(name, spec, random) });
  }
  return weights;
}

function initialTensor(name: string, spec: TensorSpec, random: Random): Float32Array {
  const { shape, unused } = spec;
  const size = shape.reduce((product, length) => product * length, 1);
  // A vector is the scale of a norm, which starts at one, or a bias, which starts at zero.
  if (shape.length === 1) return new Float32Array(size).fill(name.endsWith(".bias") ? 0 : 1);
  if (unused) return new Float32Array(size);
  const deviation = deviationOf(spec, size / shape[0]!);
  return Float32Array.from({ length: size }, () => random.normal(0, deviation));
}

function deviationOf({ table, gain = 1 }: TensorSpec, fanIn: number): number {
  if (table === "embedding") return EMBEDDING_DEVIATION;
  return table === "head" ? HEAD_DEVIATION : gain / Math.sqrt(fanIn);
}
