import type { Processor, ProcessOptions } from "../model/processor.ts";
import type { Tree } from "../network/decoder/packed.ts";
import type { Sample } from "../prompt/sample.ts";

/** A tree and the weight of each of its predicted tokens, in the order of the packed loss rows. */
export interface WeightedTree {
  tree: Tree;
  /** The row's sample, whose media the tree takes; left out by a sequence without a row. */
  sample?: Sample;
  weights: number[];
  /** The kind of each of these tokens, under which its cross-entropy is reported: `answer` ... */
  parts: string[];
}

/** A row of a step. */
export interface LessonRow {
  /** Its place in the data set. */
  index: number;
  sample: Sample;
}

/** The place of a step in a run, by which random choices are keyed. */
export interface LessonPlace {
  /** Optimizer steps done before it. */
  step: number;
  seed: number;
}

/** Sequences that supervised training makes of rows, and which of their tokens count. */
export interface Lessons {
  /** How rows are processed into samples. */
  readonly processing: ProcessOptions;
  /** Returns the trees of one step; the weights of all their tokens make its loss. */
  trees(rows: readonly LessonRow[], place: LessonPlace): WeightedTree[];
}

/** Makes the lessons of a data set for a model's processor. */
export type LessonMaker = (processor: Processor) => Lessons;
