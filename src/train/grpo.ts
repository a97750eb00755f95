import { maskedBy, type MaskRules } from "../core/degenerate.ts";
import type { Events } from "../core/events.ts";
import { reportInStep, reportSpan } from "../core/run-events.ts";
import type { SampleLoader } from "../data/sample-loader.ts";
import type { DataRow } from "../data/dataset.ts";
import type { Model } from "../model/model.ts";
import type { Processor } from "../model/processor.ts";
import { computeAdvantages } from "../policy/advantages.ts";
import { betaAt } from "../policy/loss/kl.ts";
import {
  activeEntropyCoef,
  adaptEntropyCoef,
  type EntropyControl,
} from "../policy/loss/entropy-control.ts";
import { klPenalisedRewards } from "../policy/loss/kl.ts";
import type { Reference } from "../policy/reference.ts";
import { rewardedCompletions, rolloutMetrics } from "../policy/rollout-metrics.ts";
import { lossBatch, policyTrees } from "../policy/trees.ts";
import { PolicyUpdater } from "../policy/update.ts";
import type { AsyncReward, WeightedReward } from "../reward/reward.ts";
import { RewardScorer } from "../reward/scorer.ts";
import { type Checks, checkGroups, recordGroups } from "../rollout/records.ts";
import type { RolloutSetup } from "../rollout/roll-out.ts";
import type { RolloutConfig } from "../rollout/schema.ts";
import type { RolloutSource } from "../rollout/source.ts";
import type { PolicyTree, RolloutGroup } from "../rollout/types.ts";
import { type DrawnGroups, drawGroups, rowsToAsk } from "./draw-groups.ts";
import { MeanMeter } from "./mean-meter.ts";
import type { AdamW } from "./optimizer.ts";
import type { RowSource } from "./row-feed.ts";
import type { TrainConfig } from "./schema.ts";
import type { Cursor, StepResult, TrainingTask } from "./task.ts";

/*
 * Group relative policy optimisation (Shao et al. 2024) and its relatives. One step:
 *
 *   draw        the next rows; G completions each; rewards (draw-groups.ts). Groups whose rewards
 *               are all equal may be replaced by groups of further rows (dynamic sampling)
 *   value       log-probabilities under the reference policy; advantages within groups, in float64;
 *               completions that a rule of the run's health takes out
 *   record      every completion as an event, before anything is trained on it
 *   update      iterations x minibatches of whole groups: gradients of the loss over packed trees
 *               (policy/update.ts), one AdamW update each. Before the first, rollout and training
 *               must agree on every log-probability, or the run ends with no weight moved
 *   reference   moved towards the policy, where that is asked for and due
 *
 * The step takes the cursor of the run and returns the next one, and everything random in it is a
 * function of seed, sample, draw, completion and position: a step that is done again after a crash is
 * the same step.
 *
 * Where the defaults differ from the paper: no KL term (beta 0; the paper has 0.04), the mean of the
 * loss is over all tokens of the step (DAPO) and not over completions first (`loss_type: grpo`), and
 * equal rewards give exactly 0 where the paper divides 0 by 0 plus an offset. The paper updates the
 * reference in an outer loop; here it is the starting policy, or moves by `sync_ref_model`. A row may
 * name the size of its group. Correctness and format are measured beside the reward, so that a reward
 * that is farmed shows.
 *
 * Sources: Shao et al. 2024 (GRPO), arXiv 2402.03300; Yu et al. 2025 (DAPO), arXiv 2503.14476; TRL
 * 1.16 `GRPOTrainer`.
 */

/** Parts and settings of GRPO. */
export interface GrpoSetup {
  model: Model;
  processor: Processor;
  loader: Pick<SampleLoader, "loadAll" | "prefetch">;
  source: RolloutSource;
  optimizer: AdamW;
  /** For a KL term or its measurement; absent where neither is asked for. */
  reference?: Reference | undefined;
  rewards: readonly WeightedReward<DataRow, AsyncReward<DataRow>>[];
  train: TrainConfig;
  /** Steps of the run, over which schedules run. */
  totalSteps: number;
  rollout: RolloutConfig;
  /** The rows of the run by their place. */
  feed: RowSource;
  /** Leaves out, and counts, rows that cannot be read. */
  lenient?: boolean;
  /** Learning rate of a step, counted from 0. */
  learningRate: (step: number) => number;
  /** Rules that may take degenerate completions out of the loss; none when left out. */
  health?: MaskRules;
  events: Events;
}

/** Measures of a GRPO step, and its completions. */
export interface GrpoStep extends StepResult {
  groups: readonly RolloutGroup[];
}

/** A step's completions as they are trained on, and what is known of them. */
interface Valued extends Checks {
  trees: PolicyTree[];
  masked: boolean[];
  advantages: Float64Array;
}

/** GRPO as a task of the training loop: rows in order, one rollout batch per step. */
export class GrpoTask implements TrainingTask {
  readonly totalSteps: number;
  readonly optimizer: AdamW;
  readonly #setup: GrpoSetup;
  readonly #rollouts: RolloutSetup;
  readonly #updater: PolicyUpdater;
  #destroyed = false;
  /** Number of the step that is being done. */
  #at = 0;

  constructor(setup: GrpoSetup) {
    const { model, processor, loader, source, train, rollout, events } = setup;
    this.#setup = setup;
    this.totalSteps = setup.totalSteps;
    this.optimizer = setup.optimizer;
    this.#rollouts = {
      ...{ processor, loader, source, events },
      sampling: {
        temperature: rollout.temperature,
        topK: rollout.top_k,
        topP: rollout.top_p,
        minP: rollout.min_p ?? 0,
        repetitionPenalty: rollout.repetition_penalty,
        maxNewTokens: rollout.max_completion_length,
        seed: train.seed,
      },
      scorer: new RewardScorer(setup.rewards, events),
      generations: train.num_generations,
    };
    this.#updater = new PolicyUpdater({
      ...{ model, rollouts: source },
      gradientCheckpointing: train.gradient_checkpointing,
      tokensPerPass: train.max_tokens_per_pass,
      temperature: rollout.temperature,
      maxCompletionLength: rollout.max_completion_length,
      onPass: (what, done, total) => reportInStep(events, this.#at, what, done, total, "passes"),
    });
  }

  /** The reference policy where it moves: one that stays is what the run starts from. */
  get reference(): Reference | undefined {
    return this.#setup.train.sync_ref_model ? this.#setup.reference : undefined;
  }

  /**
   * Does one rollout batch and its updates.
   *
   * @throws {AubadeError} `rollout-mismatch`; {DataError} of rows and samples.
   */
  async step(cursor: Cursor): Promise<GrpoStep> {
    const { train, events } = this.#setup;
    const step = (this.#at = cursor.step + 1);
    const started = performance.now();
    const drawn = await this.#draw(cursor);
    const rolloutS = (performance.now() - started) / 1000;
    const { groups } = drawn;
    const beta = betaAt(train.beta_schedule, train.beta, cursor.step, this.totalSteps);
    const valued = await this.#value(groups, step, beta);
    recordGroups(events, groups, step, valued);
    const updated = await this.#update(valued.trees, cursor, train.kl_in_reward ? 0 : beta);
    await this.#moveReference(step);
    return {
      groups,
      tokens: updated.tokens,
      cursor: {
        ...{ step, draw: cursor.draw + drawn.draws },
        ...{ samplesConsumed: drawn.end, entropyControl: updated.entropyControl },
      },
      metrics: {
        ...updated.metrics,
        beta,
        learning_rate: this.#setup.learningRate(cursor.step),
        "rollout/batches": drawn.batches,
        "rollout/tokens_per_s": drawn.sampled / rolloutS,
        "time/rollout": rolloutS,
        "data/rows_over_budget": drawn.leftOut.over_budget,
        ...(this.#setup.lenient === true && {
          "data/rows_unreadable": drawn.leftOut.unreadable,
        }),
        ...rolloutMetrics(rewardedCompletions(groups, valued)),
      },
    };
  }

  /** Frees optimizer, reference, rollout source and plans; a second time does nothing. */
  destroy(): void {
    if (this.#destroyed) return;
    this.#destroyed = true;
    this.#updater.destroy();
    this.#setup.source.destroy();
    this.optimizer.destroy();
    this.#setup.reference?.destroy();
  }

  #span<T>(name: string, step: number, work: () => T | Promise<T>): Promise<T> {
    return reportSpan(this.#setup.events, name, step, work);
  }

  /** Rolls a step's groups out, and has the files of the step after it decoded meanwhile. */
  async #draw({ step, draw, samplesConsumed }: Cursor): Promise<DrawnGroups> {
    const { train, rollout, feed, loader } = this.#setup;
    const [wanted, over] = [train.prompts_per_step, rollout.over_sampling];
    const drawn = await drawGroups(this.#rollouts, feed, {
      ...{ place: samplesConsumed, wanted, step: step + 1, draw, over },
      byComponent: train.advantage_estimator === "gdpo",
      limit: rollout.max_batches_per_step,
    });
    if (step + 1 < this.totalSteps) {
      void loader.prefetch(feed.ahead(drawn.end, rowsToAsk(wanted, over)));
    }
    return drawn;
  }

  /** Turns groups into trees with everything that the loss needs. */
  async #value(groups: readonly RolloutGroup[], step: number, beta: number): Promise<Valued> {
    const policy = this.#setup.reference;
    const reference =
      policy &&
      (await this.#span("reference", step, () => this.#updater.referenceLogProbs(policy, groups)));
    const advantages = this.#advantages(groups, reference, beta);
    const masked = this.#masked(groups);
    const trees = policyTrees(groups, { reference, advantages, masked });
    return { trees, advantages, masked, ...checkGroups(groups) };
  }

  #advantages(
    groups: readonly RolloutGroup[],
    reference: readonly (readonly number[])[] | undefined,
    beta: number,
  ): Float64Array {
    const { train, rewards: parts } = this.#setup;
    const scores = groups.flatMap((group) => group.scores);
    const rewards = scores.map(({ total }) => total ?? NaN);
    const estimator =
      train.advantage_estimator === "grpo" ? train.scale_rewards : train.advantage_estimator;
    const batch = () => lossBatch(policyTrees(groups, { reference }), { logp: [] }, false);
    const penalised = train.kl_in_reward
      ? klPenalisedRewards(rewards, batch(), { ...train, beta })
      : rewards;
    const sizes = groups.map(({ completions }) => completions.length);
    return computeAdvantages(penalised, sizes, estimator, {
      lengths: groups.flatMap(({ completions }) => completions.map(({ ids }) => ids.length)),
      components: parts.map(({ reward: { name } }) =>
        scores.map(({ components }) => components[name] ?? NaN),
      ),
      weights: parts.map(({ weight }) => weight),
    }).advantages;
  }

  /** Tells of every completion whether a rule of the run's health takes it out of the loss. */
  #masked(groups: readonly RolloutGroup[]): boolean[] {
    const { health } = this.#setup;
    const said = groups.flatMap((group) => group.said);
    if (health === undefined) return said.map(() => false);
    const plain = said.map(({ text, ids, finished }) => ({
      ...{ text, finished },
      ids: finished ? ids.slice(0, -1) : ids,
    }));
    return maskedBy(plain, health);
  }

  /** Goes over the trees as often as asked, with an update for every minibatch. */
  async #update(
    trees: readonly PolicyTree[],
    cursor: Cursor,
    beta: number,
  ): Promise<Pick<StepResult, "metrics" | "tokens"> & Pick<Cursor, "entropyControl">> {
    const { train } = this.#setup;
    const step = cursor.step + 1;
    const rate = this.#setup.learningRate(cursor.step);
    const meter = new MeanMeter();
    let measured: Record<string, number> | undefined;
    let tokens = 0;
    let control: EntropyControl | null = train.use_adaptive_entropy
      ? (cursor.entropyControl ?? { coef: train.entropy_coef, lastEntropy: null })
      : null;
    const parts = minibatches(trees, train.num_minibatches);
    const all = Array.from({ length: train.num_iterations }, () => parts).flat();
    for (const part of all) {
      const entropy_coef = control ? activeEntropyCoef(control, train) : train.entropy_coef;
      const chosen = train.top_entropy_quantile < 1;
      const entropies = chosen
        ? await this.#span("entropies", step, () => this.#updater.entropies(part))
        : undefined;
      const { result, parity, ...accumulated } = await this.#span("training pass", step, () =>
        this.#updater.accumulate(part, { ...train, beta, entropy_coef }, entropies),
      );
      if (control !== null) {
        control = adaptEntropyCoef(control, result.keptEntropy, train);
        result.metrics["entropy_coef"] = control.coef;
        result.metrics["policy_loss"] ??= result.loss;
      }
      if (measured === undefined) {
        const rest = parts.slice(1).flat();
        if (rest.length > 0) {
          await this.#span("parity", step, () => this.#updater.addParity(parity, rest));
        }
        parity.check();
        measured = parity.metrics();
      }
      tokens += accumulated.tokens;
      await this.#span("optimizer", step, () => this.optimizer.update(rate));
      const norm = await this.#span("gradient norm", step, () => this.optimizer.gradientNorm());
      meter.add({ ...result.metrics, loss: result.loss, grad_norm: norm });
    }
    return { metrics: { ...meter.means(), ...measured }, tokens, entropyControl: control };
  }

  async #moveReference(step: number): Promise<void> {
    const { reference } = this;
    const { ref_model_sync_steps: every, ref_model_mixup_alpha: alpha } = this.#setup.train;
    if (reference === undefined || step % every !== 0) return;
    await this.#span("reference sync", step, () => reference.synchronise(alpha));
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
