/** Bounds and pace of an adaptive entropy bonus, under TRL's names and with its meaning. */
export interface EntropyControlSettings {
  /** Mean entropy per token, in nats, at or below which the bonus acts and grows. */
  entropy_target: number;
  entropy_coef_delta: number;
  entropy_coef_min: number;
  entropy_coef_max: number;
}

/** State of an adaptive entropy bonus between updates; part of a checkpoint. */
export interface EntropyControl {
  coef: number;
  /** Mean entropy of the update before; null before the first, which has no bonus. */
  lastEntropy: number | null;
}

/**
 * Returns the `entropy_coef` of the coming update: the coefficient while entropy is low, else 0.
 */
export function activeEntropyCoef(
  control: EntropyControl,
  settings: Pick<EntropyControlSettings, "entropy_target">,
): number {
  const { coef, lastEntropy } = control;
  return lastEntropy !== null && lastEntropy <= settings.entropy_target ? coef : 0;
}

/**
 * Returns the control after an update of this mean entropy over the tokens that the loss acts on:
 * the coefficient moves by delta within its bounds, up while entropy is at most the target, else
 * down.
 *
 * Source: He et al. 2025 (Skywork-OR1), section 4; TRL 1.16 `use_adaptive_entropy`.
 */
export function adaptEntropyCoef(
  control: EntropyControl,
  entropy: number,
  settings: EntropyControlSettings,
): EntropyControl {
  const { entropy_coef_delta: delta, entropy_coef_min: min, entropy_coef_max: max } = settings;
  const coef =
    entropy <= settings.entropy_target
      ? Math.min(control.coef + delta, max)
      : Math.max(control.coef - delta, min);
  return { coef, lastEntropy: entropy };
}
