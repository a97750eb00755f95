import { ConfigError } from "../core/errors.ts";
import type { Events } from "../core/events.ts";
import {
  type Control,
  CONTROLS,
  report,
  type Evaluations,
  type RunEvents,
} from "../core/run-events.ts";
import type { DataRow, OfficialScorer, Scorer } from "../data/dataset.ts";
import { openData } from "../datasets/open.ts";
import { SampleLoader } from "../data/sample-loader.ts";
import type { Model } from "../model/model.ts";
import type { Processor } from "../model/processor.ts";
import { checkGold } from "../reward/answer/gold.ts";
import { RewardScorer } from "../reward/scorer.ts";
import type { AsyncReward, WeightedReward } from "../reward/reward.ts";
import { Generator } from "../rollout/generator.ts";
import { tokenFacts } from "../rollout/token-facts.ts";
import type { RolloutConfig } from "../rollout/schema.ts";
import { DEFAULT_SAMPLING, type SamplingOptions } from "../rollout/types.ts";
import { evaluateBenchmark, type EvaluationResult } from "./evaluate.ts";
import { type BenchmarkConfig, benchmarksOf, type EvalConfig } from "./schema.ts";
import { protocolOf } from "./protocol.ts";
import { ANSWERS, namedScorer } from "./scorer.ts";

type When = RunEvents["evaluation"]["when"];

/** The sections of a configuration that an evaluation reads. */
export interface HeldOutSettings {
  rollout: RolloutConfig;
  eval: EvalConfig;
}

/** A benchmark whose rows are there. */
export interface Benchmark {
  readonly name: string;
  readonly settings: BenchmarkConfig;
  /** True where it stands in a list, so that its metrics bear its name. */
  readonly listed: boolean;
  readonly rows: readonly DataRow[];
  readonly scorer: Scorer;
  /** Name of the way in which it is asked. */
  readonly protocol: string;
  /** The rule of its authors, told beside the scores. */
  readonly official?: OfficialScorer | undefined;
}

/**
 * Opens the benchmarks of a configuration and makes what their questions need.
 *
 * @throws {ConfigError} `too-few-questions` that names benchmark and number; of the data sets.
 *   {DataError} of `checkGold` for answers that no completion could give.
 */
export async function openBenchmarks(
  { eval: config, rollout }: HeldOutSettings,
  events: Events,
): Promise<Benchmark[]> {
  const benchmarks: Benchmark[] = [];
  for (const { name, settings, listed } of benchmarksOf(config)) {
    const { questions } = settings;
    const opened = await openData(settings, { split: "held-out", questions, events });
    const { set, scorer: own, official } = opened;
    if (questions !== null && set.length < questions) {
      throw new ConfigError(
        "too-few-questions",
        `The benchmark ${name} is to ask ${questions} questions, but has ${set.length} rows.`,
        { hint: `Set its questions to ${set.length}: it is the denominator of every score.` },
      );
    }
    const asked = Array.from({ length: questions ?? set.length }, (_, i) => i);
    await set.prepare?.(asked, events);
    const scorer = settings.scorer === null ? (own ?? ANSWERS) : namedScorer(name, settings.scorer);
    const rows = asked.map((index) => set.row(index));
    // An answer that no completion can give would be a question that nobody can get right.
    if (scorer === ANSWERS && set.alike !== true) checkGold(rows, true);
    const longest = rollout.max_completion_length;
    const protocol = await protocolOf(settings, set.digest, longest);
    benchmarks.push({ name, settings, listed, rows, scorer, official, protocol });
  }
  return benchmarks;
}

/** Events, stop signal and further rewards of an evaluation. */
export interface HeldOutOptions {
  events: Events;
  stop: AbortSignal;
  /** Those of a run; none when left out. */
  rewards?: readonly WeightedReward<DataRow, AsyncReward<DataRow>>[] | undefined;
}

/** Evaluation of a model as it stands on benchmarks whose media are decoded once. */
export class HeldOut {
  readonly #settings: HeldOutSettings;
  readonly #options: HeldOutOptions;
  readonly #processor: Processor;
  readonly #generator: Generator;
  readonly #loader: SampleLoader;
  readonly #benchmarks: readonly Benchmark[];
  readonly #rewards: RewardScorer<DataRow> | undefined;

  constructor(
    model: Model,
    processor: Processor,
    settings: HeldOutSettings,
    options: HeldOutOptions,
    benchmarks: readonly Benchmark[],
  ) {
    this.#settings = settings;
    this.#options = options;
    this.#processor = processor;
    const { max_tokens_per_batch: tokensPerBatch } = settings.rollout;
    this.#generator = new Generator(model, tokenFacts(processor), tokensPerBatch);
    this.#loader = new SampleLoader(processor);
    this.#benchmarks = benchmarks;
    const { rewards = [], events } = options;
    this.#rewards = rewards.length > 0 ? new RewardScorer(rewards, events) : undefined;
  }

  /** The same questions for another model; what this one held on the device is freed. */
  for(model: Model): HeldOut {
    this.#generator.destroy();
    return new HeldOut(model, this.#processor, this.#settings, this.#options, this.#benchmarks);
  }

  /** Frees what generation holds on the device. */
  destroy(): void {
    this.#generator.destroy();
  }

  /** Numbers of questions of the benchmarks, by name. */
  get questions(): Record<string, number> {
    return Object.fromEntries(this.#benchmarks.map(({ name, rows }) => [name, rows.length]));
  }

  /** Controls that a benchmark asks for, in a fixed order. */
  get controls(): Control[] {
    const asked = this.#benchmarks.flatMap(({ settings }) => settings.controls);
    return CONTROLS.filter((control) => asked.includes(control));
  }

  /**
   * Asks every benchmark, or those that ask for a control, and reports the results.
   *
   * @returns results by benchmark; undefined when the user stopped the evaluation or there is nothing
   *   to ask.
   */
  async ask(
    step: number,
    when: When,
    control: Control | null,
  ): Promise<Record<string, EvaluationResult> | undefined> {
    const results: Record<string, EvaluationResult> = {};
    for (const benchmark of this.#benchmarks) {
      if (control !== null && !benchmark.settings.controls.includes(control)) continue;
      const result = await this.#askOne(benchmark, step, when, control);
      if (result === undefined) return undefined;
      results[benchmark.name] = result;
    }
    return Object.keys(results).length === 0 ? undefined : results;
  }

  async #askOne(
    { name, settings, listed, rows, scorer, official, protocol }: Benchmark,
    step: number,
    when: When,
    control: Control | null,
  ): Promise<EvaluationResult | undefined> {
    const textOnly = control === "text_only";
    const intact = control === null || textOnly;
    const loader = intact ? this.#loader : this.#loader.with({ [control]: true });
    const asked = textOnly ? rows.map(withoutMedia) : rows;
    const { events, stop } = this.#options;
    const place = { benchmark: name, step, when, control };
    const doing = control === null ? "evaluating" : `evaluating ${control}`;
    const result = await evaluateBenchmark({
      ...{ loader, events, stop, place, rows: asked, scorer, official, protocol },
      rewards: this.#rewards,
      generator: this.#generator,
      processor: this.#processor,
      sampling: this.#sampling(settings),
      generations: settings.decoding.n,
      what: listed ? `${doing} ${name}` : doing,
    });
    if (result === undefined) return undefined;
    const prefix = `${control === null ? "eval" : `eval_${control}`}${listed ? `/${name}` : ""}`;
    report(events, "evaluation", { ...place, prefix, ...result });
    return result;
  }

  #sampling({ decoding }: BenchmarkConfig): SamplingOptions {
    const { temperature, top_k: topK, top_p: topP, seed } = decoding;
    const maxNewTokens =
      decoding.max_completion_length ?? this.#settings.rollout.max_completion_length;
    return { ...DEFAULT_SAMPLING, temperature, topK, topP, seed, maxNewTokens };
  }
}

/** Returns the scores of results, by benchmark. */
export function scoresOf(
  results: Readonly<Record<string, EvaluationResult>> | undefined,
): Evaluations | null {
  if (results === undefined) return null;
  return Object.fromEntries(Object.entries(results).map(([name, { scores }]) => [name, scores]));
}

/** Returns a question as text alone: its conversation without the parts that are media. */
function withoutMedia(row: DataRow): DataRow {
  const conversation = row.conversation.map(({ role, content }) => ({
    role,
    content: typeof content === "string" ? content : content.filter((part) => part.type === "text"),
  }));
  return { ...row, conversation };
}
