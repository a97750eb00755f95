import { ConfigError } from "../core/errors.ts";
import type { Events } from "../core/events.ts";
import { report, type RunEvents } from "../core/run-events.ts";
import type { DataConfig } from "../data/schema.ts";
import { SampleLoader } from "../data/sample-loader.ts";
import type { DataRow } from "../data/row.ts";
import { openData } from "../data/open.ts";
import type { Model } from "../model/model.ts";
import type { Processor } from "../model/processor.ts";
import { RewardScorer } from "../reward/scorer.ts";
import type { AsyncReward, WeightedReward } from "../reward/reward.ts";
import { Generator, tokenFacts } from "../rollout/generator.ts";
import type { RolloutConfig } from "../rollout/schema.ts";
import { evaluate, type EvaluationResult } from "./evaluate.ts";
import type { EvalConfig } from "./schema.ts";

type When = RunEvents["evaluation"]["when"];
type Control = RunEvents["evaluation"]["control"];

/** The sections of a configuration that an evaluation reads. */
export interface HeldOutSettings {
  data: DataConfig;
  rollout: RolloutConfig;
  eval: EvalConfig;
}

/** Who hears of an evaluation, and the rewards that it measures besides. */
export interface HeldOutOptions {
  events: Events;
  stop: AbortSignal;
  /** Those of a run; none when left out. */
  rewards?: readonly WeightedReward<DataRow, AsyncReward<DataRow>>[] | undefined;
}

/** Greedy evaluation of a model as it stands, on held-out clips that are decoded once. */
export class HeldOut {
  readonly #settings: HeldOutSettings;
  readonly #options: HeldOutOptions;
  readonly #processor: Processor;
  readonly #generator: Generator;
  readonly #loader: SampleLoader;
  readonly #rows: readonly DataRow[];
  readonly #scorer: RewardScorer<DataRow> | undefined;

  /** Makes the held-out clips that are not there yet, and sets generation up. */
  static async open(
    model: Model,
    processor: Processor,
    settings: HeldOutSettings,
    options: HeldOutOptions,
  ): Promise<HeldOut> {
    const { name, path, seed, questions } = settings.eval;
    let rows: DataRow[] = [];
    if (name !== null) {
      const { folder, prompt } = settings.data;
      const source = { name, path, seed, clips: questions, folder, prompt };
      const first = Array.from({ length: questions }, (_, i) => i);
      const set = await openData("held-out", source, () => first, options.events);
      if (set.length < questions) {
        throw new ConfigError(
          "too-few-questions",
          `eval.questions is ${questions}, but ${path} has ${set.length} rows.`,
          { hint: `Set eval.questions to ${set.length}: it is the denominator of every score.` },
        );
      }
      rows = first.map((index) => set.row(index));
    }
    return new HeldOut(model, processor, settings, options, rows);
  }

  private constructor(
    model: Model,
    processor: Processor,
    settings: HeldOutSettings,
    options: HeldOutOptions,
    rows: readonly DataRow[],
  ) {
    this.#settings = settings;
    this.#options = options;
    this.#processor = processor;
    const { max_tokens_per_batch: tokensPerBatch } = settings.rollout;
    this.#generator = new Generator(model, tokenFacts(processor), tokensPerBatch);
    this.#loader = new SampleLoader(processor);
    this.#rows = rows;
    const { rewards = [], events } = options;
    this.#scorer = rewards.length > 0 ? new RewardScorer(rewards, events) : undefined;
  }

  /** The same questions for another model; what this one held on the device is freed. */
  for(model: Model): HeldOut {
    this.#generator.destroy();
    return new HeldOut(model, this.#processor, this.#settings, this.#options, this.#rows);
  }

  /**
   * Asks all questions and reports the scores; undefined when the user stopped the evaluation
   * or there is nothing to ask.
   */
  async ask(step: number, when: When, control: Control): Promise<EvaluationResult | undefined> {
    if (this.#rows.length === 0) return undefined;
    const loader = control === null ? this.#loader : this.#loader.with({ [control]: true });
    const { events, stop } = this.#options;
    const place = { step, when, control };
    const result = await evaluate({
      ...{ loader, events, stop, place },
      scorer: this.#scorer,
      generator: this.#generator,
      processor: this.#processor,
      rows: this.#rows,
      maxNewTokens: this.#settings.rollout.max_completion_length,
      what: control === null ? "evaluating" : `evaluating ${control}`,
    });
    if (result === undefined) return undefined;
    report(events, "evaluation", { ...place, ...result });
    return result;
  }
}
