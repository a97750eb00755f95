import type { Events } from "../core/events.ts";
import { report, type RunEvents } from "../core/run-events.ts";
import type { DataConfig } from "../data/schema.ts";
import { SampleLoader } from "../data/sample-loader.ts";
import type { TinyRow } from "../data/tiny/dataset.ts";
import { openDataset } from "../data/tiny/open.ts";
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
  readonly #rows: readonly TinyRow[];

  /** Makes the held-out clips that are not there yet, and sets generation up. */
  static async open(
    model: Model,
    processor: Processor,
    settings: HeldOutSettings,
    watcher: { events: Events; stop: AbortSignal },
  ): Promise<HeldOut> {
    const { seed, questions } = settings.eval;
    const indices = Array.from({ length: questions }, (_, i) => i);
    const source = { seed, clips: questions };
    const { folder } = settings.data;
    const set = await openDataset("held-out", source, indices, folder, watcher.events);
    const rows = indices.map((index) => set.row(index));
    return new HeldOut(model, processor, settings, watcher, rows);
  }

  private constructor(
    model: Model,
    processor: Processor,
    settings: HeldOutSettings,
    { events, stop }: { events: Events; stop: AbortSignal },
    rows: readonly TinyRow[],
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

  /** Asks all questions and reports the scores; undefined when the user stopped the evaluation. */
  async ask(step: number, when: When, control: Control): Promise<EvaluationResult | undefined> {
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
