import { z } from "zod";
import { DataError } from "../../core/errors.ts";
import type { DataSet, OpenedData } from "../../data/dataset.ts";
import { openRelease } from "../release/open.ts";
import { answerScorer, columnOf } from "../release/score.ts";
import {
  CLIP_SETTINGS,
  type ClipSettings,
  releaseSettings,
  type ReleaseSettings,
} from "../release/settings.ts";
import { INTENT_BENCH_OFFICIAL } from "./official.ts";
import { intentTranslator } from "./rows.ts";

type Settings = ReleaseSettings & ClipSettings & { problem_types: readonly string[] };

const problemTypes = {
  problem_types: z
    .array(z.string().min(1))
    .default([])
    .describe("Problem types whose rows are taken, such as `multiple choice`; empty takes all."),
};

const TRAIN_FILES = [
  "emer_rewrite.json",
  "social_iq_v2_rewrite.json",
  "Video-R1_rewrite.json",
] as const;

const bench = {
  ...releaseSettings("qa.json and its videos", "intent"),
  ...CLIP_SETTINGS,
  ...problemTypes,
};
const train = {
  ...releaseSettings("the JSON files of the release and their media", "intent"),
  ...CLIP_SETTINGS,
  ...problemTypes,
  files: z
    .array(z.enum(TRAIN_FILES))
    .min(1, "at least one file of rows is needed")
    .default(["emer_rewrite.json", "social_iq_v2_rewrite.json"])
    .describe("Files of rows, one after the other."),
};

/**
 * Returns the rows of some problem types.
 *
 * @throws {DataError} `no-such-type` for a type that no row has.
 */
function ofTypes(set: DataSet, types: readonly string[]): DataSet {
  if (types.length === 0) return set;
  const all = Array.from({ length: set.length }, (_, index) => index);
  const typeOf = (index: number) => set.row(index).problem_type ?? "";
  const known = new Set(all.map(typeOf));
  for (const type of types) {
    if (known.has(type)) continue;
    throw new DataError("no-such-type", `No row is of the problem type "${type}".`, {
      hint: `There are ${[...known].join(", ")}.`,
    });
  }
  const kept = all.filter((index) => types.includes(typeOf(index)));
  return {
    length: kept.length,
    digest: `${set.digest} ${types.join(", ")}`,
    row: (index) => set.row(kept[index]!),
  };
}

/** IntentTrain: the rows that HumanOmniV2 was trained on. */
export const INTENT_TRAIN = {
  doc: "IntentTrain, questions on what people in clips mean and feel, to train on",
  settings: train,
  asked: train,
  async open(given: Settings & { files: readonly string[] }): Promise<OpenedData> {
    const whole = await openRelease(given, given.files, await intentTranslator(given.path, given));
    return { set: ofTypes(whole, given.problem_types) };
  },
};

/** IntentBench: its validation. */
export const INTENT_BENCH = {
  doc: "IntentBench, 2,689 questions on what people in 633 clips mean and feel",
  settings: bench,
  asked: bench,
  limits: [
    "263 of IntentBench's 300 Social-IQ clips are in the training file of Social-IQ 2.0.",
    "Four of its deception clips do not load; published numbers leave them out.",
  ],
  async open(given: Settings): Promise<OpenedData> {
    const whole = await openRelease(given, ["qa.json"], await intentTranslator(given.path, given));
    const set = ofTypes(whole, given.problem_types);
    const scorer = answerScorer((row) => [columnOf(row, "Type")]);
    return { set, scorer, official: INTENT_BENCH_OFFICIAL };
  },
};
