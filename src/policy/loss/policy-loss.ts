import type { LossView, PolicyFormula } from "./formula.ts";
import { klTerm } from "./kl.ts";
import { LOSSES, type LossSettings } from "./losses.ts";
import { isOnPolicy } from "./masks.ts";
import { LossMetrics } from "./metrics.ts";
import { samplingCorrection, type Correction } from "./sampling-correction.ts";
import type { CommonLossSettings } from "./settings.ts";
import { countedLength } from "./totals.ts";
import type { LossBatch, LossCompletion, LossResult, StepTotals } from "./types.ts";

/** The inputs and the results of a loss while it goes through the completions. */
interface Work {
  formula: PolicyFormula;
  batch: LossBatch;
  settings: CommonLossSettings;
  totals: StepTotals;
  result: LossResult;
  metrics: LossMetrics;
}

function check({ formula, batch, settings }: Work): void {
  const needs = (condition: boolean, column: "reference" | "entropy" | "sampling", why: string) => {
    if (condition && batch[column] === undefined) throw new RangeError(`${why} needs ${column}.`);
  };
  needs(settings.beta !== 0, "reference", `beta ${settings.beta}`);
  needs(settings.entropy_coef !== 0, "entropy", `entropy_coef ${settings.entropy_coef}`);
  needs(
    settings.top_entropy_quantile < 1,
    "entropy",
    `top_entropy_quantile ${settings.top_entropy_quantile}`,
  );
  const mode = settings.importance_sampling_mode;
  needs(mode !== null, "sampling", `importance_sampling_mode ${mode}`);
  const refusal = formula.refuses?.(settings);
  if (refusal === undefined) return;
  throw new RangeError(`${refusal.key}: ${refusal.message}. ${refusal.remedy}`);
}

/** Returns the factor of each token's policy term, and its metrics. */
function correctionOf(
  { batch, settings, totals, metrics }: Work,
  { start }: LossCompletion,
  length: number,
): Correction | undefined {
  const { old, sampling } = batch;
  if (sampling === undefined) return undefined;
  let sum = 0;
  for (let t = start; t < start + length; t++) {
    const difference = Math.abs(old[t]! - sampling[t]!);
    if (Number.isNaN(difference)) continue;
    sum += difference;
    metrics.offer("sampling/sampling_logp_difference/max", difference);
  }
  metrics.add("sampling/sampling_logp_difference/mean", sum / Math.max(1, totals.samplingTokens));
  if (settings.importance_sampling_mode === null) return undefined;
  const correction = samplingCorrection(old, sampling, start, length, settings);
  const { perToken, perCompletion } = correction;
  const name = "sampling/importance_sampling_ratio";
  const ratios = perCompletion === undefined ? perToken : [perCompletion];
  for (const ratio of ratios) {
    metrics.offer(`${name}/min`, ratio);
    metrics.offer(`${name}/max`, ratio);
    if (perCompletion === undefined) metrics.addTokens(`${name}/mean`, ratio);
    else metrics.addCompletion(`${name}/mean`, ratio);
  }
  return correction;
}

function viewOf(
  { batch, settings }: Work,
  completion: LossCompletion,
  length: number,
  correction: Correction | undefined,
): LossView {
  const { start } = completion;
  const column = (value: (t: number) => number) =>
    Float64Array.from({ length }, (_, t) => value(start + t));
  const logRatio = column((t) => batch.logp[t]! - batch.old[t]!);
  const one = settings.importance_sampling_level === "sequence";
  const mean = logRatio.reduce((sum, value) => sum + value, 0) / Math.max(1, length);
  return {
    length,
    logp: column((t) => batch.logp[t]!),
    logRatio,
    ratio: logRatio.map((value) => Math.exp(one ? mean : value)),
    advantage: completion.advantage,
    uniform: one,
    correction: correction?.perToken,
  };
}

/** 1 or 0 for every token: whether its policy term counts. */
function gatesOf(
  { batch, settings, totals }: Work,
  { start }: LossCompletion,
  view: LossView,
): Float64Array {
  const { logp, old, sampling, entropy } = batch;
  const { off_policy_mask_threshold: threshold, top_entropy_quantile: fraction } = settings;
  const onPolicy =
    threshold === null || isOnPolicy(logp, sampling ?? old, start, view.length, threshold);
  const kept = onPolicy || view.advantage >= 0;
  return Float64Array.from({ length: view.length }, (_, t) =>
    kept && (fraction >= 1 || entropy![start + t]! >= totals.entropyThreshold) ? 1 : 0,
  );
}

/** Adds one completion's loss and gradient. */
function addCompletion(work: Work, completion: LossCompletion): void {
  const { formula, batch, settings, totals, result, metrics } = work;
  const { start } = completion;
  const length = countedLength(completion, settings);
  const weight = formula.weight(length, totals);
  const correction = correctionOf(work, completion, length);
  const view = viewOf(work, completion, length, correction);
  const terms = formula.terms(view, settings);
  const gates = gatesOf(work, completion, view);
  metrics.addTerms(terms);
  const factors = formula.takesCorrection ? undefined : correction?.perToken;
  const byLogRatio = new Float64Array(length);
  let kl = 0;
  for (let t = 0; t < length; t++) {
    const share = weight * gates[t]! * (factors?.[t] ?? 1);
    result.loss += share * terms.value[t]!;
    result.dLogp[start + t] = share * terms.byLogp[t]!;
    byLogRatio[t] = share * terms.byLogRatio[t]!;
    if (batch.reference === undefined) continue;
    const { value, slope } = klTerm(batch.logp[start + t]!, batch.reference[start + t]!, settings);
    const ratio = settings.use_bias_correction_kl ? view.ratio[t]! : 1;
    kl += value * ratio;
    if (settings.beta === 0) continue;
    result.loss += weight * settings.beta * value * ratio;
    result.dLogp[start + t]! += weight * settings.beta * slope * ratio;
    if (settings.use_bias_correction_kl) byLogRatio[t]! += weight * settings.beta * value * ratio;
  }
  if (batch.reference !== undefined) metrics.addTokens("kl", kl);
  const shared = byLogRatio.reduce((sum, value) => sum + value, 0) / Math.max(1, length);
  for (let t = 0; t < length; t++) {
    // The log of a completion's ratio is the mean over its tokens, so each has an equal part in it.
    result.dLogp[start + t]! +=
      settings.importance_sampling_level === "sequence" ? shared : byLogRatio[t]!;
  }
}

/** Subtracts the bonus: entropy_coef times the mean entropy of the tokens that the loss acts on. */
function addEntropy({ batch, settings, totals, result, metrics }: Work): void {
  const { entropy, completions } = batch;
  if (entropy === undefined) return;
  const { entropy_coef: coef } = settings;
  if (coef !== 0) result.dEntropy = new Float64Array(entropy.length);
  const kept = Math.max(1, totals.entropyTokens);
  let sum = 0;
  for (const completion of completions) {
    const end = completion.start + countedLength(completion, settings);
    for (let t = completion.start; t < end; t++) {
      sum += entropy[t]!;
      if (entropy[t]! < totals.entropyThreshold) continue;
      result.keptEntropy += entropy[t]! / kept;
      if (coef === 0) continue;
      result.loss -= (coef / kept) * entropy[t]!;
      result.dEntropy![t] = -coef / kept;
    }
  }
  metrics.addTokens("entropy", sum);
}

/**
 * Computes a loss of a batch with its gradient: policy term, masks, correction, KL term, entropy
 * bonus, in TRL's order.
 *
 * Per token: weight * (gate * correction * policy + beta * kl), where the weight is the loss's
 * normaliser, the gate the off-policy and top-entropy masks, and neither gate nor correction has a
 * gradient. Less entropy_coef times mean entropy. With `mask_truncated_completions` a truncated
 * completion has no tokens but counts as a completion.
 *
 * The batch may be a part of an optimizer step: the results over any parts of whole completions,
 * put together by `combineResults`, are the result of the step.
 *
 * Numerics: float64.
 *
 * Metrics: `kl` with a reference (also at beta 0), `entropy` with entropies, `policy_loss` with an
 * entropy bonus, `sampling/*` with sampling log-probabilities, and the loss's own.
 *
 * @param totals sums over the whole step, by `stepTotals`.
 * @throws {RangeError} when the batch lacks a column that the settings need, or the formula refuses them.
 *
 * Source: TRL 1.16 `GRPOTrainer._compute_loss`.
 */
export function formulaLoss<Own>(
  formula: PolicyFormula<Own>,
  batch: LossBatch,
  settings: CommonLossSettings & Own,
  totals: StepTotals,
): LossResult {
  const metrics = new LossMetrics(totals);
  const dLogp = new Float64Array(batch.logp.length);
  const result: LossResult = { loss: 0, dLogp, keptEntropy: 0, metrics: metrics.values };
  const work = { formula, batch, settings, totals, result, metrics };
  check(work);
  for (const completion of batch.completions) addCompletion(work, completion);
  if (settings.entropy_coef !== 0) metrics.add("policy_loss", result.loss);
  addEntropy(work);
  return result;
}

/** Computes the loss that the settings name: {@link formulaLoss} with its formula. */
export function policyLoss(
  batch: LossBatch,
  settings: LossSettings,
  totals: StepTotals,
): LossResult {
  return formulaLoss(LOSSES[settings.loss_type], batch, settings, totals);
}
