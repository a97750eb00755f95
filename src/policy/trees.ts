import { ConfigError } from "../core/errors.ts";
import { inBatches } from "../core/in-batches.ts";
import { completionBranch, treeTokens, type Tree } from "../network/decoder/packed.ts";
import type { PolicyCompletion, PolicyTree, RolloutGroup } from "../rollout/types.ts";
import type { LossBatch, LossCompletion } from "./loss/types.ts";

/** Facts about the completions of a step, one entry each, group by group. */
export interface KnownOfCompletions {
  /** Log-probabilities under the reference policy; none when left out. */
  reference?: readonly (readonly number[])[] | undefined;
  /** 0 for all when left out. */
  advantages?: ArrayLike<number>;
  /** Which completions a rule of the run's health takes out of the loss; none when left out. */
  masked?: readonly boolean[];
}

/** Returns rolled-out groups as trees to be trained on. */
export function policyTrees(
  groups: readonly Pick<RolloutGroup, "sample" | "completions">[],
  { reference, advantages, masked }: KnownOfCompletions = {},
): PolicyTree[] {
  let at = 0;
  return groups.map(({ sample, completions }) => ({
    sample,
    completions: completions.map(({ ids, logProbs, samplingLogProbs, finished }) => {
      const index = at++;
      return {
        ...{ ids, old: logProbs, sampling: samplingLogProbs },
        reference: reference?.[index] ?? [],
        advantage: advantages?.[index] ?? 0,
        truncated: !finished,
        masked: masked?.[index] ?? false,
      };
    }),
  }));
}

/** A prompt with completions of which only the tokens matter. */
export type TokenTree = Pick<PolicyTree, "sample"> & {
  readonly completions: readonly Pick<PolicyCompletion, "ids">[];
};

/** Returns the packed form of a tree: the prompt, and its completions as branches. */
export function packedTree({ sample, completions }: TokenTree): Tree {
  return { prompt: sample, branches: completions.map(({ ids }) => completionBranch(ids)) };
}

/**
 * Cuts trees into passes of at most `budget` tokens. A tree that does not fit is split into trees
 * that each compute their prompt again, every one in a pass of its own, which changes no result.
 *
 * @throws {ConfigError} `completion-over-budget` when a prompt with one completion does not fit.
 */
export function cutTrees<T extends TokenTree>(trees: readonly T[], budget: number): T[][] {
  const tokensOf = (tree: T) => treeTokens(packedTree(tree));
  const passes: T[][] = [];
  const fitting: T[] = [];
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

function splitTree<T extends TokenTree>(tree: T, budget: number): T[] {
  const parts: T[] = [];
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
  const list = trees.flatMap(({ completions }) => completions);
  let start = 0;
  const completions = list.map(({ advantage, truncated, masked, ids: { length } }) => {
    const completion: LossCompletion = { start, length, advantage, truncated, masked };
    start += length;
    return completion;
  });
  const column = (name: "old" | "sampling" | "reference") => list.flatMap((one) => one[name]);
  const reference = column("reference");
  return {
    completions,
    ...pass,
    old: column("old"),
    ...(corrected && { sampling: column("sampling") }),
    ...(reference.length > 0 && { reference }),
  };
}
