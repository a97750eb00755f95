import type { z } from "zod";
import type { Events } from "../core/events.ts";
import type { Completion } from "../reward/reward.ts";
import type { Conversation } from "../text/chat-template.ts";
import type { LessonMaker } from "./lessons.ts";

/** One prompt of a data set, and what rewards and records need to know of it. */
export interface DataRow {
  /** Stable name of the sample: part of the key of its random numbers. */
  readonly id: string;
  /** The prompt; it ends with a message that is to be answered. */
  readonly conversation: Conversation;
  /** The right answer: for a choice the letter or the words of an option; empty without one. */
  readonly answer: string;
  /** Place of the right option from 0, where the data set gives that instead of an `answer`. */
  readonly answer_index?: number;
  /** The options of a choice, in the order of their letters. */
  readonly options?: readonly string[];
  /** The question without its options. */
  readonly question?: string;
  /** The kind of answer that is asked for, as data sets name it; rewards may be chosen by it. */
  readonly problem_type?: string;
  /** Completions that it is asked for in training, 2 at least; left out: `train.num_generations`. */
  readonly num_generations?: number;
  /** Every key of the row as its data set has it, for rewards of a user's own. */
  readonly columns?: Readonly<Record<string, unknown>>;
  /** The group of rows that it is counted under. */
  readonly kind: string;
  /** The media of the conversation, as records name them. */
  readonly mediaNames: string;
  /**
   * The place where the row is written, such as `rows.jsonl:12`, for messages; left out: its id.
   */
  readonly place?: string;
}

/** Prompts by index: what a run trains on or a benchmark asks. */
export interface DataSet {
  /** Number of rows. */
  readonly length: number;
  /**
   * Text that is another one when the rows are others, such as a hash of their file: a run is resumed
   * only on the rows that it was started with.
   */
  readonly digest: string;
  /** True when all rows take as many tokens, so that one speaks for all; default false. */
  readonly alike?: boolean;
  /** Row `index`, 0 to `length` - 1. */
  row(index: number): DataRow;
  /** Makes what rows need that is not there yet, such as clips; called once with all rows in use. */
  prepare?(indices: readonly number[], events: Events): Promise<void>;
}

/** The score of an answer: the headline, and measures of their own, such as `format`. */
export interface AnswerScore {
  readonly overall: number;
  readonly [measure: string]: number;
}

/** Scores the answers of a benchmark. */
export interface Scorer {
  /** Scores one answer by numbers between 0 and 1, whose means over all questions are reported. */
  score(completion: Completion, row: DataRow): AnswerScore | Promise<AnswerScore>;
  /** Names under which the row's headline is averaged too; none when left out. */
  categories?(row: DataRow): readonly string[];
}

/**
 * The rule of a benchmark's own authors, with its defects, under its own name: what it gives stands
 * beside our score, so that published numbers can be compared.
 */
export interface OfficialScorer {
  /** Name of the rule in tables, such as `mmau-official`. */
  readonly name: string;
  /**
   * Scores one answer between 0 and 1.
   *
   * @param text the whole completion; undefined where the question could not be asked.
   * @returns null where the rule leaves the question out of its denominator.
   */
  score(text: string | undefined, row: DataRow): number | null;
}

/** The surroundings with which a data set is opened, besides its settings. */
export interface DataContext {
  /** The use of its rows: trained on, or asked as held-out questions. */
  readonly split: "train" | "held-out";
  /** Questions that an evaluation asks; null for all, and in training. */
  readonly questions: number | null;
  /** True where rows may end with the assistant's answer, as supervised training takes them. */
  readonly answered?: boolean | undefined;
  /** Told what takes long, such as downloads; none when left out. */
  readonly events?: Events | undefined;
}

/** An opened data set, with its scorer where it is a benchmark of its own. */
export interface OpenedData {
  readonly set: DataSet;
  readonly scorer?: Scorer | undefined;
  readonly official?: OfficialScorer | undefined;
  /** Lessons of supervised training about its rows, where they are more than their answers. */
  readonly lessons?: LessonMaker | undefined;
}

/** The fault of a benchmark that shares rows with training data, and what to do. */
export interface Overlap {
  /** The benchmark's setting that is wrong. */
  readonly key: string;
  readonly message: string;
  readonly remedy: string;
}

/** A data set that a configuration can name: what it is, which settings it takes, how it opens. */
export interface RegisteredData<
  Train extends z.ZodRawShape = z.ZodRawShape,
  Asked extends z.ZodRawShape = z.ZodRawShape,
> {
  /** Its description, as a sentence for the reference. */
  readonly doc: string;
  /** Its settings in the section `data`, each described. */
  readonly settings: Train;
  /** Its settings as a benchmark in the section `eval`. */
  readonly asked: Asked;
  /** Its limits, which model cards state beside its numbers. */
  readonly limits?: readonly string[];
  /** Opens it with settings that `settings` or `asked` has checked. */
  open(settings: never, context: DataContext): OpenedData | Promise<OpenedData>;
  /**
   * Returns the fault of training on and asking this set with these settings; undefined for none.
   */
  overlap?(trained: never, asked: never): Overlap | undefined;
}
