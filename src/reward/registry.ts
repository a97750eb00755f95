/**
 * The rewards that a configuration can name: what each is, which options it takes, how it is made.
 * docs/rewards.md is the same table with formulas; a test holds the two together.
 */
import { z } from "zod";
import { actionIouReward, actionMatchReward } from "./rewards/actions.ts";
import { byTypeReward } from "./rewards/by-type.ts";
import { exactAlnumReward } from "./rewards/exact-alnum.ts";
import { formatAnswerReward } from "./rewards/format-answer.ts";
import { formatContextReward } from "./rewards/format-context.ts";
import { formatPartsReward } from "./rewards/format-parts.ts";
import { formatTagsReward } from "./rewards/format-tags.ts";
import { formatThinkAnswerReward } from "./rewards/format-think-answer.ts";
import { formatReward } from "./rewards/format.ts";
import { judgeReward, judgeSchema } from "./judge/judge.ts";
import { letterReward } from "./rewards/correct.ts";
import { numericReward } from "./rewards/numeric.ts";
import { ocrReward } from "./rewards/ocr.ts";
import { optionLetterReward } from "./rewards/option-letter.ts";
import { optionTextReward } from "./rewards/option-text.ts";
import { randomReward } from "./rewards/random.ts";
import { regressionReward } from "./rewards/regression.ts";
import type { AsyncReward } from "./reward.ts";
import { ROUGE_KINDS, rougeReward } from "./rewards/rouge.ts";
import { setF1Reward } from "./rewards/set-f1.ts";
import { softOverlongReward } from "./rewards/soft-overlong.ts";
import { temporalIouReward } from "./rewards/temporal-iou.ts";
import { yesNoReward } from "./rewards/yes-no.ts";

/** The surroundings of a reward, besides its options. */
export interface RewardSurroundings {
  /** Seed of the run's random choices. */
  seed: number;
  /** Folder of the run, which keeps a judge's replies. */
  runFolder?: string | undefined;
  /** Environment variables; the process's own by default. */
  environment?: Readonly<Record<string, string | undefined>> | undefined;
}

/** A reward that a configuration can name. */
export interface RegisteredReward {
  /** Its description, as a phrase for the reference and for model cards. */
  readonly doc: string;
  /** The subject of its number; format and correctness are never one number. */
  readonly measures: "format" | "correctness" | "control";
  /** The options that it takes, each described. */
  readonly options: z.ZodObject;
  /** Tells whether it compares with the row's answer, which rows must then have. */
  needsAnswer(options: Readonly<Record<string, unknown>>): boolean;
  /** Makes it from options that `options` has checked. */
  make(options: unknown, around: RewardSurroundings): AsyncReward;
}

function entry<Shape extends z.ZodRawShape>(
  measures: RegisteredReward["measures"],
  doc: string,
  shape: Shape,
  make: (
    options: z.output<z.ZodObject<Shape, z.core.$strict>>,
    around: RewardSurroundings,
  ) => AsyncReward,
): RegisteredReward {
  const options = z.strictObject(shape);
  // The map below loses which options go with which reward; parsing gives them back.
  return {
    ...{ measures, doc, options },
    // A judge whose prompt shows no reference judges by the question alone.
    needsAnswer: ({ prompt }) =>
      measures === "correctness" && (typeof prompt !== "string" || prompt.includes("{reference}")),
    make: (given, around) => make(options.parse(given), around),
  };
}

const once = z
  .boolean()
  .default(false)
  .describe("Whether every tag must stand there exactly once; the source lets tags repeat.");
const trims = (value: boolean, what: string) =>
  z.boolean().default(value).describe(`Whether white space around ${what} is forgiven.`);
const allowed = (what: string) => z.number().min(0).nullable().default(null).describe(what);

/** The rewards of aubade by name; a user's own are loaded by `loadRewardModule`. */
export const REGISTERED_REWARDS = {
  format: entry(
    "format",
    "1 if the whole pattern of thought and answer is there",
    {},
    () => formatReward,
  ),
  correct: entry(
    "correctness",
    "1 if the pattern is there and the answer is right",
    {},
    () => letterReward,
  ),
  random: entry("control", "a fair coin, as a control", {}, (_, { seed }) => randomReward(seed)),
  "soft-overlong": entry(
    "control",
    "a penalty down to -1 for length",
    {
      max_completion_length: z
        .int()
        .positive()
        .default(512)
        .describe("Tokens at which the penalty is -1."),
      soft_punish_cache: z
        .int()
        .positive()
        .default(128)
        .describe("Tokens before that over which it grows."),
    },
    softOverlongReward,
  ),
  "format-tags": entry(
    "format",
    "0.25 for think tags and 0.75 for answer tags",
    { once },
    formatTagsReward,
  ),
  "format-think-answer": entry(
    "format",
    "1 if the text is one thought and one answer",
    { strip: trims(true, "the completion"), once },
    formatThinkAnswerReward,
  ),
  "format-parts": entry(
    "format",
    "0.3 for a thought, 0.3 for an answer, 0.4 for their order",
    {},
    () => formatPartsReward,
  ),
  "format-context": entry(
    "format",
    "1 if the text begins with context, thought and answer",
    { once },
    formatContextReward,
  ),
  "format-answer": entry(
    "format",
    "1 if the text is one answer block",
    { strip: trims(false, "the completion"), once },
    formatAnswerReward,
  ),
  "exact-alnum": entry(
    "correctness",
    "1 if letters and numbers of the answer are the right ones",
    {
      fallback: z
        .boolean()
        .default(false)
        .describe("Whether the whole text is the answer where the tag is missing."),
    },
    exactAlnumReward,
  ),
  "option-letter": entry(
    "correctness",
    "1 if the answer block holds exactly the right answer",
    {},
    () => optionLetterReward,
  ),
  "option-text": entry(
    "correctness",
    "1 if the answer is the words of the right option",
    {},
    () => optionTextReward,
  ),
  "action-match": entry(
    "correctness",
    "1 if the numbers in brackets are the right ones",
    {},
    () => actionMatchReward,
  ),
  "action-iou": entry(
    "correctness",
    "intersection over union of the numbers in brackets",
    {},
    () => actionIouReward,
  ),
  "set-f1": entry(
    "correctness",
    "F1 of the items that commas part",
    { strip: trims(false, "items") },
    setF1Reward,
  ),
  numeric: entry(
    "correctness",
    "1 if the number is right, to hundredths or within a tolerance",
    {
      tolerance: allowed("Largest difference that is right; null keeps the source's hundredths."),
      relative_tolerance: allowed("Largest difference as a share of the right number."),
    },
    numericReward,
  ),
  regression: entry("correctness", "1 minus the relative error", {}, () => regressionReward),
  ocr: entry("correctness", "1 minus the word error rate", {}, () => ocrReward),
  "yes-no": entry(
    "correctness",
    "1 if answer and right answer both say yes, or no",
    {
      strict: z
        .boolean()
        .default(false)
        .describe("Whether words must be whole and only one may be said."),
    },
    yesNoReward,
  ),
  "temporal-iou": entry(
    "correctness",
    "intersection over union of spans of time",
    {},
    () => temporalIouReward,
  ),
  rouge: entry(
    "correctness",
    "ROUGE F measure with the right answer",
    {
      kind: z
        .enum(ROUGE_KINDS)
        .default("mean")
        .describe("Single words, pairs, the longest common subsequence, or the mean of the three."),
      stem: z.boolean().default(true).describe("Whether words are cut to their stems."),
    },
    rougeReward,
  ),
  "by-type": entry(
    "correctness",
    "the reward of the row's own problem_type",
    {
      except: z.array(z.string()).default([]).describe("Problem types left to other rewards."),
    },
    byTypeReward,
  ),
  judge: entry("correctness", "a language model's judgement", judgeSchema.shape, judgeReward),
} as const satisfies Record<string, RegisteredReward>;

/** Name of a reward that aubade has. */
export type RegisteredName = keyof typeof REGISTERED_REWARDS;

/** Rewards of a registry by name. */
export type RewardRegistry<Name extends string = string> = Readonly<Record<Name, RegisteredReward>>;
