import type { Events } from "../core/events.ts";
import { reportSpan } from "../core/run-events.ts";
import type { DataRow, DataSet } from "../data/dataset.ts";
import { RowOrder } from "../data/row-order.ts";
import type { Model } from "../model/model.ts";
import type { Processor } from "../model/processor.ts";
import { Generator, tokenFacts } from "../rollout/generator.ts";
import { rowsToAsk } from "./draw-groups.ts";
import { type GrpoSetup, GrpoTrainer } from "./grpo.ts";
import { AdamW, isDecayed } from "./optimizer.ts";
import { rolloutMetrics } from "../policy/rollout-metrics.ts";
import type { RunSettings } from "../run/run-interface.ts";
import { Reference } from "../policy/reference.ts";
import { learningRateAt } from "./schedule.ts";
import { budgetedLoader, checkRows } from "./row-budget.ts";
import type { Cursor, TrainingTask } from "./task.ts";

/** What a task is made of. */
interface Parts {
  trainer: GrpoTrainer;
  optimizer: AdamW;
  reference: Reference | undefined;
  dataset: DataSet;
  order: RowOrder;
  /** Indices of rows that do not fit. */
  leftOut: ReadonlySet<number>;
}

/** GRPO as a task of the training loop: rows in order, one rollout batch per step. */
export class GrpoTask implements TrainingTask {
  readonly totalSteps: number;
  readonly optimizer: AdamW;
  readonly reference: Reference | undefined;
  readonly #settings: RunSettings;
  readonly #events: Events;
  readonly #trainer: GrpoTrainer;
  readonly #dataset: DataSet;
  readonly #order: RowOrder;
  readonly #leftOut: ReadonlySet<number>;

  /** Makes what the rows in use need, checks them, and sets the trainer up. */
  static async create(
    model: Model,
    processor: Processor,
    settings: RunSettings,
    { events, rewards, dataset }: Pick<GrpoSetup, "events" | "rewards"> & { dataset: DataSet },
  ): Promise<GrpoTask> {
    const { train, rollout } = settings;
    const generator = new Generator(model, tokenFacts(processor), rollout.max_tokens_per_batch);
    generator.checkRoom(train.num_generations, rollout.max_completion_length);
    const perBatch = rowsToAsk(train.prompts_per_step, rollout.over_sampling);
    const wanted = train.max_steps * rollout.max_batches_per_step * perBatch;
    const order = new RowOrder(dataset.length, train.seed, train.shuffle_dataset);
    await dataset.prepare?.(order.used(wanted), events);
    const loader = budgetedLoader(processor, settings);
    const check = { processor, settings, dataset, order, events };
    const leftOut = await checkRows(loader, check, wanted);
    const optimizer = await AdamW.create(model.device, model.weights.trained, train, isDecayed);
    const measured = train.beta > 0 || train.measure_kl;
    const copies = { offload: train.ref_model_offload };
    // Before a checkpoint is restored: the reference is what the run started from.
    const reference = measured ? await Reference.of(model, copies) : undefined;
    const trainer = new GrpoTrainer({
      model,
      processor,
      loader,
      optimizer,
      ...{ train, rollout, events, rewards },
      generator,
      health: settings.health,
      ...(reference && { reference }),
    });
    const moving = train.sync_ref_model ? reference : undefined;
    return new GrpoTask(settings, events, {
      trainer,
      optimizer,
      reference: moving,
      dataset,
      order,
      leftOut,
    });
  }

  private constructor(settings: RunSettings, events: Events, parts: Parts) {
    this.#settings = settings;
    this.#events = events;
    this.#trainer = parts.trainer;
    this.optimizer = parts.optimizer;
    this.reference = parts.reference;
    this.#dataset = parts.dataset;
    this.#order = parts.order;
    this.#leftOut = parts.leftOut;
    this.totalSteps = settings.train.max_steps;
  }

  /** One rollout batch, its updates, and the metrics of both. */
  async step(cursor: Cursor): Promise<{ metrics: Record<string, number>; tokens: number }> {
    const { train } = this.#settings;
    let consumed = cursor.samplesConsumed;
    let leftOut = 0;
    const next = (count: number) => {
      const { rows, end } = this.#rows(consumed, count);
      leftOut += end - consumed - count;
      consumed = end;
      return rows;
    };
    const last = cursor.step + 1 >= this.totalSteps;
    const upcoming = (count: number) => (last ? [] : this.#rows(consumed, count).rows);
    const rate = learningRateAt(train, cursor.step, this.totalSteps);
    const { draw, entropyControl } = cursor;
    const place = { step: cursor.step + 1, draw, rate, upcoming, entropyControl };
    const result = await this.#trainer.step(next, place);
    const { rewards, scores, lengths, ended, sizes } = result.groups;
    const names = Object.keys(scores[0]!.components);
    const parts = Object.fromEntries(
      names.map((name) => [name, scores.map(({ components }) => components[name] ?? NaN)]),
    );
    const failures = Object.fromEntries(
      names.map((name) => [
        name,
        scores.filter(({ failures: failed }) => Object.hasOwn(failed, name)).length,
      ]),
    );
    cursor.step++;
    cursor.draw += result.draws;
    cursor.samplesConsumed = consumed;
    cursor.entropyControl = result.entropyControl;
    const { reference } = this;
    if (reference !== undefined && cursor.step % train.ref_model_sync_steps === 0) {
      const move = () => reference.synchronise(train.ref_model_mixup_alpha);
      await reportSpan(this.#events, "reference sync", cursor.step, move);
    }
    return {
      tokens: result.tokens,
      metrics: {
        ...result.metrics,
        "data/rows_over_budget": leftOut,
        ...rolloutMetrics({
          ...{ rewards, parts, failures, lengths, ended, sizes },
          ...result.checks,
        }),
      },
    };
  }

  /** So many rows from a place of the run on, those that do not fit left out, and where they end. */
  #rows(position: number, count: number): { rows: DataRow[]; end: number } {
    const rows: DataRow[] = [];
    let end = position;
    while (rows.length < count) {
      const index = this.#order.at(end++);
      if (!this.#leftOut.has(index)) rows.push(this.#dataset.row(index));
    }
    return { rows, end };
  }
}
