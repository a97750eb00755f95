import { ConfigError } from "../core/errors.ts";
import { inBatches } from "../core/in-batches.ts";
import type { Tree } from "../network/decoder/packed.ts";
import type { Sample } from "../prompt/sample.ts";

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
      `${row} takes ${tokens} tokens with what it answers; train.max_tokens_per_pass is ${budget}.`,
      { hint: `Set train.max_tokens_per_pass to at least ${tokens}.` },
    );
  }
  return inBatches(trees, ({ tree }) => tokensOf(tree), budget);
}
