/** How the weight of the KL term runs over training. */
export type BetaSchedule = "constant" | "humanomni_v2";

/**
 * Weight of the KL term at a step.
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
