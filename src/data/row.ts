import type { Conversation } from "../text/chat-template.ts";

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
  /** What kind of answer is asked for, as data sets name it; rewards may be chosen by it. */
  readonly problem_type?: string;
  /** Every key of the row as its data set has it, for rewards of a user's own. */
  readonly columns?: Readonly<Record<string, unknown>>;
  /** Completions that it is asked for in training, 2 at least; left out: `train.num_generations`. */
  readonly num_generations?: number;
  /** The group of rows that it is counted under. */
  readonly kind: string;
  /** The media of the conversation, as records name them. */
  readonly mediaNames: string;
}

/** Prompts by index. */
export interface DataSet {
  /** Number of rows. */
  readonly length: number;
  /** Whether all rows take as many tokens, so that one speaks for all; default false. */
  readonly alike?: boolean;
  /** Row `index`, 0 to `length` - 1. */
  row(index: number): DataRow;
}
