import type { CommonLossSettings } from "./settings.ts";
import type { LossBatch } from "./types.ts";

/** The settings that a KL estimate depends on. */
export type KlSettings = Pick<
  CommonLossSettings,
  "kl_estimator" | "kl_gradient" | "kl_input_clamp_value" | "kl_output_clamp_value"
>;

/**
 * Returns an estimate of KL(policy || reference) from one token of the policy, with its derivative
 * by logp.
 *
 * With r = reference - logp: k1 = -r, k2 = r^2 / 2, k3 = exp(r) - r - 1, abs = |r|. The clamps of
 * verl and NeMo (20 and 10 there, off in TRL) bound r before and the estimate after; a clamped
 * value does not move.
 *
 * Gradients by `kl_gradient`: `differentiated` is the estimate's own derivative (TRL), which in
 * expectation is the gradient of the KL for k2 only: for k1 it is 1 for every token and 0 in
 * expectation. `straight_through` is the value of the estimate with the derivative of k2 without
 * clamps (verl's `k1+`, `k3+`). `score_function` adds the value itself to the derivative, that is
 * exp(logp - sg(logp)) times the estimate (NeMo).
 *
 * Source: Schulman 2020, "Approximating KL divergence"; verl `kl_penalty`; NeMo-RL `calculate_kl`.
 */
export function klTerm(
  logp: number,
  reference: number,
  settings: KlSettings,
): { value: number; slope: number } {
  const raw = reference - logp;
  const bound = settings.kl_input_clamp_value ?? Infinity;
  const r = Math.min(Math.max(raw, -bound), bound);
  let value: number;
  let byR: number;
  switch (settings.kl_estimator) {
    case "k1":
      [value, byR] = [-r, -1];
      break;
    case "k2":
      [value, byR] = [r ** 2 / 2, r];
      break;
    case "k3":
      [value, byR] = [Math.expm1(r) - r, Math.expm1(r)];
      break;
    case "abs":
      [value, byR] = [Math.abs(r), Math.sign(r)];
  }
  const limit = settings.kl_output_clamp_value ?? Infinity;
  const inside = Math.abs(raw) <= bound && Math.abs(value) <= limit;
  value = Math.min(Math.max(value, -limit), limit);
  const slope = inside ? -byR : 0;
  switch (settings.kl_gradient) {
    case "differentiated":
      return { value, slope };
    case "straight_through":
      return { value, slope: -raw };
    case "score_function":
      return { value, slope: slope + value };
  }
}

/**
 * Rewards less beta times the KL estimate of each completion: KL in the reward, not in the loss.
 *
 * The estimate is the sum over the completion's tokens between the rollout policy (`old`) and the
 * reference. It is part of the reward, so no gradient goes through it; with it the loss takes beta 0.
 * A NaN reward stays NaN.
 *
 * @param rewards one per completion of the batch.
 * @throws {RangeError} when the batch has no reference, or another number of completions.
 *
 * Source: verl `apply_kl_penalty`; ms-swift `kl_in_reward`.
 */
export function klPenalisedRewards(
  rewards: ArrayLike<number>,
  batch: Pick<LossBatch, "completions" | "old" | "reference">,
  settings: KlSettings & Pick<CommonLossSettings, "beta">,
): Float64Array {
  const { completions, old, reference } = batch;
  if (reference === undefined) throw new RangeError("KL in the reward needs a reference policy.");
  if (rewards.length !== completions.length) {
    throw new RangeError(`${rewards.length} rewards for ${completions.length} completions.`);
  }
  return Float64Array.from(rewards, (reward, i) => {
    const { start, length } = completions[i]!;
    let sum = 0;
    for (let t = start; t < start + length; t++) {
      sum += klTerm(old[t]!, reference[t]!, settings).value;
    }
    return reward - settings.beta * sum;
  });
}

/** Courses of the weight of the KL term over training. */
export type BetaSchedule = "constant" | "humanomni_v2";

/**
 * Returns the weight of the KL term at a step.
 *
 * `humanomni_v2` falls linearly from beta to a quarter of it over the first half of the run and
 * stays there.
 *
 * @param step optimizer steps done so far; @param maxSteps optimizer steps of the run.
 *
 * Source: HumanOmniV2's trainer (`beta * (1 - 0.75 * step / (max / 2))`, then `0.25 * beta`).
 */
export function betaAt(
  schedule: BetaSchedule,
  beta: number,
  step: number,
  maxSteps: number,
): number {
  if (schedule === "constant") return beta;
  const half = maxSteps / 2;
  return step < half ? beta * (1 - (0.75 * step) / half) : 0.25 * beta;
}
