import { AubadeError, ConfigError, DataError } from "../core/errors.ts";
import type { Events } from "../core/events.ts";
import { report } from "../core/run-events.ts";
import type { DataSet } from "../data/dataset.ts";
import type { RowOrder } from "../data/row-order.ts";
import { SampleLoader } from "../data/sample-loader.ts";
import type { Processor } from "../model/processor.ts";
import type { RunSettings } from "../run/run-interface.ts";

/** Rows that are decoded at a time, and those of which an error tells. */
const AT_A_TIME = 4;
const TOLD = 5;
/** What says that a row does not fit; whatever else is wrong with one ends the run. */
const OVER = new Set(["prompt-over-budget", "prompt-over-context"]);

/** What the rows of a GRPO run are measured with. */
export interface RowCheck {
  processor: Processor;
  settings: RunSettings;
  dataset: DataSet;
  order: RowOrder;
  events: Events;
}

/**
 * A loader whose rows leave room for a completion in a training pass (law 2).
 *
 * A group may be split over passes that each compute its prompt again, but not a completion.
 */
export function budgetedLoader(processor: Processor, settings: RunSettings): SampleLoader {
  const completion = settings.rollout.max_completion_length;
  const { max_tokens_per_pass: budget } = settings.train;
  // The last token of a completion is predicted by the one before it and is no row of the pass.
  const others = completion - 1;
  if (others >= budget) {
    throw new ConfigError(
      "completion-over-budget",
      `a completion alone takes ${others} tokens of a pass; train.max_tokens_per_pass is ${budget}.`,
      { hint: "Lower rollout.max_completion_length, or raise train.max_tokens_per_pass." },
    );
  }
  return new SampleLoader(processor, {
    maxPromptTokens: budget - others,
    raiseBudget: (tokens) =>
      `Set train.max_tokens_per_pass to at least ${tokens + others} (prompt ${tokens} and ${others} of a completion)`,
  });
}

/**
 * Decodes and measures the rows that a run will use, before it trains.
 *
 * @param wanted rows that the run asks for at most.
 * @returns indices of rows that are left out, by `data.over_budget`.
 * @throws {DataError} `prompt-over-budget` or {ConfigError} `prompt-over-context` for one row that does
 *   not fit, `rows-over-budget` for several; and what is wrong with a row otherwise, such as a corrupt
 *   clip.
 */
export async function checkRows(
  loader: SampleLoader,
  { processor, settings, dataset, order, events }: RowCheck,
  wanted: number,
): Promise<ReadonlySet<number>> {
  const { check_rows: all, over_budget: action } = settings.data;
  if (!all || dataset.alike === true) {
    const error = await misfitOf(loader, processor, dataset, order.at(0), settings);
    if (error !== undefined) throw error;
    return new Set();
  }
  const over = new Map<number, AubadeError>();
  const checked = new Set<number>();
  const expected = order.used(wanted).length;
  let position = 0;
  for (let fitting = 0; fitting < wanted;) {
    const from = position;
    position += Math.min(AT_A_TIME, wanted - fitting);
    const places = Array.from({ length: position - from }, (_, i) => order.at(from + i));
    const fresh = [...new Set(places)].filter((index) => !checked.has(index));
    const errors = await Promise.all(
      fresh.map((index) => misfitOf(loader, processor, dataset, index, settings)),
    );
    fresh.forEach((index, i) => {
      checked.add(index);
      if (errors[i] !== undefined) over.set(index, errors[i]);
    });
    if (over.size === dataset.length) break;
    fitting += places.filter((index) => !over.has(index)).length;
    if (fresh.length > 0 && expected > AT_A_TIME) {
      const total = Math.max(expected, checked.size);
      report(events, "progress", {
        what: "checking rows",
        done: checked.size,
        total,
        unit: "rows",
      });
    }
  }
  if (over.size === 0) return new Set();
  if (action === "stop" || over.size === dataset.length) throw refusal(over, checked.size);
  const rows = [...over].map(([index, { message }]) => ({ row: dataset.row(index).id, message }));
  report(events, "rows_over_budget", { rows, checked: checked.size });
  return new Set(over.keys());
}

/** Why a row does not fit; undefined where it does. */
async function misfitOf(
  loader: SampleLoader,
  processor: Processor,
  dataset: DataSet,
  index: number,
  settings: RunSettings,
): Promise<AubadeError | undefined> {
  try {
    const { id: row, nextPos } = await loader.load(dataset.row(index));
    checkContext(row, nextPos, processor, settings);
    return undefined;
  } catch (error) {
    if (error instanceof AubadeError && OVER.has(error.code)) return error;
    throw error;
  }
}

function checkContext(
  row: string,
  nextPos: number,
  processor: Processor,
  settings: RunSettings,
): void {
  const { max_completion_length: completion } = settings.rollout;
  const context = processor.config.text.maxPositions;
  if (nextPos + completion <= context) return;
  const room = context - nextPos;
  throw new ConfigError(
    "prompt-over-context",
    `${row} ends at position ${nextPos}; with ${completion} new tokens it passes the model's ${context}.`,
    {
      hint:
        room > 0
          ? `Set rollout.max_completion_length to at most ${room}.`
          : "Leave the row out, or give it fewer or smaller media.",
    },
  );
}

function refusal(over: ReadonlyMap<number, AubadeError>, checked: number): AubadeError {
  const errors = [...over.values()];
  if (errors.length === 1) return errors[0]!;
  const told = errors.slice(0, TOLD).map(({ message }) => message);
  const more = errors.length > TOLD ? ` And ${errors.length - TOLD} more.` : "";
  return new DataError(
    "rows-over-budget",
    `${errors.length} of ${checked} rows do not fit. ${told.join(" ")}${more}`,
    { hint: "Or set data.over_budget to leave_out, which trains without them." },
  );
}
