import { exists, fileDigest } from "#io";
import type { RunConfig } from "../config/schema.ts";
import { AubadeError, DataError } from "../core/errors.ts";
import type { Events } from "../core/events.ts";
import { report } from "../core/run-events.ts";
import type { DataRow, DataSet } from "../data/dataset.ts";
import { mediaName } from "../data/media-paths.ts";
import { openData } from "../datasets/open.ts";
import { sharedRows } from "../eval/overlap.ts";
import { openBenchmarks } from "../eval/held-out.ts";
import { isUrl } from "../io/path.ts";
import { Processor } from "../model/processor.ts";
import { goldAnswer } from "../reward/answer/gold.ts";
import { configuredRewards } from "../reward/configured.ts";
import { answeredRows } from "../train/answered-rows.ts";
import { isRefused, RowBudget } from "../train/row-budget.ts";
import { mediaParts } from "../text/chat-template.ts";
import { checkTrainingRows } from "./check-rows.ts";

/*
 * Everything that is wrong with the data of a configuration, in one report and without a GPU:
 *
 *   rows      of the training data and of every benchmark: opened, counted by kind and right answer,
 *             repeated rows and options named
 *   answers   that are no option, and rewards that a right completion cannot earn
 *   media     that are missing; and unless rows alone are looked at, each row decoded and measured:
 *             what cannot be read, what does not fit, how many tokens of which kind
 *   overlap   rows that training and a benchmark share, and media, by name and by content
 *
 * A fault is what would end a run before its first step; the rest are warnings.
 */

/** Least, mean and most of a number of tokens. */
export interface TokenSpread {
  least: number;
  mean: number;
  most: number;
}

/** The rows of the training data or of a benchmark. */
export interface SetReport {
  /** `train`, or the name of the benchmark. */
  use: string;
  rows: number;
  /** Rows that were read: all, or one of a set whose rows are alike, and those without a fault. */
  read: number;
  /** Rows by kind, and by right answer: a letter, or `open`, `several`, `none`. */
  kinds: Record<string, number>;
  answers: Record<string, number>;
  /** Rows that repeat an earlier one, and rows with two equal options, by place. */
  repeatedRows: string[];
  repeatedOptions: string[];
  /** Different media, those that are not there, and what is wrong with those that cannot be read. */
  media: number;
  missingMedia: string[];
  unreadable: string[];
  /** Tokens of a row by kind; null where no row was measured. */
  tokens: Record<"text" | "vision" | "audio" | "all", TokenSpread> | null;
}

/** The whole report. */
export interface DataReport {
  sets: SetReport[];
  /** Things at which a run would end before its first step. */
  faults: string[];
  warnings: string[];
}

/** Options of a report. */
export interface DataReportOptions {
  events: Events;
  /** Looks at rows alone: no medium is decoded, nothing is measured. */
  rowsOnly: boolean;
}

/** Examines the data of a configuration; what is wrong with it is in the report and not thrown. */
export async function reportData(
  config: RunConfig,
  { events, rowsOnly }: DataReportOptions,
): Promise<DataReport> {
  const found: DataReport = { sets: [], faults: [], warnings: [] };
  const processor = rowsOnly ? undefined : await processorOf(config, found);
  const set = await trainingSet(config, found, events);
  if (set !== undefined) {
    const rows = rowsOf(set, found);
    const train = describe("train", rows, set.length);
    found.sets.push(train);
    await checkAnswers(set, rows, config, found);
    await findMissing(train, rows);
    if (processor === undefined && config.data.unreadable === "error") {
      found.faults.push(...train.missingMedia.map((medium) => `${medium} is not there.`));
    }
    if (processor !== undefined)
      await measureTraining(train, rows, { config, processor, events, found });
  }
  await examineBenchmarks(config, { set, found, events, rowsOnly });
  return found;
}

async function processorOf(
  { model }: RunConfig,
  found: DataReport,
): Promise<Processor | undefined> {
  try {
    return await Processor.load(model.path, { offline: true, revision: model.revision ?? "main" });
  } catch (error) {
    const why = messageOf(error);
    found.warnings.push(`Rows are not decoded and measured, which needs the model's files: ${why}`);
    return undefined;
  }
}

async function trainingSet(
  { data, task, sft }: RunConfig,
  found: DataReport,
  events: Events,
): Promise<DataSet | undefined> {
  const context = { split: "train", questions: null, answered: task === "sft", events } as const;
  try {
    const { set, lessons } = await openData(data, context);
    if (set.alike === true) await set.prepare?.([0], events);
    return task === "sft" && lessons === undefined ? answeredRows(set, sft.completion) : set;
  } catch (error) {
    found.faults.push(messageOf(error));
    return undefined;
  }
}

/** The rows that can be used; of a set whose rows are alike, which are made, one speaks for all. */
function rowsOf(set: DataSet, found: Pick<DataReport, "faults">): DataRow[] {
  const count = set.alike === true ? Math.min(1, set.length) : set.length;
  return Array.from({ length: count }, (_, index) => index).flatMap((index) => {
    try {
      return [set.row(index)];
    } catch (error) {
      found.faults.push(messageOf(error));
      return [];
    }
  });
}

/** @param count rows of the whole set, where not all of them were read. */
function describe(use: string, rows: readonly DataRow[], count = rows.length): SetReport {
  const seen = new Set<string>();
  const made: SetReport = {
    ...{
      use,
      rows: count,
      read: rows.length,
      kinds: {},
      answers: {},
      repeatedRows: [],
      repeatedOptions: [],
    },
    ...{ media: 0, missingMedia: [], unreadable: [], tokens: null },
  };
  for (const row of rows) {
    made.kinds[row.kind] = (made.kinds[row.kind] ?? 0) + 1;
    const answer = answerName(row);
    made.answers[answer] = (made.answers[answer] ?? 0) + 1;
    const key = JSON.stringify(row.conversation);
    if (seen.has(key)) made.repeatedRows.push(placeOf(row));
    seen.add(key);
    const { options = [] } = row;
    if (new Set(options).size < options.length) made.repeatedOptions.push(placeOf(row));
  }
  return made;
}

const placeOf = ({ place, id }: DataRow): string => place ?? id;

function answerName(row: DataRow): string {
  try {
    const gold = goldAnswer(row);
    return gold.kind === "option" ? gold.letter : gold.kind;
  } catch {
    return "unusable";
  }
}

/** Lists every answer that is no option, and what prompt and rewards make of the rows. */
async function checkAnswers(
  set: DataSet,
  rows: readonly DataRow[],
  config: RunConfig,
  found: DataReport,
): Promise<void> {
  for (const row of rows) {
    try {
      goldAnswer(row);
    } catch (error) {
      found.faults.push(messageOf(error));
    }
  }
  if (config.task !== "grpo" || set.alike === true || found.faults.length > 0) return;
  try {
    const rewards = await configuredRewards(config.rewards, { seed: config.train.seed });
    await checkTrainingRows(set, config, rewards as never);
  } catch (error) {
    found.faults.push(messageOf(error));
  }
}

/** The files that rows name; addresses and bytes are not looked for. */
function filesOf(rows: readonly DataRow[]): Map<string, string> {
  const files = new Map<string, string>();
  for (const row of rows) {
    for (const part of mediaParts(row.conversation)) {
      const medium = (part as unknown as Record<string, unknown>)[part.type];
      for (const file of Array.isArray(medium) ? (medium as unknown[]) : [medium]) {
        if (typeof file !== "string" || isUrl(file) || file.startsWith("data:")) continue;
        if (!files.has(file)) files.set(file, placeOf(row));
      }
    }
  }
  return files;
}

async function findMissing(made: SetReport, rows: readonly DataRow[]): Promise<void> {
  const media = new Set(rows.flatMap((row) => mediaParts(row.conversation).map(mediaName)));
  made.media = media.size;
  for (const [file, place] of filesOf(rows)) {
    if (!(await exists(file))) made.missingMedia.push(`${place}: ${file}`);
  }
}

interface Measuring {
  config: RunConfig;
  processor: Processor;
  events: Events;
  found: DataReport;
}

/** Decodes and measures every training row, as a run does before its first step. */
async function measureTraining(
  made: SetReport,
  rows: readonly DataRow[],
  { config, processor, events, found }: Measuring,
): Promise<void> {
  const { task, rollout } = config;
  const completion = task === "sft" ? 0 : rollout.max_completion_length;
  let measure: RowBudget;
  try {
    measure = new RowBudget({ processor, settings: config, completion });
  } catch (error) {
    found.faults.push(messageOf(error));
    return;
  }
  const counts = { text: [], vision: [], audio: [], all: [] } as Record<string, number[]>;
  const over: string[] = [];
  for (const [at, row] of rows.entries()) {
    const sample = await measure.sampleOf(row);
    if ("error" in sample) {
      const list = sample.kind === "unreadable" ? made.unreadable : over;
      list.push(sample.error.message);
      const told = isRefused(sample, config) ? found.faults : found.warnings;
      told.push(sample.error.message);
    } else {
      const [all, vision, audio] = [
        sample.inputIds.length,
        sample.visionRows.length,
        sample.audioRows.length,
      ];
      counts["all"]!.push(all);
      counts["vision"]!.push(vision);
      counts["audio"]!.push(audio);
      counts["text"]!.push(all - vision - audio);
    }
    const progress = { what: "reading rows", done: at + 1, total: rows.length, unit: "rows" };
    report(events, "progress", progress);
  }
  if (over.length > 0) {
    found.warnings.push(
      `${over.length} of ${rows.length} rows do not fit. ${measure.remedy}`.trim(),
    );
  }
  if (counts["all"]!.length === 0) return;
  const spreads = Object.entries(counts).map(([name, values]) => [name, spreadOf(values)]);
  made.tokens = Object.fromEntries(spreads) as SetReport["tokens"];
}

function spreadOf(values: readonly number[]): TokenSpread {
  const sum = values.reduce((total, value) => total + value, 0);
  return {
    least: values.reduce((a, b) => Math.min(a, b), Infinity),
    mean: Number((sum / values.length).toFixed(1)),
    most: values.reduce((a, b) => Math.max(a, b), 0),
  };
}

/** Describes the benchmarks, and compares their rows and media with those of training. */
async function examineBenchmarks(
  config: RunConfig,
  {
    set,
    found,
    events,
    rowsOnly,
  }: { set: DataSet | undefined; found: DataReport; events: Events; rowsOnly: boolean },
): Promise<void> {
  let benchmarks;
  try {
    benchmarks = await openBenchmarks(config, events);
  } catch (error) {
    found.faults.push(messageOf(error));
    return;
  }
  const trained = set === undefined ? [] : rowsOf(set, { faults: [] });
  if (set !== undefined && (set.alike === true || trained.length === set.length))
    found.warnings.push(...sharedRows(set, benchmarks));
  for (const { name, rows } of benchmarks) {
    const made = describe(name, rows);
    await findMissing(made, rows);
    found.sets.push(made);
    if (set?.alike !== true) await compareMedia(name, trained, rows, { found, rowsOnly });
  }
}

/** Names media that training and a benchmark share: by file, and unless rows alone count by content. */
async function compareMedia(
  benchmark: string,
  trained: readonly DataRow[],
  asked: readonly DataRow[],
  { found, rowsOnly }: { found: DataReport; rowsOnly: boolean },
): Promise<void> {
  const [ours, theirs] = [filesOf(trained), filesOf(asked)];
  const same = [...theirs.keys()].filter((file) => ours.has(file));
  if (same.length > 0) {
    found.warnings.push(
      `${same.length} of ${theirs.size} media of ${benchmark} are media of the training data, such as ${same[0]}.`,
    );
  }
  if (rowsOnly) return;
  const digests = new Map<string, string>();
  for (const file of ours.keys()) {
    if (await exists(file)) digests.set(await fileDigest(file), file);
  }
  for (const file of theirs.keys()) {
    if (ours.has(file) || !(await exists(file))) continue;
    const twin = digests.get(await fileDigest(file));
    if (twin === undefined) continue;
    found.warnings.push(`${file} of ${benchmark} has the content of ${twin} of the training data.`);
  }
}

function messageOf(error: unknown): string {
  if (error instanceof AubadeError) return error.message;
  if (error instanceof Error) throw error;
  throw new DataError("data-report", String(error));
}
