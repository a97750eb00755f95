import { philox, PURPOSES } from "../core/random.ts";
import { fixedExp } from "./fixed-exp.ts";

/** Marks a banned token's score. */
const BANNED_SCORE = Math.fround(-3.4e38);

/** How scores are made; factors as `sampleParams` gives them. */
export interface ScoreFactors {
  factor: number;
  positiveFactor: number;
  negativeFactor: number;
}

/** How a token is chosen; `topP` in 2^-32 (0 = off), `minWeight` in 2^-30, topK 0 = off. */
export interface ChoiceLimits {
  greedy: boolean;
  topK: number;
  topP: number;
  minWeight: number;
}

/** The key on which a random number of a row depends. */
export interface SampleKey {
  seed: number;
  sample: number;
  completion: number;
  draw: number;
  step: number;
}

/**
 * Scores to sample from: f32 products of f32 logits, banned and -inf tokens marked.
 *
 * The repetition penalty divides positive and multiplies other logits of present tokens.
 * Source: Keskar et al. 2019, section 4.1; transformers 4.57.6 `RepetitionPenaltyLogitsProcessor`.
 */
export function sampleScores(
  logits: Float32Array,
  banned: (token: number) => boolean,
  present: (token: number) => boolean,
  factors: ScoreFactors,
): Float32Array {
  return logits.map((raw, token) => {
    if (banned(token) || raw === -Infinity) return BANNED_SCORE;
    const penalised = raw > 0 ? factors.positiveFactor : factors.negativeFactor;
    return Math.max(Math.fround(raw * (present(token) ? penalised : factors.factor)), BANNED_SCORE);
  });
}

/**
 * The tokens that may be chosen with their integer weights, in index order.
 *
 * top-k keeps scores not below the k-th highest; top-p keeps a score when the mass of strictly
 * higher ones is below topP of the kept mass; min-p keeps weights from minWeight on. Ties stay or go
 * together. Source: the order and rules of transformers 4.57.6 `generation/logits_process.py`.
 */
export function sampleSupport(
  scores: Float32Array,
  limits: ChoiceLimits,
): { token: number; weight: number }[] {
  const best = scores.reduce((a, b) => Math.max(a, b));
  const candidates = Array.from(scores, (score, token) => ({
    token,
    score,
    weight: fixedExp(Math.fround(best - score)),
  })).filter(({ score }) => score > BANNED_SCORE);
  if (limits.greedy) return candidates.filter(({ score }) => score === best);
  const descending = candidates.toSorted((a, b) => b.score - a.score);
  let floor = -Infinity;
  if (limits.topK > 0 && limits.topK < scores.length && limits.topK <= descending.length) {
    floor = descending[limits.topK - 1]!.score;
  }
  if (limits.topP > 0) {
    const kept = descending.filter(({ score }) => score >= floor);
    // Sums of weights stay below 2^53, so they are exact; their products with topP need more bits.
    const total = BigInt(kept.reduce((sum, { weight }) => sum + weight, 0));
    const goal = Number((total * BigInt(limits.topP) + 0xffffffffn) >> 32n);
    let above = 0;
    for (const { score, weight } of kept) {
      above += weight;
      if (above >= goal) {
        floor = score;
        break;
      }
    }
  }
  return candidates.filter(
    ({ score, weight }) => score >= floor && weight > 0 && weight >= limits.minWeight,
  );
}

/**
 * Chooses a token from scores: the inverse distribution function in index order, or the first of the
 * highest when greedy.
 *
 * @returns the token and its log-probability under the distribution sampled from; undefined when
 *   every token is banned.
 */
export function sampleToken(
  scores: Float32Array,
  limits: ChoiceLimits,
  key: SampleKey,
): { token: number; logp: number } | undefined {
  const support = sampleSupport(scores, limits);
  if (support.length === 0) return undefined;
  if (limits.greedy) return { token: support[0]!.token, logp: 0 };
  const total = support.reduce((sum, { weight }) => sum + weight, 0);
  const [word] = philox(
    [key.draw, key.sample, key.completion, key.step],
    [key.seed, PURPOSES.sampling],
  );
  const goal = Number((BigInt(total) * BigInt(word)) >> 32n);
  const best = scores.reduce((a, b) => Math.max(a, b));
  let before = 0;
  for (const { token, weight } of support) {
    before += weight;
    if (before > goal) {
      return { token, logp: scores[token]! - best - Math.log(total / 2 ** 30) };
    }
  }
  throw new Error("the weights do not reach their own sum");
}
