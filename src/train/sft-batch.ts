import { ConfigError } from "../core/errors.ts";
import { inBatches } from "../core/in-batches.ts";
import { Random } from "../core/random.ts";
import { clipContents } from "../datasets/tiny/clip.ts";
import {
  alignmentLabels,
  clipTree,
  textTree,
  type Teacher,
  type TinyTree,
} from "../datasets/tiny/sft.ts";
import type { TinyIds } from "../datasets/tiny/words.ts";
import type { Branch, Tree } from "../network/decoder/packed.ts";
import { IGNORE } from "../network/decoder/packed.ts";
import type { Sample } from "../prompt/sample.ts";
import type { SftStage } from "./schema.ts";

/** A tree and the weight of each of its predicted tokens, in the order of the packed loss rows. */
export interface WeightedTree {
  tree: Tree;
  sample?: Sample;
  weights: number[];
  /** The kind of each of these tokens, for the metrics: `alignment`, `letter`, `text_letter` ... */
  parts: string[];
}

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

/** Settings of the draw of a batch. */
export interface SftDraw {
  stage: SftStage;
  /** Step within the stage, from 0. */
  step: number;
  seed: number;
  /** Optimizer steps done before this one, over all stages: the key of the random draws. */
  draw: number;
  clipSeed: number;
}

/**
 * Returns the trees of one step with normalised weights: the answers of every clip's four
 * questions, and where the stage asks for them dense alignment labels and questions without a clip.
 *
 * Each of the three losses is a mean over its own tokens of the whole step.
 */
export function sftTrees(
  ids: TinyIds,
  samples: readonly { sample: Sample; clip: number }[],
  { stage, step, seed, draw, clipSeed }: SftDraw,
): WeightedTree[] {
  const random = new Random(seed, "question", draw, 1000);
  const teacher: Teacher | undefined = stage.teacher ?? undefined;
  const alignment = stage.alignment !== null && step < stage.alignment.steps;
  const clips = samples.map(({ sample, clip }) => {
    const contents = clipContents(clipSeed, clip);
    const shared = sample.inputIds.findIndex((id) => id === ids.tags.visionEos) + 1;
    const prompt = sharedPrompt(sample, shared);
    const promptIds = [...prompt.inputIds];
    const { branches } = clipTree(contents, ids, promptIds, random, teacher);
    const promptLabels = alignment ? alignmentLabels(contents, ids, promptIds) : [];
    return { sample, tree: { prompt, promptLabels, branches } };
  });
  const answers = clips.reduce((sum, { tree }) => sum + branchLabels(tree.branches), 0);
  const aligned = clips.reduce((sum, { tree }) => sum + labelled(tree.promptLabels), 0);
  const trees: WeightedTree[] = clips.map(({ sample, tree }) => ({
    sample,
    tree,
    weights: [
      ...Array<number>(labelled(tree.promptLabels)).fill((stage.alignment?.weight ?? 0) / aligned),
      ...Array<number>(branchLabels(tree.branches)).fill(1 / answers),
    ],
    parts: [
      ...Array<string>(labelled(tree.promptLabels)).fill("alignment"),
      ...rolesOf(tree.branches),
    ],
  }));
  if (stage.text_only === null) return trees;
  const { sequences, weight } = stage.text_only;
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

/**
 * Cuts trees into passes of at most `budget` tokens, in order; nothing is cut off or left out.
 *
 * @throws {ConfigError} `group-over-budget` that names the row of a tree larger than a pass.
 */
export function cutPasses<T extends { tree: Tree; sample?: Sample }>(
  trees: readonly T[],
  budget: number,
  tokensOf: (tree: Tree) => number,
): T[][] {
  for (const { tree, sample } of trees) {
    const tokens = tokensOf(tree);
    if (tokens <= budget) continue;
    const row = sample?.id ?? "a sequence without a clip";
    throw new ConfigError(
      "group-over-budget",
      `${row} takes ${tokens} tokens with its answers; train.max_tokens_per_pass is ${budget}.`,
      { hint: `Set train.max_tokens_per_pass to at least ${tokens}.` },
    );
  }
  return inBatches(trees, ({ tree }) => tokensOf(tree), budget);
}
