import type { DataRow } from "../data/dataset.ts";
import type { Sample } from "../prompt/sample.ts";
import type { Completion, Score } from "../reward/reward.ts";

/*
 * A completion on its way from the draw to the loss:
 *
 *   GenerationRequest   what is asked: a sample, how many completions, which draw
 *   Rollout             one completion as tokens, with what the policy thought of each
 *   Completion          the same as text, which rewards read (reward/reward.ts)
 *   RolloutGroup        all completions of one prompt with their scores
 *   PolicyTree          the group with advantages and reference, as a tree to be trained on
 *   LossBatch           flat columns of numbers, which a loss reads (policy/loss/types.ts)
 *
 * Each is made whole at one place and never changed afterwards.
 */

/** Settings by which tokens are chosen, under the names of transformers' `GenerationConfig`. */
export interface SamplingOptions {
  /** 0 is greedy. */
  temperature: number;
  topK: number;
  topP: number;
  minP: number;
  repetitionPenalty: number;
  /** Maximum tokens of a completion, its end token included. */
  maxNewTokens: number;
  seed: number;
}

/** Plain sampling at temperature 1. */
export const DEFAULT_SAMPLING: SamplingOptions = {
  temperature: 1,
  topK: 0,
  topP: 1,
  minP: 0,
  repetitionPenalty: 1,
  maxNewTokens: 256,
  seed: 0,
};

/** A prompt with the identity of its random numbers: a group is (sample, draw). */
export interface GenerationRequest {
  sample: Sample;
  /** Completions of this prompt: a group. */
  generations: number;
  /** Which draw of the sample this is; two draws differ. */
  draw: number;
}

/** Looks at completions while they are generated; each look reads them back from the GPU. */
export interface GenerationWatch {
  /** Decode steps between two looks. */
  every?: number;
  /** Hears the token ids so far of every completion, in order. */
  onTokens?: (ids: number[][]) => void;
  /** Hears how many decode steps of all batches are done; nothing is read back for it. */
  onProgress?: (done: number, total: number) => void;
  /** When aborted, generation ends at the next look and gives what there is. */
  signal?: AbortSignal;
}

/** One generated completion, as the loss needs it: lists have an entry per token. */
export interface Rollout {
  /** Token ids, the end token included when there is one. */
  ids: number[];
  /** True when an end token closed it within the limit. */
  finished: boolean;
  /** Log-probability under softmax(logits / temperature) of the full vocabulary, in nats. */
  logProbs: number[];
  /** Log-probability under the distribution sampled from, in nats. */
  samplingLogProbs: number[];
  /** Entropy of the full distribution, in nats. */
  entropies: number[];
  /** Probability that bans removed. */
  bannedMass: number[];
}

/** The completions of one prompt as they were generated, with their rewards. */
export interface RolloutGroup {
  row: DataRow;
  /** With the row's id the name of the group: a row that comes twice in a batch has two draws. */
  draw: number;
  sample: Sample;
  completions: readonly Rollout[];
  /** The completions as rewards see them. */
  said: readonly Completion[];
  scores: readonly Score[];
}

/** One completion with everything that a loss needs of it; lists have an entry per token. */
export interface PolicyCompletion {
  readonly ids: readonly number[];
  /** Log-probabilities that the policy gave at rollout. */
  readonly old: readonly number[];
  /** Log-probabilities under the distribution that was sampled from. */
  readonly sampling: readonly number[];
  /** Log-probabilities under the reference policy; empty without one. */
  readonly reference: readonly number[];
  readonly advantage: number;
  readonly truncated: boolean;
  /** True where a rule of the run's health takes it out of the loss. */
  readonly masked: boolean;
}

/** The completions of one prompt, or a part of them, as a tree to be trained on. */
export interface PolicyTree {
  readonly sample: Sample;
  readonly completions: readonly PolicyCompletion[];
}
