import { ConfigError } from "../core/errors.ts";
import { inBatches } from "../core/in-batches.ts";
import { completionBranch, treeTokens, type Tree } from "../network/decoder/packed.ts";
import type { Sample } from "../prompt/sample.ts";
import type { GeneratedCompletion } from "../rollout/generator.ts";
import type { LossBatch, LossCompletion } from "./loss/types.ts";

/** One completion with everything that a loss needs of it. */
export interface PolicyCompletion {
  ids: readonly number[];
  /** Log-probabilities that the policy gave at rollout. */
  old: readonly number[];
  /** Log-probabilities under the distribution that was sampled from. */
  sampling: readonly number[];
  /** Log-probabilities under the reference policy; empty without one. */
  reference: number[];
  /** Entropies of the policy before the update; empty unless the loss chooses by them. */
  entropy: number[];
  advantage: number;
  truncated: boolean;
  /** Whether a rule of the run's health takes it out of the loss. */
  masked: boolean;
}

/** The completions of one prompt, or a part of them, as a tree to be trained on. */
export interface PolicyTree {
  sample: Sample;
  group: number;
  completions: PolicyCompletion[];
}

/** The completions of a group as a tree, before their advantages are known. */
export function policyTree(
  sample: Sample,
  group: number,
  completions: readonly GeneratedCompletion[],
): PolicyTree {
  return {
    sample,
    group,
    completions: completions.map(({ ids, logProbs, samplingLogProbs, finished }) => ({
      ...{ ids, old: logProbs, sampling: samplingLogProbs, reference: [], entropy: [] },
      advantage: 0,
      truncated: !finished,
      masked: false,
    })),
  };
}

/** The packed form of a tree: the prompt, and its completions as branches. */
export function packedTree({ sample, completions }: PolicyTree): Tree {
  return { prompt: sample, branches: completions.map(({ ids }) => completionBranch(ids)) };
}

/**
 * Cuts trees into passes of at most `budget` tokens. A tree that does not fit is split into trees
 * that each compute their prompt again, every one in a pass of its own, which changes no result.
 *
 * @throws {ConfigError} `completion-over-budget` when a prompt with one completion does not fit.
 */
export function cutTrees(trees: readonly PolicyTree[], budget: number): PolicyTree[][] {
  const tokensOf = (tree: PolicyTree) => treeTokens(packedTree(tree));
  const passes: PolicyTree[][] = [];
  const fitting: PolicyTree[] = [];
  const flush = () => passes.push(...inBatches(fitting.splice(0), tokensOf, budget));
  for (const tree of trees) {
    if (tokensOf(tree) <= budget) {
      fitting.push(tree);
      continue;
    }
    flush();
    passes.push(...splitTree(tree, budget).map((part) => [part]));
  }
  flush();
  return passes;
}

function splitTree(tree: PolicyTree, budget: number): PolicyTree[] {
  const parts: PolicyTree[] = [];
  for (const completion of tree.completions) {
    const last = parts.at(-1);
    const grown = last && { ...last, completions: [...last.completions, completion] };
    if (grown !== undefined && treeTokens(packedTree(grown)) <= budget) {
      parts[parts.length - 1] = grown;
      continue;
    }
    const alone = { ...tree, completions: [completion] };
    const tokens = treeTokens(packedTree(alone));
    if (tokens > budget) {
      throw new ConfigError(
        "completion-over-budget",
        `${tree.sample.id} takes ${tokens} tokens with one completion; train.max_tokens_per_pass is ${budget}.`,
        { hint: `Set train.max_tokens_per_pass to at least ${tokens}.` },
      );
    }
    parts.push(alone);
  }
  return parts;
}

/**
 * Trees as a loss reads them, in the order of their loss rows; `logp` and entropies are a pass's.
 *
 * @param corrected whether the loss asks for the distribution that was sampled from.
 */
export function lossBatch(
  trees: readonly PolicyTree[],
  pass: { logp: ArrayLike<number>; entropy?: ArrayLike<number> },
  corrected: boolean,
): LossBatch {
  const completions: LossCompletion[] = [];
  const list = trees.flatMap(({ group, completions: own }) => own.map((one) => ({ group, one })));
  let start = 0;
  for (const { group, one } of list) {
    const { advantage, truncated, masked, ids } = one;
    completions.push({ start, length: ids.length, advantage, group, truncated, masked });
    start += ids.length;
  }
  const column = (name: "old" | "sampling" | "reference") => list.flatMap(({ one }) => one[name]);
  const reference = column("reference");
  return {
    completions,
    ...pass,
    old: column("old"),
    ...(corrected && { sampling: column("sampling") }),
    ...(reference.length > 0 && { reference }),
  };
}
