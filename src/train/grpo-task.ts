import type { Events } from "../core/events.ts";
import { report, reportSpan } from "../core/run-events.ts";
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
import { learningRateAt, totalStepsOf } from "./schedule.ts";
import { checkRows, isRefused, type Misfit, RowBudget } from "./row-budget.ts";
import type { Cursor, TrainingTask } from "./task.ts";

/** What a task is made of. */
interface Parts {
  totalSteps: number;
  trainer: GrpoTrainer;
  optimizer: AdamW;
  reference: Reference | undefined;
  dataset: DataSet;
  order: RowOrder;
  measure: RowBudget;
  /** Indices of rows that are left out, and why. */
  leftOut: Map<number, Misfit["kind"]>;
}

/** Rows of a batch with their indices, what was skipped before the last of them, and where they end. */
interface Rows {
  rows: DataRow[];
  indices: number[];
  skipped: Misfit["kind"][];
  end: number;
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
  readonly #measure: RowBudget;
  readonly #leftOut: Map<number, Misfit["kind"]>;

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
    const totalSteps = totalStepsOf(train, dataset.length);
    const wanted = totalSteps * rollout.max_batches_per_step * perBatch;
    const order = new RowOrder(dataset.length, train.seed, train.shuffle_dataset);
    await dataset.prepare?.(order.used(wanted), events);
    const measure = new RowBudget({ processor, settings });
    const leftOut = await checkRows({ measure, settings, dataset, order, events }, wanted);
    const optimizer = await AdamW.create(model.device, model.weights.trained, train, isDecayed);
    const measured = train.beta > 0 || train.measure_kl;
    const copies = { offload: train.ref_model_offload };
    // Before a checkpoint is restored: the reference is what the run started from.
    const reference = measured ? await Reference.of(model, copies) : undefined;
    const trainer = new GrpoTrainer({
      model,
      processor,
      loader: measure.loader,
      optimizer,
      ...{ train, totalSteps, rollout, events, rewards },
      generator,
      health: settings.health,
      ...(reference && { reference }),
    });
    const moving = train.sync_ref_model ? reference : undefined;
    return new GrpoTask(settings, events, {
      totalSteps,
      trainer,
      optimizer,
      reference: moving,
      dataset,
      order,
      measure,
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
    this.#measure = parts.measure;
    this.#leftOut = parts.leftOut;
    this.totalSteps = parts.totalSteps;
  }

  /** One rollout batch, its updates, and the metrics of both. */
  async step(cursor: Cursor): Promise<{ metrics: Record<string, number>; tokens: number }> {
    const { data, train } = this.#settings;
    let consumed = cursor.samplesConsumed;
    const leftOut = { over_budget: 0, unreadable: 0 };
    const next = async (count: number) => {
      const { rows, skipped, end } = await this.#usable(consumed, count);
      for (const kind of skipped) leftOut[kind]++;
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
        "data/rows_over_budget": leftOut.over_budget,
        ...(data.unreadable === "leave_out" && { "data/rows_unreadable": leftOut.unreadable }),
        ...rolloutMetrics({
          ...{ rewards, parts, failures, lengths, ended, sizes },
          ...result.checks,
        }),
      },
    };
  }

  /**
   * So many rows from a place of the run on. Where rows may be left out and were not checked before
   * training, each is checked when its turn comes.
   */
  async #usable(position: number, count: number): Promise<Rows> {
    const { data } = this.#settings;
    const lenient = data.over_budget === "leave_out" || data.unreadable === "leave_out";
    if (data.check_rows || this.#dataset.alike === true || !lenient) {
      return this.#rows(position, count);
    }
    for (;;) {
      const found = this.#rows(position, count);
      const before = this.#leftOut.size;
      await Promise.all(found.indices.map((index) => this.#check(index)));
      if (this.#leftOut.size === before) return found;
    }
  }

  /** Leaves a row out that cannot be trained on, or ends the run with what is wrong with it. */
  async #check(index: number): Promise<void> {
    const misfit = await this.#measure.misfitOf(this.#dataset.row(index));
    if (misfit === undefined || this.#leftOut.has(index)) return;
    if (isRefused(misfit, this.#settings)) throw misfit.error;
    this.#leftOut.set(index, misfit.kind);
    const { message } = misfit.error;
    report(this.#events, "warning", { code: "row-left-out", message: `Left out: ${message}` });
    if (this.#leftOut.size === this.#dataset.length) throw misfit.error;
  }

  /** So many rows from a place of the run on, those that are left out skipped. */
  #rows(position: number, count: number): Rows {
    const found: Rows = { rows: [], indices: [], skipped: [], end: position };
    while (found.rows.length < count) {
      const index = this.#order.at(found.end++);
      const why = this.#leftOut.get(index);
      if (why !== undefined) found.skipped.push(why);
      else {
        found.rows.push(this.#dataset.row(index));
        found.indices.push(index);
      }
    }
    return found;
  }
}
