import { Random } from "../../core/random.ts";
import type { LessonMaker, LessonPlace, LessonRow, WeightedTree } from "../../data/lessons.ts";
import { type Branch, IGNORE, type Tree } from "../../network/decoder/packed.ts";
import type { Sample } from "../../prompt/sample.ts";
import { clipContents } from "./clip.ts";
import { alignmentLabels, clipTree, textTree, type Teacher, type TinyTree } from "./sft.ts";
import { tinyIds, type TinyIds } from "./words.ts";

/**
 * Returns the part of a sample's prompt before its question: what all questions about a clip share.
 *
 * @param length tokens kept; the next one is text, so its position is where branches start.
 */
function sharedPrompt(sample: Sample, length: number): Tree["prompt"] {
  const total = sample.inputIds.length;
  const positions = new Int32Array(3 * length);
  for (let axis = 0; axis < 3; axis++) {
    positions.set(sample.positions.subarray(axis * total, axis * total + length), axis * length);
  }
  const { visionRows, audioRows } = sample;
  const inputIds = sample.inputIds.slice(0, length);
  return { inputIds, positions, nextPos: sample.positions[length]!, visionRows, audioRows };
}

/** Text alone: positions count from 0 on all axes. */
function textPrompt(ids: readonly number[]): Tree["prompt"] {
  const positions = new Int32Array(3 * ids.length).map((_, i) => i % ids.length);
  const none = new Uint32Array();
  const inputIds = Uint32Array.from(ids);
  return { inputIds, positions, nextPos: ids.length, visionRows: none, audioRows: none };
}

const labelled = (labels: ArrayLike<number>): number =>
  Array.from(labels).filter((label) => label !== IGNORE).length;

/** The roles of the predicted tokens of branches, in the order of the packed loss rows. */
const rolesOf = (branches: TinyTree["branches"], prefix = ""): string[] =>
  branches.flatMap(({ roles }) => roles.flatMap((role) => (role ? [`${prefix}${role}`] : [])));

const branchLabels = (branches: readonly Branch[]): number =>
  branches.reduce((sum, { labels }) => sum + labelled(labels), 0);

/** Settings of the lessons of the tiny task. */
export interface TinyLessonSettings {
  /** Dense alignment: media tokens are labelled with what they show, for the first steps. */
  alignment: { weight: number; steps: number } | null;
  /** Questions without a clip, which teach the letters. */
  text_only: { sequences: number; weight: number } | null;
  /** A careless teacher, which leaves errors for GRPO to remove; null for a true one. */
  teacher: Teacher | null;
}

/**
 * Makes the lessons of the tiny task: every clip's four questions with the answers of a teacher, and
 * where the settings ask for them dense alignment labels and questions without a clip.
 *
 * @param clipSeed seed of the clips.
 */
export function tinyLessons(clipSeed: number, settings: TinyLessonSettings): LessonMaker {
  return ({ tokenizer }) => {
    const ids = tinyIds((text) => tokenizer.encode(text));
    return {
      processing: {},
      trees: (rows, place) => lessonTrees(ids, rows, { ...place, clipSeed, settings }),
    };
  };
}

/** The place of a step, and what its lessons are made of. */
interface TinyLessonPlace extends LessonPlace {
  clipSeed: number;
  settings: TinyLessonSettings;
}

/**
 * Returns the trees of one step with normalised weights: the answers of every clip's four
 * questions, and where the stage asks for them dense alignment labels and questions without a clip.
 *
 * Each of the three losses is a mean over its own tokens of the whole step.
 */
function lessonTrees(
  ids: TinyIds,
  rows: readonly LessonRow[],
  { step, seed, clipSeed, settings }: TinyLessonPlace,
): WeightedTree[] {
  const random = new Random(seed, "question", step, 1000);
  const { alignment, text_only: textOnly } = settings;
  const aligns = alignment !== null && step < alignment.steps;
  const clips = rows.map(({ sample, index }) => {
    const contents = clipContents(clipSeed, index);
    const shared = sample.inputIds.findIndex((id) => id === ids.tags.visionEos) + 1;
    const prompt = sharedPrompt(sample, shared);
    const promptIds = [...prompt.inputIds];
    const { branches } = clipTree(contents, ids, promptIds, random, settings.teacher ?? undefined);
    const promptLabels = aligns ? alignmentLabels(contents, ids, promptIds) : [];
    return { sample, tree: { prompt, promptLabels, branches } };
  });
  const answers = clips.reduce((sum, { tree }) => sum + branchLabels(tree.branches), 0);
  const aligned = clips.reduce((sum, { tree }) => sum + labelled(tree.promptLabels), 0);
  const trees: WeightedTree[] = clips.map(({ sample, tree }) => ({
    sample,
    tree,
    weights: [
      ...Array<number>(labelled(tree.promptLabels)).fill((alignment?.weight ?? 0) / aligned),
      ...Array<number>(branchLabels(tree.branches)).fill(1 / answers),
    ],
    parts: [
      ...Array<string>(labelled(tree.promptLabels)).fill("alignment"),
      ...rolesOf(tree.branches),
    ],
  }));
  if (textOnly === null) return trees;
  const { sequences, weight } = textOnly;
  const texts = Array.from({ length: sequences }, () => textTree(ids, random));
  const letters = texts.reduce((sum, { branches }) => sum + branchLabels(branches), 0);
  for (const { promptIds, branches } of texts) {
    trees.push({
      tree: { prompt: textPrompt(promptIds), branches },
      weights: Array<number>(branchLabels(branches)).fill(weight / letters),
      parts: rolesOf(branches, "text_"),
    });
  }
  return trees;
}
