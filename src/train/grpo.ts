import { maskedBy, type MaskRules } from "../core/degenerate.ts";
import type { Events } from "../core/events.ts";
import { reportSpan } from "../core/run-events.ts";
import type { SampleLoader } from "../data/sample-loader.ts";
import type { DataRow } from "../data/dataset.ts";
import type { Model } from "../model/model.ts";
import type { Processor } from "../model/processor.ts";
import type { AsyncReward, Score, WeightedReward } from "../reward/reward.ts";
import { RewardScorer } from "../reward/scorer.ts";
import type { Generator } from "../rollout/generator.ts";
import type { RolloutConfig } from "../rollout/schema.ts";
import { computeAdvantages } from "../policy/advantages.ts";
import { type DrawOptions, drawGroups, rowsToAsk } from "./draw-groups.ts";
import { betaAt } from "../policy/loss/beta.ts";
import {
  activeEntropyCoef,
  adaptEntropyCoef,
  type EntropyControl,
} from "../policy/loss/entropy-control.ts";
import { klPenalisedRewards } from "../policy/loss/kl.ts";
import type { AdamW } from "./optimizer.ts";
import { MeanMeter } from "./mean-meter.ts";
import { policyTree, lossBatch, type PolicyTree } from "../policy/trees.ts";
import { PolicyUpdater } from "../policy/update.ts";
import type { Reference } from "../policy/reference.ts";
import {
  checkGroups,
  type Checks,
  recordGroups,
  type RolloutGroup,
  type RolloutSetup,
} from "./rollout-batch.ts";
import type { TrainConfig } from "./schema.ts";

/** What a GRPO trainer works with. */
export interface GrpoSetup {
  model: Model;
  /** For a KL term or its measurement; absent where neither is asked for. */
  reference?: Reference;
  processor: Processor;
  loader: SampleLoader;
  generator: Generator;
  optimizer: AdamW;
  rewards: readonly WeightedReward<DataRow, AsyncReward<DataRow>>[];
  train: TrainConfig;
  /** Steps of the run, over which schedules run. */
  totalSteps: number;
  rollout: RolloutConfig;
  /** Rules that may take degenerate completions out of the loss; none when left out. */
  health?: MaskRules;
  events: Events;
}

/** Where a step stands in its run. */
export interface StepPlace {
  /** Number of the step, from 1. */
  step: number;
  /** The draw counter of the step's first rollout batch. */
  draw: number;
  /** Learning rate. */
  rate: number;
  /** The rows that the step after this one will ask for: they are decoded while this one trains. */
  upcoming?: (count: number) => readonly DataRow[];
  /** The adaptive entropy bonus as the step before left it; left out for a run's first. */
  entropyControl?: EntropyControl | null;
}

/** What a step measured, before it becomes metrics. */
export interface GrpoStep {
  groups: {
    rewards: number[];
    scores: Score[];
    lengths: number[];
    ended: boolean[];
    /** Completions of every group. */
    sizes: number[];
  };
  /** What the completions are besides their rewards. */
  checks: Checks;
  metrics: Record<string, number>;
  tokens: number;
  /** Draws that the step used. */
  draws: number;
  /** The adaptive entropy bonus after the step; null where there is none. */
  entropyControl: EntropyControl | null;
}

/**
 * Group relative policy optimisation (Shao et al. 2024) and its relatives: rollout, rewards,
 * advantages, a policy loss on packed trees, one or more AdamW updates per rollout batch.
 */
export class GrpoTrainer {
  readonly #setup: GrpoSetup;
  readonly #rollouts: RolloutSetup;
  readonly #updater: PolicyUpdater;

  constructor(setup: GrpoSetup) {
    const { model, processor, loader, generator, train, rollout, events } = setup;
    this.#setup = setup;
    this.#rollouts = {
      ...{ processor, loader, generator, rollout, events },
      scorer: new RewardScorer(setup.rewards, events),
      generations: train.num_generations,
      seed: train.seed,
    };
    this.#updater = new PolicyUpdater({
      ...{ model, generator },
      gradientCheckpointing: train.gradient_checkpointing,
      tokensPerPass: train.max_tokens_per_pass,
      temperature: rollout.temperature,
      maxCompletionLength: rollout.max_completion_length,
    });
  }

  /**
   * One optimizer step's worth of rollouts, and its updates.
   *
   * @param next gives the next rows of the run; asked again where groups are dropped.
   */
  async step(next: DrawOptions["next"], place: StepPlace): Promise<GrpoStep> {
    const { train, rollout, optimizer, events } = this.#setup;
    const span = <T>(name: string, work: () => T | Promise<T>) =>
      reportSpan(events, name, place.step, work);
    const started = performance.now();
    const { step, draw } = place;
    const wanted = train.prompts_per_step;
    const byComponent = train.advantage_estimator === "gdpo";
    const drawn = await drawGroups(this.#rollouts, { next, wanted, step, draw, byComponent });
    const rolloutS = (performance.now() - started) / 1000;
    void this.#rollouts.loader.prefetch(
      place.upcoming?.(rowsToAsk(wanted, rollout.over_sampling)) ?? [],
    );
    const { groups } = drawn;
    const flat = groups.flatMap(({ scores }) => scores);
    const rewards = flat.map(({ total }) => total ?? NaN);
    const trees = groups.map(({ sample, completions }, group) =>
      policyTree(sample, group, completions),
    );
    await this.#scoreReference(trees, step);
    const beta = betaAt(train.beta_schedule, train.beta, step - 1, this.#setup.totalSteps);
    const advantages = this.#advantages(trees, rewards, flat, beta);
    const checks = checkGroups(groups);
    const verdicts = { ...checks, masked: this.#mask(groups, trees) };
    recordGroups(events, groups, step, { ...verdicts, advantages });
    const settings = { ...train, beta: train.kl_in_reward ? 0 : beta };
    const metrics = new MeanMeter();
    let measured: Record<string, number> | undefined;
    let tokens = 0;
    let entropyControl: EntropyControl | null = null;
    if (train.use_adaptive_entropy) {
      entropyControl = place.entropyControl ?? { coef: train.entropy_coef, lastEntropy: null };
    }
    const parts = minibatches(trees, train.num_minibatches);
    for (let iteration = 0; iteration < train.num_iterations; iteration++) {
      for (const part of parts) {
        if (train.top_entropy_quantile < 1) {
          await span("entropies", () => this.#updater.scoreEntropies(part));
        }
        const coef = entropyControl && activeEntropyCoef(entropyControl, train);
        const own = { ...settings, entropy_coef: coef ?? train.entropy_coef };
        const accumulated = await span("training pass", () =>
          this.#updater.accumulate(part, drawn.held, own),
        );
        const { result, parity } = accumulated;
        if (entropyControl !== null) {
          entropyControl = adaptEntropyCoef(entropyControl, result.keptEntropy, train);
          result.metrics["entropy_coef"] = entropyControl.coef;
          result.metrics["policy_loss"] ??= result.loss;
        }
        if (measured === undefined) {
          const rest = parts.slice(1).flat();
          if (rest.length > 0) await span("parity", () => this.#updater.addParity(parity, rest));
          parity.check();
          measured = parity.metrics();
        }
        tokens += accumulated.tokens;
        await span("optimizer", () => optimizer.update(place.rate));
        const norm = await span("gradient norm", () => optimizer.gradientNorm());
        metrics.add({ ...result.metrics, loss: result.loss, grad_norm: norm });
      }
    }
    const completions = groups.flatMap((group) => group.completions);
    return {
      groups: {
        rewards,
        scores: flat,
        lengths: completions.map(({ ids }) => ids.length),
        ended: completions.map(({ finished }) => finished),
        sizes: groups.map((group) => group.completions.length),
      },
      entropyControl,
      checks,
      tokens,
      draws: drawn.draws,
      metrics: {
        ...metrics.means(),
        ...measured,
        beta,
        learning_rate: place.rate,
        "rollout/batches": drawn.batches,
        "rollout/tokens_per_s": drawn.sampled / rolloutS,
        "time/rollout": rolloutS,
      },
    };
  }

  /** Frees the plans of training. */
  destroy(): void {
    this.#updater.destroy();
  }

  async #scoreReference(trees: readonly PolicyTree[], step: number): Promise<void> {
    const { reference, events } = this.#setup;
    if (reference === undefined) return;
    const score = () => this.#updater.scoreReference(reference.weights, trees);
    await reportSpan(events, "reference", step, score);
  }

  /** Takes completions out of the loss that a rule of the run's health masks. */
  #mask(groups: readonly RolloutGroup[], trees: readonly PolicyTree[]): boolean[] {
    const { health } = this.#setup;
    const completions = trees.flatMap((tree) => tree.completions);
    if (health === undefined) return completions.map(() => false);
    const said = groups.flatMap((group) => group.said);
    const masked = maskedBy(
      said.map(({ text, ids, finished }) => ({
        ...{ text, finished },
        ids: finished ? ids.slice(0, -1) : ids,
      })),
      health,
    );
    completions.forEach((completion, i) => (completion.masked = masked[i]!));
    return masked;
  }

  #advantages(
    trees: readonly PolicyTree[],
    rewards: number[],
    scores: readonly Score[],
    beta: number,
  ): Float64Array {
    const { train, rewards: parts } = this.#setup;
    const estimator =
      train.advantage_estimator === "grpo" ? train.scale_rewards : train.advantage_estimator;
    const penalised = train.kl_in_reward
      ? klPenalisedRewards(rewards, lossBatch(trees, { logp: [] }, false), { ...train, beta })
      : rewards;
    const completions = trees.flatMap((tree) => tree.completions);
    const sizes = trees.map((tree) => tree.completions.length);
    const { advantages } = computeAdvantages(penalised, sizes, estimator, {
      lengths: completions.map(({ ids }) => ids.length),
      components: parts.map(({ reward: { name } }) =>
        scores.map(({ components }) => components[name] ?? NaN),
      ),
      weights: parts.map(({ weight }) => weight),
    });
    completions.forEach((completion, i) => (completion.advantage = advantages[i]!));
    return advantages;
  }
}

/** Cuts the groups of a step into parts of whole groups, in order, one update each. */
function minibatches<T>(groups: readonly T[], count: number): T[][] {
  const parts = Math.min(count, groups.length);
  return Array.from({ length: parts }, (_, part) =>
    groups.slice(
      Math.floor((part * groups.length) / parts),
      Math.floor(((part + 1) * groups.length) / parts),
    ),
  );
}
