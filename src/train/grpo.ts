import { AubadeError } from "../core/errors.ts";
import type { Events } from "../core/events.ts";
import { report, reportSpan } from "../core/run-events.ts";
import type { SampleLoader } from "../data/sample-loader.ts";
import type { TinyRow } from "../data/tiny/dataset.ts";
import { asCompletion } from "../eval/evaluate.ts";
import { scalar, type Extent } from "../graph/extent.ts";
import type { Graph, Tensor } from "../graph/graph.ts";
import type { GrowingPlan } from "../graph/growing-plan.ts";
import { POLICY_TERMS, policyLoss } from "../graph/ops/loss.ts";
import { mergeFeeds, type Feed } from "../models/feed.ts";
import type { Model } from "../models/model.ts";
import { storedFeatures } from "../models/decoder/packed-decoder.ts";
import { completionBranch, treeTokens, type Tree } from "../models/decoder/packed.ts";
import type { Processor } from "../models/process/processor.ts";
import { checkLedger, type Sample } from "../models/process/sample.ts";
import { ADAPTER_SCALAR } from "../nn/layers.ts";
import { formatReward } from "../reward/format.ts";
import { accuracyReward } from "../reward/lenient-answer.ts";
import {
  combineRewards,
  type Completion,
  type Score,
  type WeightedReward,
} from "../reward/reward.ts";
import type { GeneratedCompletion, Generator } from "../rollout/generator.ts";
import type { RolloutConfig } from "../rollout/schema.ts";
import { computeAdvantages } from "./advantages.ts";
import { tokenWeights } from "./normaliser.ts";
import type { AdamW } from "./optimizer.ts";
import { scoringPass, trainingPass } from "./pass.ts";
import { cutPasses } from "./sft-batch.ts";
import type { TrainConfig } from "./schema.ts";

/** Limits on |rollout - training log-probability|: mean and max, before a batch's first update. */
const PARITY_LIMITS = { mean: 1e-5, max: 1e-3 };
/** Banned mass above which a token is a health warning. */
const BANNED_MASS = 1e-3;

/** What a GRPO trainer works with. */
export interface GrpoSetup {
  model: Model;
  /**
   * The starting policy, for a KL term or its measurement; absent where neither is asked for. The
   * model itself when only its adapters train: they are switched off for it.
   */
  reference?: Model;
  processor: Processor;
  loader: SampleLoader;
  generator: Generator;
  optimizer: AdamW;
  rewards: readonly WeightedReward<TinyRow>[];
  train: TrainConfig;
  rollout: RolloutConfig;
  events: Events;
}

/** One group after its rollout. */
interface Rollout {
  row: TinyRow;
  sample: Sample;
  completions: GeneratedCompletion[];
}

/** One group as it was decoded, with its rewards. */
interface Group extends Rollout {
  /** The completions as rewards see them. */
  said: Completion[];
  scores: Score[];
}

/** One tree of a pass with the per-token columns that the loss needs. */
interface PolicyTree {
  tree: Tree;
  sample: Sample;
  old: number[];
  reference: number[];
  advantage: number[];
  weight: number[];
}

/** What a step measured, before it becomes metrics. */
export interface GrpoStep {
  groups: { rewards: number[]; scores: Score[]; lengths: number[]; ended: boolean[] };
  correct: boolean[];
  formatted: boolean[];
  metrics: Record<string, number>;
  tokens: number;
}

function policyTrace(graph: Graph, out: Tensor, rows: Extent, train: TrainConfig) {
  const column = (name: string) => graph.input(`policy.${name}`, rows, 1);
  return policyLoss(
    graph,
    {
      out,
      old: column("old"),
      reference: column("reference"),
      advantage: column("advantage"),
      weight: column("weight"),
    },
    {
      epsilonLow: train.epsilon,
      epsilonHigh: train.epsilon_high ?? train.epsilon,
      beta: scalar("beta"),
      entropyCoef: 0,
    },
  );
}

/**
 * Group relative policy optimisation (Shao et al. 2024): rollout, rewards, advantages within groups,
 * clipped token loss on packed trees, one or more AdamW updates per rollout.
 */
export class GrpoTrainer {
  readonly #setup: GrpoSetup;
  readonly #reward: (completion: Completion, row: TinyRow) => Score;
  #pass: GrowingPlan | undefined;
  #scoring: GrowingPlan | undefined;
  #planned: unknown;

  constructor(setup: GrpoSetup) {
    this.#setup = setup;
    this.#reward = combineRewards(setup.rewards);
  }

  /**
   * One rollout batch and its updates.
   *
   * @param rows one per group; @param draw the batch's draw counter; @param rate learning rate.
   */
  async step(
    rows: readonly TinyRow[],
    draw: number,
    rate: number,
    step: number,
  ): Promise<GrpoStep> {
    const { train, optimizer, events, reference } = this.#setup;
    const span = <T>(name: string, work: () => T | Promise<T>) =>
      reportSpan(events, name, step, work);
    const started = performance.now();
    const rolled = await span("rollout", () => this.#rollout(rows, draw));
    const groups = await span("rewards", () => this.#score(rolled, draw));
    const rolloutS = (performance.now() - started) / 1000;
    this.#record(groups, step, draw);
    const flat = groups.flatMap(({ scores }) => scores);
    const rewards = flat.map(({ total }) => total ?? NaN);
    const { advantages } = computeAdvantages(rewards, train.num_generations, train.scale_rewards);
    const trees = await this.#trees(groups, advantages);
    const sums: Record<string, number> = {};
    let tokens = 0;
    for (let iteration = 0; iteration < train.num_iterations; iteration++) {
      const measured = await span("training pass", () => this.#accumulate(trees, iteration === 0));
      if (iteration === 0) this.#checkParity(measured.sums, measured.worst);
      for (const [name, value] of Object.entries(measured.sums)) {
        sums[name] = (sums[name] ?? 0) + value / train.num_iterations;
      }
      if (iteration === 0) sums["worst"] = measured.worst;
      tokens += measured.tokens;
      await span("optimizer", () => optimizer.update(rate));
    }
    const gradNorm = await span("gradient norm", () => optimizer.gradientNorm());
    const completions = groups.flatMap((group) => group.completions);
    const sampled = completions.reduce((sum, { ids }) => sum + ids.length, 0);
    const count = sums["tokens"]!;
    return {
      groups: {
        rewards,
        scores: flat,
        lengths: completions.map(({ ids }) => ids.length),
        ended: completions.map(({ finished }) => finished),
      },
      ...this.#judge(groups),
      tokens,
      metrics: {
        loss: sums["loss"]!,
        kl: reference === undefined ? NaN : sums["kl"]! / count,
        entropy: sums["entropy"]! / count,
        "clip_ratio/region_mean": (sums["clipped_low"]! + sums["clipped_high"]!) / count,
        "clip_ratio/low_mean": sums["clipped_low"]! / count,
        "clip_ratio/high_mean": sums["clipped_high"]! / count,
        "sampling/sampling_logp_difference/mean": sums["parity"]! / count,
        "sampling/sampling_logp_difference/max": sums["worst"]!,
        grad_norm: gradNorm,
        learning_rate: rate,
        "rollout/tokens_per_s": sampled / rolloutS,
        "time/rollout": rolloutS,
      },
    };
  }

  async #rollout(rows: readonly TinyRow[], draw: number): Promise<Rollout[]> {
    const { loader, generator, train, rollout } = this.#setup;
    const samples = await loader.loadAll(rows);
    const requests = samples.map((sample) => ({
      sample,
      generations: train.num_generations,
      draw,
    }));
    const generated = await generator.generate(requests, {
      temperature: rollout.temperature,
      topK: rollout.top_k,
      topP: rollout.top_p,
      minP: rollout.min_p ?? 0,
      repetitionPenalty: rollout.repetition_penalty,
      maxNewTokens: rollout.max_completion_length,
      seed: train.seed,
    });
    return rows.map((row, i) => ({ row, sample: samples[i]!, completions: generated[i]! }));
  }

  #score(rolled: readonly Rollout[], draw: number): Group[] {
    const { processor } = this.#setup;
    return rolled.map((group) => {
      const said = group.completions.map((completion, index) =>
        asCompletion(processor, completion, { index, draw }),
      );
      return { ...group, said, scores: said.map((text) => this.#reward(text, group.row)) };
    });
  }

  /** Correctness by the lenient parser and format, which are separate from the reward. */
  #judge(groups: readonly Group[]): { correct: boolean[]; formatted: boolean[] } {
    const judge = (reward: typeof accuracyReward) =>
      groups.flatMap(({ row, said }) => said.map((text) => reward.score(text, row) === 1));
    return { correct: judge(accuracyReward), formatted: judge(formatReward) };
  }

  #record(groups: readonly Group[], step: number, draw: number): void {
    const { events } = this.#setup;
    let banned = 0;
    for (const { row, completions, said, scores } of groups) {
      completions.forEach((generated, index) => {
        const { text, finished } = said[index]!;
        banned = Math.max(banned, ...generated.bannedMass);
        const { total, components } = scores[index]!;
        report(events, "rollout", {
          ...{ step, sample: row.id, draw, completion: index, media: row.media, kind: row.kind },
          ...{ question: row.question, options: row.options, answer: row.answer },
          ...{ text, finished, reward: total, rewards: components },
          ids: generated.ids,
          log_probs: generated.logProbs,
        });
      });
    }
    if (banned <= BANNED_MASS) return;
    report(events, "warning", {
      code: "banned-mass",
      message: `step ${step}: placeholders and padded vocabulary rows hold ${banned.toExponential(1)} of a token's mass; the policy drifts towards tokens that may not be said.`,
    });
  }

  async #trees(groups: readonly Group[], advantages: Float64Array): Promise<PolicyTree[]> {
    const { train, rollout, reference } = this.#setup;
    const lengths = groups.flatMap(({ completions }) => completions.map(({ ids }) => ids.length));
    const weights = tokenWeights(train.loss_type, lengths, rollout.max_completion_length);
    let at = 0;
    const trees = groups.map(({ sample, completions }): PolicyTree => {
      const first = at;
      at += completions.length;
      const perToken = (value: (completion: number) => number) =>
        completions.flatMap(({ ids }, i) => Array<number>(ids.length).fill(value(first + i)));
      return {
        sample,
        tree: { prompt: sample, branches: completions.map(({ ids }) => completionBranch(ids)) },
        old: completions.flatMap(({ logProbs }) => logProbs),
        reference: completions.flatMap(({ ids }) => Array<number>(ids.length).fill(0)),
        advantage: perToken((i) => advantages[i]!),
        weight: perToken((i) => weights[i]!),
      };
    });
    if (reference !== undefined) await this.#scoreReference(reference, trees);
    return trees;
  }

  /** Log-probabilities of the batch under the starting policy. */
  async #scoreReference(reference: Model, trees: readonly PolicyTree[]): Promise<void> {
    this.#scoring ??= scoringPass(reference, "reference");
    const scalars = { ...this.#scalars(), [ADAPTER_SCALAR]: 0 };
    for (const pass of this.#cut(trees)) {
      for (const { sample } of pass) checkLedger(sample, reference.config);
      const feed = mergeFeeds(
        reference.mediaFeed(pass.map(({ sample }) => sample)),
        reference.treeFeed(pass.map(({ tree }) => tree)),
        { inputs: {}, sizes: {}, scalars },
      );
      const plan = await this.#scoring.run(feed);
      const out = await plan.read("logProbs", feed.sizes["lossRows"]);
      let row = 0;
      for (const tree of pass) tree.reference = tree.reference.map(() => out[3 * row++]!);
    }
  }

  /** Replays forward and backward over all trees; gradients accumulate over the passes. */
  async #accumulate(
    trees: readonly PolicyTree[],
    features: boolean,
  ): Promise<{ sums: Record<string, number>; worst: number; tokens: number }> {
    const { model } = this.#setup;
    const inside = model.towersTrain;
    const pass = this.#trainingPass(inside);
    model.device.submit((encoder) => model.weights.clearGradients(encoder));
    const sums: Record<string, number> = { parity: 0 };
    const offset = { vision: 0, audio: 0 };
    let worst = 0;
    let tokens = 0;
    for (const part of this.#cut(trees)) {
      for (const { sample } of part) checkLedger(sample, model.config);
      const column = (name: "old" | "reference" | "advantage" | "weight") =>
        Float32Array.from(part.flatMap((tree) => tree[name]));
      const old = column("old");
      const inputs = {
        "policy.old": old,
        "policy.reference": column("reference"),
        "policy.advantage": column("advantage"),
        "policy.weight": column("weight"),
      };
      const list = part.map(({ tree }) => tree);
      const feeds: Feed[] = [{ inputs, sizes: {}, scalars: this.#scalars() }];
      if (inside) feeds.push(model.mediaFeed(part.map(({ sample }) => sample)));
      feeds.push(model.treeFeed(list, inside ? undefined : offset));
      const feed = mergeFeeds(...feeds);
      const plan = await pass.run(feed);
      const terms = await plan.read("terms", 1);
      POLICY_TERMS.forEach((name, i) => (sums[name] = (sums[name] ?? 0) + terms[i]!));
      if (features) {
        const out = await plan.read("logProbs", old.length);
        old.forEach((value, i) => {
          const difference = Math.abs(value - out[3 * i]!);
          worst = Math.max(worst, difference);
          sums["parity"]! += difference;
        });
      }
      for (const { prompt } of list) {
        offset.vision += prompt.visionRows.length;
        offset.audio += prompt.audioRows.length;
      }
      tokens += feed.sizes["tokens"]!;
    }
    return { sums, worst, tokens };
  }

  #scalars(): Record<string, number> {
    const { rollout, train } = this.#setup;
    return { inverseTemperature: 1 / rollout.temperature, beta: train.beta };
  }

  #cut(trees: readonly PolicyTree[]): PolicyTree[][] {
    return cutPasses(trees, this.#setup.train.max_tokens_per_pass, treeTokens);
  }

  /** The training pass over the generator's features; traced anew when its buffers were replaced. */
  #trainingPass(inside: boolean): GrowingPlan {
    const { model, generator, train } = this.#setup;
    const buffers = generator.buffers;
    if (this.#pass !== undefined && (inside || this.#planned === buffers)) return this.#pass;
    this.#pass?.destroy();
    this.#planned = buffers;
    this.#pass = trainingPass(
      model,
      "grpo",
      (graph, out, rows) => policyTrace(graph, out, rows, train),
      {
        features: inside ? undefined : (graph) => storedFeatures(graph, model.config, buffers!),
        gradientCheckpointing: train.gradient_checkpointing,
      },
    );
    return this.#pass;
  }

  /**
   * Law 4: what the rollout reported is what training recomputes.
   *
   * @throws {AubadeError} `rollout-mismatch` above the limits of the tier.
   */
  #checkParity(sums: Readonly<Record<string, number>>, worst: number): void {
    const mean = sums["parity"]! / Math.max(1, sums["tokens"]!);
    if (mean <= PARITY_LIMITS.mean && worst <= PARITY_LIMITS.max) return;
    throw new AubadeError(
      "rollout-mismatch",
      `rollout and training disagree on log-probabilities: mean ${mean.toExponential(1)} (limit ${PARITY_LIMITS.mean}), max ${worst.toExponential(1)} (limit ${PARITY_LIMITS.max}).`,
      { hint: "This is a defect of aubade or of the driver: run npm test on this adapter." },
    );
  }
}
