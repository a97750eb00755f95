import type { Events } from "../core/events.ts";
import { report } from "../core/run-events.ts";
import type { DataRow, DataSet } from "../data/dataset.ts";
import type { RowOrder } from "../data/row-order.ts";
import { isRefused, type Misfit, type RowBudget } from "./row-budget.ts";
import type { TaskSettings } from "./task.ts";

/** Numbers of rows that were left out, by reason. */
export type LeftOut = Readonly<Record<Misfit["kind"], number>>;

/** Rows from a place of the run on. */
export interface FedRows {
  rows: DataRow[];
  /** Their places in the data set. */
  indices: number[];
  /** The place behind them. */
  end: number;
  /** Rows between that were left out. */
  leftOut: LeftOut;
}

/** Gives rows by their place in the run: the order is a function of the place, which nothing moves. */
export interface RowSource {
  /** The rows from a place on; those that cannot be trained on are left out. */
  from(place: number, count: number): FedRows | Promise<FedRows>;
  /** The same as far as it is known already, for files to be decoded ahead. */
  ahead(place: number, count: number): readonly DataRow[];
}

/** Parts of a feed. */
export interface FeedParts {
  dataset: DataSet;
  order: RowOrder;
  measure: RowBudget;
  settings: Pick<TaskSettings, "data">;
  /** Indices of rows that are left out, and why. */
  leftOut: ReadonlyMap<number, Misfit["kind"]>;
  events: Events;
}

/** Rows with their indices, and what was left out before the last of them. */
interface Found {
  rows: DataRow[];
  indices: number[];
  skipped: Misfit["kind"][];
  end: number;
}

/** Feeds a run with the rows of a data set in their order. */
export class RowFeed implements RowSource {
  readonly #parts: FeedParts;
  readonly #leftOut: Map<number, Misfit["kind"]>;

  constructor(parts: FeedParts) {
    this.#parts = parts;
    this.#leftOut = new Map(parts.leftOut);
  }

  /**
   * Returns so many rows from a place of the run on. Where rows may be left out and were not checked
   * before training, each is checked when its turn comes.
   *
   * @throws {AubadeError} what is wrong with a row that may not be left out.
   */
  async from(place: number, count: number): Promise<FedRows> {
    const { data } = this.#parts.settings;
    const lenient = data.over_budget === "leave_out" || data.unreadable === "leave_out";
    const checked = data.check_rows || this.#parts.dataset.alike === true || !lenient;
    for (;;) {
      const { rows, indices, skipped, end } = this.#find(place, count);
      const before = this.#leftOut.size;
      if (!checked) await Promise.all(indices.map((index) => this.#check(index)));
      if (this.#leftOut.size > before) continue;
      const leftOut = { over_budget: 0, unreadable: 0 };
      for (const kind of skipped) leftOut[kind]++;
      return { rows, indices, end, leftOut };
    }
  }

  /** Returns the rows from a place on as far as it is known which are left out. */
  ahead(place: number, count: number): readonly DataRow[] {
    return this.#find(place, count).rows;
  }

  /** Leaves a row out that cannot be trained on, or ends the run with what is wrong with it. */
  async #check(index: number): Promise<void> {
    const { measure, dataset, settings, events } = this.#parts;
    const misfit = await measure.misfitOf(dataset.row(index));
    if (misfit === undefined || this.#leftOut.has(index)) return;
    if (isRefused(misfit, settings)) throw misfit.error;
    this.#leftOut.set(index, misfit.kind);
    const { message } = misfit.error;
    report(events, "warning", { code: "row-left-out", message: `Left out: ${message}` });
    if (this.#leftOut.size === dataset.length) throw misfit.error;
  }

  #find(place: number, count: number): Found {
    const { order, dataset } = this.#parts;
    const found: Found = { rows: [], indices: [], skipped: [], end: place };
    while (found.rows.length < count) {
      const index = order.at(found.end++);
      const why = this.#leftOut.get(index);
      if (why !== undefined) found.skipped.push(why);
      else {
        found.rows.push(dataset.row(index));
        found.indices.push(index);
      }
    }
    return found;
  }
}
