import { AubadeError, ConfigError, DataError } from "../core/errors.ts";
import type { Events } from "../core/events.ts";
import { report } from "../core/run-events.ts";
import type { DataRow, DataSet } from "../data/dataset.ts";
import { inRow } from "../data/row-error.ts";
import type { RowOrder } from "../data/row-order.ts";
import { SampleLoader } from "../data/sample-loader.ts";
import type { Processor, ProcessOptions } from "../model/processor.ts";
import type { Sample } from "../prompt/sample.ts";
import type { TaskSettings } from "./task.ts";

/** Rows that are decoded at a time. */
const AT_A_TIME = 4;
/** Rows of which an error tells: of those that do not fit, and of those that cannot be read. */
const TOLD = { over_budget: 5, unreadable: 50 } as const;
/** Codes of errors that say that a row does not fit. */
const OVER = new Set(["prompt-over-budget", "prompt-over-context"]);

/** Why a row cannot be trained on. */
export type Misfit = { kind: "over_budget" | "unreadable"; error: AubadeError };

/** The settings and the processor that rows are measured with. */
export interface RowMeasure {
  processor: Processor;
  settings: TaskSettings;
  /** Tokens that each row must leave room for; 0 where it holds its completion. */
  completion: number;
  /** How rows are processed. */
  processing?: ProcessOptions;
}

/** Settings and parts that the rows of a run are checked with. */
export interface RowCheck {
  measure: RowBudget;
  settings: TaskSettings;
  dataset: DataSet;
  order: RowOrder;
  events: Events;
}

/**
 * Measures rows: each must leave room for a completion in a training pass and in the model's context
 * (law 2).
 *
 * A group may be split over passes that each compute its prompt again, but not a completion.
 */
export class RowBudget {
  /** Loads rows that fit. */
  readonly loader: SampleLoader;
  readonly #room: number;
  readonly #context: number;
  /** The pass that would hold every row measured so far, and the completion that would fit all. */
  #pass = 0;
  #completion = Infinity;

  /** @throws {ConfigError} `completion-over-budget` where not even a completion fits a pass. */
  constructor({ processor, settings, completion, processing = {} }: RowMeasure) {
    this.#room = completion;
    this.#context = processor.config.text.maxPositions;
    const { max_tokens_per_pass: budget } = settings.train;
    // The last token of a completion is predicted by the one before it and is no row of the pass.
    const others = Math.max(0, completion - 1);
    if (others >= budget) {
      throw new ConfigError(
        "completion-over-budget",
        `a completion alone takes ${others} tokens of a pass; train.max_tokens_per_pass is ${budget}.`,
        { hint: "Lower rollout.max_completion_length, or raise train.max_tokens_per_pass." },
      );
    }
    this.loader = new SampleLoader(processor, {
      ...processing,
      maxPromptTokens: budget - others,
      raiseBudget: (tokens) => {
        this.#pass = Math.max(this.#pass, tokens + others);
        const parts = others > 0 ? ` (prompt ${tokens} and ${others} of a completion)` : "";
        return `Set train.max_tokens_per_pass to at least ${tokens + others}${parts}`;
      },
    });
  }

  /** Returns why a row does not fit or cannot be read; undefined where it can be trained on. */
  async misfitOf(row: DataRow): Promise<Misfit | undefined> {
    const found = await this.sampleOf(row);
    return "error" in found ? found : undefined;
  }

  /** Returns a row's sample, or why it does not fit or cannot be read. */
  async sampleOf(row: DataRow): Promise<Sample | Misfit> {
    try {
      const sample = await this.loader.load(row);
      this.#checkContext(row, sample.nextPos);
      return sample;
    } catch (error) {
      if (error instanceof AubadeError && OVER.has(error.code))
        return { kind: "over_budget", error };
      if (error instanceof DataError) return { kind: "unreadable", error };
      throw error;
    }
  }

  /** The settings with which every row measured so far fits, as a remedy. */
  get remedy(): string {
    const parts = [
      ...(this.#pass > 0 ? [`train.max_tokens_per_pass to at least ${this.#pass}`] : []),
      ...(this.#completion < Infinity && this.#completion > 0
        ? [`rollout.max_completion_length to at most ${this.#completion}`]
        : []),
    ];
    return parts.length === 0 ? "" : `Set ${parts.join(" and ")} for all of them. `;
  }

  #checkContext(row: DataRow, nextPos: number): void {
    const completion = this.#room;
    const context = this.#context;
    if (nextPos + completion <= context) return;
    const room = context - nextPos;
    this.#completion = Math.min(this.#completion, room);
    const error = new ConfigError(
      "prompt-over-context",
      `${row.id} ends at position ${nextPos}; with ${completion} new tokens it passes the model's ${context}.`,
      {
        hint:
          room > 0 && completion > 0
            ? `Set rollout.max_completion_length to at most ${room}.`
            : "Leave the row out, or give it fewer or smaller media.",
      },
    );
    throw inRow(error, row);
  }
}

/**
 * Decodes and measures the rows that a run will use, before it trains; without `data.check_rows`, and
 * of a data set whose rows are alike, the first one only.
 *
 * @param wanted rows that the run asks for at most.
 * @returns indices of rows that are left out, by `data.over_budget` and `data.unreadable`.
 * @throws {AubadeError} what is wrong with the only wrong row; `rows-over-budget` or `rows-unreadable`
 *   for several, with every file that cannot be read.
 */
export async function checkRows(
  { measure, settings, dataset, order, events }: RowCheck,
  wanted: number,
): Promise<Map<number, Misfit["kind"]>> {
  const all = settings.data.check_rows && dataset.alike !== true;
  if (!all) {
    const misfit = await measure.misfitOf(dataset.row(order.at(0)));
    if (misfit === undefined) return new Map();
    if (dataset.alike === true || isRefused(misfit, settings)) throw misfit.error;
    return new Map([[order.at(0), misfit.kind]]);
  }
  const misfits = new Map<number, Misfit>();
  const checked = new Set<number>();
  const expected = order.used(wanted).length;
  let position = 0;
  for (let fitting = 0; fitting < wanted;) {
    const from = position;
    position += Math.min(AT_A_TIME, wanted - fitting);
    const places = Array.from({ length: position - from }, (_, i) => order.at(from + i));
    const fresh = [...new Set(places)].filter((index) => !checked.has(index));
    const found = await Promise.all(fresh.map((index) => measure.misfitOf(dataset.row(index))));
    fresh.forEach((index, i) => {
      checked.add(index);
      if (found[i] !== undefined) misfits.set(index, found[i]);
    });
    if (checked.size === dataset.length) break;
    fitting += places.filter((index) => !misfits.has(index)).length;
    if (fresh.length > 0 && expected > AT_A_TIME) {
      const total = Math.max(expected, checked.size);
      const progress = { what: "checking rows", done: checked.size, total, unit: "rows" };
      report(events, "progress", progress);
    }
  }
  for (const kind of ["unreadable", "over_budget"] as const) {
    const own = [...misfits].filter(([, misfit]) => misfit.kind === kind);
    if (own.length === 0) continue;
    const errors = own.map(([, { error }]) => error);
    const none = misfits.size === dataset.length;
    if (none || isRefused(own[0]![1], settings)) {
      throw refusal(kind, errors, checked.size, measure.remedy);
    }
    const rows = own.map(([index, { error }]) => ({
      row: dataset.row(index).id,
      message: error.message,
    }));
    report(events, `rows_${kind}`, { rows, checked: checked.size });
  }
  return new Map([...misfits].map(([index, { kind }]) => [index, kind]));
}

/** Says whether a row of this kind ends the run. */
export function isRefused({ kind }: Misfit, { data }: Pick<TaskSettings, "data">): boolean {
  return data[kind] !== "leave_out";
}

function refusal(
  kind: Misfit["kind"],
  errors: readonly AubadeError[],
  checked: number,
  remedy: string,
): AubadeError {
  if (errors.length === 1) return errors[0]!;
  const over = kind === "over_budget";
  const told = errors.slice(0, TOLD[kind]).map(({ message, hint }) => {
    // One remedy fits all of those that do not fit; what is wrong with a file has its own.
    return over && hint !== undefined ? message.slice(0, -(hint.length + 1)) : message;
  });
  const more = errors.length > TOLD[kind] ? ` And ${errors.length - TOLD[kind]} more.` : "";
  const what = over ? "do not fit" : "cannot be read";
  return new DataError(
    over ? "rows-over-budget" : "rows-unreadable",
    `${errors.length} of ${checked} rows ${what}. ${told.join(" ")}${more}`,
    { hint: `${over ? remedy : ""}Or set data.${kind} to leave_out, which trains without them.` },
  );
}
