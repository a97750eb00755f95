import type { Events } from "../core/events.ts";
import { reportInStep, reportSpan } from "../core/run-events.ts";
import type { LessonRow, Lessons, WeightedTree } from "../data/lessons.ts";
import type { SampleLoader } from "../data/sample-loader.ts";
import type { GrowingPlan } from "../graph/plan/growing-plan.ts";
import type { Model } from "../model/model.ts";
import { treeTokens } from "../network/decoder/packed.ts";
import { weightedNll } from "../network/decoder/training.ts";
import { type Feed, mergeFeeds } from "../network/feed.ts";
import { scoringPass, trainingPass } from "../policy/pass.ts";
import { checkLedger } from "../prompt/sample.ts";
import { cutPasses } from "./cut-passes.ts";
import type { AdamW } from "./optimizer.ts";
import type { LeftOut, RowSource } from "./row-feed.ts";
import type { TrainConfig } from "./schema.ts";
import type { Cursor, StepResult, TrainingTask } from "./task.ts";

/*
 * Supervised fine-tuning. One step:
 *
 *   draw        the next rows of the run, their files decoded (and those of the step after it while
 *               this one trains)
 *   lessons     sequences with labelled tokens: the answers of the rows (answer-lessons.ts), or what
 *               their data set makes of them
 *   passes      sequences packed up to train.max_tokens_per_pass; gradients of all passes add up, and
 *               every token has its weight in the mean of the whole step, so that packing changes
 *               nothing
 *   update      one AdamW update
 *   validation  where it is due, the mean cross-entropy of held-out rows under the new weights
 *
 * Source of names: TRL 1.16 `SFTTrainer`.
 */

/** Held-out rows that a run measures its loss on. */
export interface Validation {
  loader: Pick<SampleLoader, "loadAll">;
  lessons: Lessons;
  feed: RowSource;
  /** Rows of the held-out set that can be read. */
  rows: number;
}

/** Parts and settings of supervised training. */
export interface SftSetup {
  model: Model;
  loader: Pick<SampleLoader, "loadAll" | "prefetch">;
  lessons: Lessons;
  optimizer: AdamW;
  train: TrainConfig;
  /** Steps of the run, over which schedules run. */
  totalSteps: number;
  /** The rows of the run by their place. */
  feed: RowSource;
  /** Leaves out, and counts, rows that cannot be read. */
  lenient: boolean;
  validation?: Validation | undefined;
  /** Learning rate of a step, counted from 0. */
  learningRate: (step: number) => number;
  events: Events;
}

/** Sums over passes. */
interface Sums {
  loss: number;
  tokens: number;
  /** Negative log-likelihoods by what their tokens say. */
  parts: Map<string, { total: number; count: number }>;
}

/** Supervised fine-tuning as a task of the training loop. */
export class SftTask implements TrainingTask {
  readonly totalSteps: number;
  readonly optimizer: AdamW;
  readonly #setup: SftSetup;
  readonly #pass: GrowingPlan;
  readonly #scoring: GrowingPlan | undefined;
  #destroyed = false;

  constructor(setup: SftSetup) {
    const { model, train } = setup;
    this.#setup = setup;
    this.totalSteps = setup.totalSteps;
    this.optimizer = setup.optimizer;
    this.#pass = trainingPass(model, "sft", weightedNll, {
      gradientCheckpointing: train.gradient_checkpointing,
    });
    this.#scoring = setup.validation && scoringPass(model, "sft validation");
  }

  /**
   * Does one optimizer step.
   *
   * @throws {DataError} of rows and samples; {ConfigError} `group-over-budget`.
   */
  async step(cursor: Cursor): Promise<StepResult> {
    const { model, feed, loader, lessons, train, events, learningRate } = this.#setup;
    const step = cursor.step + 1;
    const span = <T>(name: string, work: () => T | Promise<T>) =>
      reportSpan(events, name, step, work);
    const fed = await feed.from(cursor.samplesConsumed, train.prompts_per_step);
    const samples = await span("clips", () => loader.loadAll(fed.rows));
    // The files of the next step, while this one trains; what fails is told when its turn comes.
    const ahead = loader.prefetch(feed.ahead(fed.end, train.prompts_per_step));
    const rows = samples.map((sample, i) => ({ sample, index: fed.indices[i]! }));
    const trees = this.#trees(lessons, rows, cursor.step);
    model.device.submit((encoder) => model.weights.clearGradients(encoder));
    const onPass = (done: number, total: number) =>
      reportInStep(events, step, "training", done, total, "passes");
    const sums = await this.#run(this.#pass, trees, onPass, (work) => span("training pass", work));
    const rate = learningRate(cursor.step);
    await span("optimizer", () => this.optimizer.update(rate));
    const gradNorm = await span("gradient norm", () => this.optimizer.gradientNorm());
    const validation = await span("validation", () => this.#validate(step));
    await ahead;
    return {
      tokens: sums.tokens,
      cursor: { ...cursor, step, draw: cursor.draw + 1, samplesConsumed: fed.end },
      metrics: {
        ...{ loss: sums.loss, grad_norm: gradNorm, learning_rate: rate },
        ...partMeans(sums),
        ...validation,
        ...this.#counted(fed.leftOut),
      },
    };
  }

  /** Frees optimizer and plans; a second time does nothing. */
  destroy(): void {
    if (this.#destroyed) return;
    this.#destroyed = true;
    this.#pass.destroy();
    this.#scoring?.destroy();
    this.optimizer.destroy();
  }

  #counted(leftOut: LeftOut): Record<string, number> {
    return {
      "data/rows_over_budget": leftOut.over_budget,
      ...(this.#setup.lenient && { "data/rows_unreadable": leftOut.unreadable }),
    };
  }

  #trees(lessons: Lessons, rows: readonly LessonRow[], step: number): WeightedTree[] {
    const { model, train } = this.#setup;
    for (const { sample } of rows) checkLedger(sample, model.config);
    return lessons.trees(rows, { step, seed: train.seed });
  }

  /** Runs trees through a pass, packed up to the budget, and sums over their tokens. */
  async #run(
    pass: GrowingPlan,
    trees: readonly WeightedTree[],
    onPass: (done: number, total: number) => void,
    span: (work: () => Promise<void>) => Promise<void>,
  ): Promise<Sums> {
    const { train } = this.#setup;
    const sums: Sums = { loss: 0, tokens: 0, parts: new Map() };
    const passes = cutPasses(trees, train.max_tokens_per_pass, treeTokens);
    for (const [at, packed] of passes.entries()) {
      onPass(at, passes.length);
      const feed = this.#feed(packed, pass === this.#pass);
      const parts = packed.flatMap((entry) => entry.parts);
      const weights = packed.flatMap((entry) => entry.weights);
      await span(async () => {
        const ran = await pass.run(feed);
        const out = await ran.read("logProbs", parts.length);
        parts.forEach((part, row) => {
          const nll = -out[3 * row]!;
          const sum = sums.parts.get(part) ?? { total: 0, count: 0 };
          sums.parts.set(part, { total: sum.total + nll, count: sum.count + 1 });
          sums.loss += weights[row]! * nll;
        });
      });
      sums.tokens += feed.sizes["tokens"]!;
    }
    return sums;
  }

  /** @param weighted whether the pass has a loss. */
  #feed(packed: readonly WeightedTree[], weighted: boolean): Feed {
    const { model } = this.#setup;
    const weights = Float32Array.from(packed.flatMap((entry) => entry.weights));
    const inputs: Feed["inputs"] = weighted ? { "loss.weight": weights } : {};
    const samples = packed.flatMap(({ sample }) => (sample === undefined ? [] : [sample]));
    return mergeFeeds(model.mediaFeed(samples), model.treeFeed(packed.map(({ tree }) => tree)), {
      inputs,
      sizes: {},
      scalars: { inverseTemperature: 1 },
    });
  }

  /** Measures the held-out loss where it is due: every `eval_steps` and after the last step. */
  async #validate(step: number): Promise<Record<string, number>> {
    const { validation, train, events } = this.#setup;
    const due = step === this.totalSteps || (train.eval_steps > 0 && step % train.eval_steps === 0);
    if (validation === undefined || !due) return {};
    const { loader, lessons, feed, rows } = validation;
    let total = 0;
    let count = 0;
    let place = 0;
    for (let left = rows; left > 0; left -= train.prompts_per_step) {
      const fed = await feed.from(place, Math.min(train.prompts_per_step, left));
      const samples = await loader.loadAll(fed.rows);
      const asked = samples.map((sample, i) => ({ sample, index: fed.indices[i]! }));
      const trees = this.#trees(lessons, asked, step);
      const onPass = () => reportInStep(events, step, "validating", rows - left, rows, "rows");
      const { parts } = await this.#run(this.#scoring!, trees, onPass, (work) => work());
      for (const part of parts.values()) {
        total += part.total;
        count += part.count;
      }
      place = fed.end;
    }
    return { eval_loss: total / count };
  }
}

/** Mean cross-entropy by what the tokens say, where they say several things. */
function partMeans({ parts }: Sums): Record<string, number> {
  if (parts.size < 2) return {};
  const means = [...parts].map(
    ([part, { total, count }]) => [`sft/${part}`, total / count] as const,
  );
  return Object.fromEntries(means);
}
