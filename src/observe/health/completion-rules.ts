import type { CompletionView } from "../completions.ts";
import {
  exampleOf,
  type Finding,
  type HealthContext,
  type HealthRule,
  meanOf,
  percent,
  short,
} from "./rule.ts";

/** "3 of 16 completions (19 %)". */
function ofAll(some: readonly unknown[], all: readonly unknown[]): string {
  return `${some.length} of ${all.length} completions (${percent(some.length / all.length)})`;
}

function above(some: readonly unknown[], all: readonly unknown[], threshold: number): boolean {
  return all.length > 0 && some.length / all.length > threshold;
}

function truncation({ completions }: HealthContext, threshold: number): Finding | undefined {
  const cut = completions.filter(({ finished }) => !finished);
  if (!above(cut, completions, threshold)) return undefined;
  return {
    message: `${ofAll(cut, completions)} were cut before they ended, so their answers may be missing. Raise rollout.max_completion_length, or ask for shorter thoughts.`,
    example: exampleOf(cut[0]!),
  };
}

function degenerate(kind: "repetition" | "garbage", what: string, advice: string) {
  return ({ completions }: HealthContext, threshold: number): Finding | undefined => {
    const found = completions.filter(({ degeneration }) => degeneration?.kind === kind);
    if (!above(found, completions, threshold)) return undefined;
    const { reason } = found[0]!.degeneration!;
    return {
      message: `${ofAll(found, completions)} ${what} (the first: ${reason}). ${advice}`,
      example: exampleOf(found[0]!),
    };
  };
}

/** Returns the rewards that paid for completions, with the mean of each. */
function payers(completions: readonly CompletionView[]): string {
  const names = [...new Set(completions.flatMap(({ rewards }) => Object.keys(rewards)))];
  const paid = names
    .map((name) => [name, meanOf(completions.map(({ rewards }) => rewards[name] ?? 0))] as const)
    .filter(([, mean]) => mean > 0);
  return paid.map(([name, mean]) => `${name} ${short(mean)}`).join(", ");
}

function paidGarbage({ completions }: HealthContext, threshold: number): Finding | undefined {
  const broken = completions.filter(({ degeneration }) => degeneration !== undefined);
  const paid = broken.filter(({ reward }) => reward > threshold);
  if (paid.length === 0) return undefined;
  const by = payers(paid);
  return {
    message: `${paid.length} of ${broken.length} completions that repeat themselves or are garbage earned ${short(meanOf(paid.map(({ reward }) => reward)))} on average${by === "" ? "" : ` (${by})`}. A reward that such text can earn will be farmed: make it depend on the answer.`,
    example: exampleOf(paid[0]!),
  };
}

function bannedMass({ metrics, completions }: HealthContext, threshold: number) {
  const mass = metrics["rollout/banned_mass"] ?? NaN;
  if (!(mass > threshold)) return undefined;
  const worst = completions.find(({ bannedMass: own }) => own === mass);
  const message = `Media placeholders and padded vocabulary rows hold ${short(mass)} of a token's probability (limit ${short(threshold)}): the policy drifts towards tokens that it may not say.`;
  return worst === undefined ? { message } : { message, example: exampleOf(worst) };
}

function advantageOutlier({ completions }: HealthContext, threshold: number) {
  let worst: CompletionView | undefined;
  for (const one of completions) {
    if (Math.abs(one.advantage) > Math.abs(worst?.advantage ?? threshold)) worst = one;
  }
  if (worst === undefined) return undefined;
  return {
    message: `One advantage is ${short(worst.advantage)} (limit ${short(threshold)}): this completion outweighs the rest of its step. A tiny deviation divides the rewards of its group; scale_rewards: none or batch does not do so.`,
    example: exampleOf(worst),
  };
}

function overBudget({ metrics }: HealthContext, threshold: number): Finding | undefined {
  const rows = metrics["data/rows_over_budget"] ?? 0;
  if (!(rows > threshold)) return undefined;
  return {
    message: `${rows} rows were left out since their prompts are over the budget of tokens. Fewer frames or pixels make them fit; events.jsonl names them.`,
  };
}

const GARBAGE_ADVICE =
  "Look at the media of the prompts first (aubade dump writes what the model takes): a medium given twice, or a prompt that differs between " +
  "rollout and training, does this at step 1; later the policy has collapsed.";

/** Rules on what the completions of one step are. */
export const COMPLETION_RULES: readonly HealthRule[] = [
  { name: "truncation", every: "step", check: truncation },
  {
    name: "repetition",
    every: "step",
    check: degenerate("repetition", "repeat themselves", GARBAGE_ADVICE),
  },
  { name: "garbage", every: "step", check: degenerate("garbage", "are garbage", GARBAGE_ADVICE) },
  { name: "paid_garbage", every: "step", check: paidGarbage },
  { name: "banned_mass", every: "step", check: bannedMass },
  { name: "advantage_outlier", every: "step", check: advantageOutlier },
  { name: "over_budget", every: "step", check: overBudget },
];
