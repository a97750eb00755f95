/** Checks of rows, prompt and rewards against each other, made before weights are loaded. */
import type { RunConfig } from "../config/schema.ts";
import { ConfigError } from "../core/errors.ts";
import { quoted } from "../core/quoted.ts";
import type { DataRow, DataSet } from "../data/dataset.ts";
import { type PromptName, PROMPTS } from "../data/prompts/prompts.ts";
import { checkGold, goldAnswer } from "../reward/answer/gold.ts";
import { REGISTERED_REWARDS } from "../reward/registry.ts";
import type { AsyncReward, Completion, RewardRow, WeightedReward } from "../reward/reward.ts";
import { OWN_REWARD, type RewardConfig } from "../reward/schema.ts";
import type { Conversation } from "../text/chat-template.ts";

/** Rewards that no sample completion can speak for: chance, length, a model, the row's own type. */
const BEYOND = new Set<string>(["random", "soft-overlong", "judge", "by-type"]);

/** A reward is earned in full from here on: some, such as `regression`, reach 1 but for rounding. */
const FULL = 0.999;
/** Rows that are tried; a reward fits if it pays one of them in full. */
const TRIED = 32;

/** The form of a completion that obeys each prompt, around the answer; and how choices answer. */
const OBEYS: Readonly<
  Record<PromptName, { choice: "letter" | "words"; wrap: (answer: string) => string }>
> = {
  default: { choice: "words", wrap: (answer) => `<answer>${answer}</answer>` },
  "no-think": { choice: "words", wrap: (answer) => `<answer>${answer}</answer>` },
  think: { choice: "words", wrap: thought },
  "think-briefly": { choice: "words", wrap: thought },
  new: { choice: "words", wrap: (answer) => answer },
  direct: { choice: "letter", wrap: (answer) => answer },
  intent: { choice: "letter", wrap: thought },
  "daily-omni": { choice: "letter", wrap: thought },
  "context-think-answer": {
    choice: "letter",
    wrap: (answer) => `<context>a clip</context>\n${thought(answer)}`,
  },
};

function thought(answer: string): string {
  return `<think>the second is right</think>\n<answer>${answer}</answer>`;
}

/**
 * Checks that a right completion which obeys the prompt can earn each reward in full.
 *
 * @param rows whose prompts the template made.
 * @throws {ConfigError} `prompt-and-rewards` that shows what the prompt asks for and the reward gives.
 */
export async function checkPromptFits(
  prompt: PromptName,
  configs: readonly RewardConfig[],
  rows: readonly RewardRow[],
): Promise<void> {
  for (const { name, weight, options, problem_types: types } of configs) {
    if (weight === 0 || name === OWN_REWARD || BEYOND.has(name)) continue;
    const reward = REGISTERED_REWARDS[name].make(options ?? {}, { seed: 0 });
    const own = rows.filter((row) => types?.includes(row.problem_type ?? "") !== false);
    const tried = own.slice(0, TRIED);
    const best = await bestOf(reward, prompt, tried);
    if (best === undefined || best > FULL) continue;
    const fitting: string[] = [];
    for (const other of Object.keys(PROMPTS) as PromptName[]) {
      if (((await bestOf(reward, other, tried)) ?? 0) > FULL) fitting.push(other);
    }
    throw new ConfigError(
      "prompt-and-rewards",
      `The prompt "${prompt}" asks for ${quoted(obeying(prompt, tried[0]!))}, for which the reward "${name}" gives at most ${best}: a model that obeys would never earn it.`,
      {
        hint: `Set data.prompt to ${fitting.join(", ") || "another"}, or choose a reward that fits the prompt (docs/rewards.md).`,
      },
    );
  }
}

/** Returns a right completion of the form that a prompt asks for. */
function obeying(prompt: PromptName, row: RewardRow): string {
  const { choice, wrap } = OBEYS[prompt];
  const gold = goldAnswer(row);
  if (gold.kind === "option") {
    return wrap(choice === "letter" ? gold.letter : (gold.words ?? gold.letter));
  }
  return wrap(
    gold.kind === "none" ? (choice === "letter" ? "A" : (row.options?.[0] ?? "-")) : gold.text,
  );
}

/**
 * Returns the most that a reward gives for right completions; undefined where it speaks of no row.
 */
async function bestOf(
  reward: AsyncReward,
  prompt: PromptName,
  rows: readonly RewardRow[],
): Promise<number | undefined> {
  let best: number | undefined;
  for (const row of rows) {
    const text = obeying(prompt, row);
    const completion: Completion = { text, ids: [1], finished: true, index: 0, draw: 0 };
    try {
      best = Math.max(best ?? 0, (await reward.score(completion, row)) ?? 0);
    } catch {
      // A row of another kind than the reward is for, which the run tells when it comes to it.
    }
  }
  return best;
}

/**
 * Asks rewards of the user's own about a right completion of the first row that they apply to: what a
 * module does wrong with any row shows before weights are loaded.
 *
 * @throws {ConfigError} `reward-trial` with the module's path, its error and the row.
 */
async function tryModules(
  prompt: PromptName | undefined,
  configs: readonly RewardConfig[],
  rewards: readonly WeightedReward<DataRow, AsyncReward<DataRow>>[],
  rows: readonly DataRow[],
): Promise<void> {
  for (const [at, { module, problem_types: types }] of configs.entries()) {
    const row = rows.find((one) => types?.includes(one.problem_type ?? "") !== false);
    if (module === undefined || row === undefined) continue;
    const text = obeying(prompt ?? "new", row);
    const completion: Completion = { text, ids: [1], finished: true, index: 0, draw: 0 };
    try {
      await rewards[at]!.reward.score(completion, row);
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new ConfigError(
        "reward-trial",
        `A trial on ${row.place ?? row.id} with the completion ${quoted(text, 80)} failed: ${reason}`,
        { hint: "Correct the module before weights are loaded and rollouts are made.", cause },
      );
    }
  }
}

/**
 * Checks answers and prompts of the rows that are trained on against the rewards.
 *
 * @throws {DataError} of `checkGold`; {ConfigError} of `checkPromptFits`, `reward-trial`.
 */
export async function checkTrainingRows(
  dataset: DataSet,
  { data, rewards: configs }: Pick<RunConfig, "data" | "rewards">,
  rewards: readonly WeightedReward<DataRow, AsyncReward<DataRow>>[],
): Promise<void> {
  const rows = Array.from({ length: dataset.length }, (_, index) => dataset.row(index));
  checkGold(
    rows,
    rewards.some(({ reward }) => reward.needsAnswer === true),
  );
  const prompt = "prompt" in data ? (data.prompt as PromptName) : undefined;
  await tryModules(prompt, configs, rewards, rows);
  if (prompt === undefined) return;
  await checkPromptFits(
    prompt,
    configs,
    rows.filter((row) => isMadeBy(prompt, row)),
  );
}

/** Tells whether a template made the prompt of a row; rows may have prompts of their own. */
function isMadeBy(prompt: PromptName, row: DataRow): boolean {
  if (row.question === undefined) return false;
  try {
    const made = PROMPTS[prompt]({ ...row, question: row.question, media: [] });
    return lastText(made) === lastText(row.conversation);
  } catch {
    return false;
  }
}

function lastText(conversation: Conversation): string | undefined {
  const content = conversation.at(-1)?.content;
  if (typeof content === "string") return content;
  return content?.findLast((part) => part.type === "text")?.text;
}
