import type { Events } from "../core/events.ts";
import type { DataSet, OpenedData } from "../data/dataset.ts";
import { RowOrder } from "../data/row-order.ts";
import type { Lessons } from "../data/lessons.ts";
import type { Model } from "../model/model.ts";
import type { Processor } from "../model/processor.ts";
import { answeredRows } from "./answered-rows.ts";
import { answerLessons } from "./answer-lessons.ts";
import { AdamW, isDecayed } from "./optimizer.ts";
import { checkRows, RowBudget } from "./row-budget.ts";
import { RowFeed } from "./row-feed.ts";
import { learningRateAt, totalStepsOf } from "./schedule.ts";
import { SftTask, type Validation } from "./sft.ts";
import type { TaskSettings } from "./task.ts";

/** Data of supervised training. */
export interface SftParts {
  /** The rows to train on. */
  opened: OpenedData;
  /** Held-out rows on which the loss is measured; none when left out. */
  heldOut?: OpenedData | undefined;
  events: Events;
}

/**
 * Opens supervised fine-tuning as the settings say: makes what the rows in use need, checks them, and
 * makes the optimizer.
 *
 * @throws {ConfigError | DataError} of rows and budgets; {DeviceError} `out-of-memory`.
 */
export async function openSft(
  model: Model,
  processor: Processor,
  settings: TaskSettings,
  { opened, heldOut, events }: SftParts,
): Promise<SftTask> {
  const { train, data } = settings;
  const totalSteps = totalStepsOf(train, opened.set.length);
  const wanted = totalSteps * train.prompts_per_step;
  const parts = { processor, settings, events };
  const trained = await feedOf(opened, wanted, train.shuffle_dataset, parts);
  const validation = heldOut && (await validationOf(heldOut, parts));
  const optimizer = await AdamW.create(model.device, model.weights.trained, train, isDecayed);
  return new SftTask({
    ...{ model, optimizer, train, totalSteps, events, validation },
    ...trained,
    lenient: data.unreadable === "leave_out",
    learningRate: (step) => learningRateAt(train, step, totalSteps),
  });
}

interface FeedParts {
  processor: Processor;
  settings: TaskSettings;
  events: Events;
}

async function validationOf(opened: OpenedData, parts: FeedParts): Promise<Validation> {
  const { leftOut, ...fed } = await feedOf(opened, opened.set.length, false, parts);
  return { ...fed, rows: opened.set.length - leftOut };
}

/** Checks the rows of a data set that will be used, and feeds them with their lessons. */
async function feedOf(
  { set, lessons: maker }: OpenedData,
  wanted: number,
  shuffled: boolean,
  { processor, settings, events }: FeedParts,
) {
  const { sft, train } = settings;
  const lessons: Lessons = maker?.(processor) ?? answerLessons(processor, sft.assistant_only_loss);
  const dataset: DataSet = maker === undefined ? answeredRows(set, sft.completion) : set;
  const order = new RowOrder(dataset.length, train.seed, shuffled);
  await dataset.prepare?.(order.used(wanted), events);
  const { processing } = lessons;
  const measure = new RowBudget({ processor, settings, completion: 0, processing });
  const leftOut = await checkRows({ measure, settings, dataset, order, events }, wanted);
  const feed = new RowFeed({ dataset, order, measure, settings, leftOut, events });
  return { loader: measure.loader, lessons, feed, leftOut: leftOut.size };
}
