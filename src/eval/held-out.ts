import { ConfigError } from "../core/errors.ts";
import type { Events } from "../core/events.ts";
import { report, type RunEvents } from "../core/run-events.ts";
import type { DataConfig } from "../data/schema.ts";
import { SampleLoader } from "../data/sample-loader.ts";
import type { DataRow } from "../data/row.ts";
import { openData } from "../data/open.ts";
import type { Model } from "../models/model.ts";
import type { Processor } from "../models/process/processor.ts";
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

/** Greedy evaluation of a model as it stands, on held-out clips that are decoded once. */
export class HeldOut {
  readonly #settings: HeldOutSettings;
  readonly #events: Events;
  readonly #stop: AbortSignal;
  readonly #processor: Processor;
  readonly #generator: Generator;
  readonly #loader: SampleLoader;
  readonly #rows: readonly DataRow[];

  /** Makes the held-out clips that are not there yet, and sets generation up. */
  static async open(
    model: Model,
    processor: Processor,
    settings: HeldOutSettings,
    watcher: { events: Events; stop: AbortSignal },
  ): Promise<HeldOut> {
    const { name, path, seed, questions } = settings.eval;
    let rows: DataRow[] = [];
    if (name !== null) {
      const { folder, prompt } = settings.data;
      const source = { name, path, seed, clips: questions, folder, prompt };
      const first = Array.from({ length: questions }, (_, i) => i);
      const set = await openData("held-out", source, () => first, watcher.events);
      if (set.length < questions) {
        throw new ConfigError(
          "too-few-questions",
          `eval.questions is ${questions}, but ${path} has ${set.length} rows.`,
          { hint: `Set eval.questions to ${set.length}: it is the denominator of every score.` },
        );
      }
      rows = first.map((index) => set.row(index));
    }
    return new HeldOut(model, processor, settings, watcher, rows);
  }

  private constructor(
    model: Model,
    processor: Processor,
    settings: HeldOutSettings,
    { events, stop }: { events: Events; stop: AbortSignal },
    rows: readonly DataRow[],
  ) {
    this.#settings = settings;
    this.#events = events;
    this.#stop = stop;
    this.#processor = processor;
    this.#generator = new Generator(model, tokenFacts(processor));
    this.#loader = new SampleLoader(processor);
    this.#rows = rows;
  }

  /** The same questions for another model; what this one held on the device is freed. */
  for(model: Model): HeldOut {
    this.#generator.destroy();
    const watcher = { events: this.#events, stop: this.#stop };
    return new HeldOut(model, this.#processor, this.#settings, watcher, this.#rows);
  }

  /**
   * Asks all questions and reports the scores; undefined when the user stopped the evaluation
   * or there is nothing to ask.
   */
  async ask(step: number, when: When, control: Control): Promise<EvaluationResult | undefined> {
    if (this.#rows.length === 0) return undefined;
    const loader = control === null ? this.#loader : this.#loader.with({ [control]: true });
    const result = await evaluate({
      ...{ loader, events: this.#events, stop: this.#stop },
      generator: this.#generator,
      processor: this.#processor,
      rows: this.#rows,
      maxNewTokens: this.#settings.rollout.max_completion_length,
      what: control === null ? "evaluating" : `evaluating ${control}`,
    });
    if (result === undefined) return undefined;
    const { scores, questions } = result;
    report(this.#events, "evaluation", { step, when, control, questions, scores });
    return result;
  }
}
