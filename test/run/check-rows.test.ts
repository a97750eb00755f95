import { describe, expect, it } from "vitest";
import type { DataRow, DataSet } from "../../src/data/dataset.ts";
import { PROMPTS, type PromptName } from "../../src/data/prompts/prompts.ts";
import { configuredRewards } from "../../src/reward/configured.ts";
import type { RewardRow } from "../../src/reward/reward.ts";
import { REGISTERED_REWARDS } from "../../src/reward/registry.ts";
import { rewardsSchema } from "../../src/reward/schema.ts";
import { checkPromptFits, checkTrainingRows } from "../../src/run/check-rows.ts";

/** Rows of the kinds that rewards are for. */
const SAMPLES: readonly RewardRow[] = [
  { id: "choice", answer: "B", options: ["red", "blue"] },
  { id: "number", answer: "42" },
  { id: "text", answer: "a red car" },
  { id: "yes", answer: "Yes" },
  { id: "time", answer: "[10, 20]" },
  { id: "action", answer: "(1) open" },
];

/** Rows of a template, as a file without prompts has them. */
function rowsOf(prompt: PromptName, answers: readonly string[]): DataSet {
  const rows = answers.map((answer, at): DataRow => {
    const row = { id: `r${at}`, question: "Which colour is first?", options: ["red", "blue"] };
    const conversation = PROMPTS[prompt]({ ...row, media: [] });
    return { ...row, answer, conversation, kind: "all", mediaNames: "" };
  });
  return { length: rows.length, digest: "x", row: (index) => rows[index]! };
}

async function check(prompt: PromptName, rewards: unknown, answers = ["B"]): Promise<void> {
  const configs = rewardsSchema.parse(rewards);
  const made = await configuredRewards(configs, { seed: 0 });
  const data = { name: "jsonl", path: "rows.jsonl", prompt } as never;
  await checkTrainingRows(rowsOf(prompt, answers), { data, rewards: configs }, made as never);
}

describe("prompt and rewards", () => {
  it("of the defaults fit each other", async () => {
    await check("intent", undefined, ["A", "B. blue", "blue"]);
  });

  it("that contradict each other are refused with an example and a remedy", async () => {
    await expect(check("default", undefined)).rejects.toThrow(
      /The prompt "default" asks for "<answer>blue<\/answer>", for which the reward "format" gives at most 0.*Set data\.prompt to intent, daily-omni/,
    );
    await expect(check("new", [{ name: "exact-alnum" }])).rejects.toThrow(
      'the reward "exact-alnum"',
    );
    await expect(check("intent", [{ name: "option-text" }])).rejects.toThrow(
      "Set data.prompt to default",
    );
  });

  it("try a module of one's own on the first row before anything is loaded", async () => {
    const module = "test/reward/modules/factory.ts";
    await expect(check("intent", [{ module, options: { column: "gold" } }])).rejects.toThrow(
      /A trial on r0 with the completion "<think>.*<answer>B<\/answer>" failed: The reward module .*factory\.ts threw for the completions of row r0: Cannot read properties of undefined/,
    );
  });

  it("are not compared where a reward has no weight or depends on more than the text", async () => {
    await check("default", [
      { name: "format", weight: 0 },
      { name: "option-text" },
      { name: "random" },
    ]);
  });

  it("fit as the table of docs/rewards.md says, and every reward has a prompt", async () => {
    const fits: [PromptName, string][] = [
      ...(["default", "no-think"] as const).flatMap((name): [PromptName, string][] => [
        [name, "format-answer"],
        [name, "option-text"],
      ]),
      ...(["think", "think-briefly"] as const).flatMap((name): [PromptName, string][] => [
        [name, "format-think-answer"],
        [name, "option-text"],
      ]),
      ["new", "option-text"],
      ...(["intent", "daily-omni"] as const).flatMap((name): [PromptName, string][] => [
        [name, "format-tags"],
        [name, "exact-alnum"],
      ]),
      ["context-think-answer", "format-context"],
    ];
    for (const [prompt, name] of fits)
      await checkPromptFits(prompt, rewardsSchema.parse([{ name }]), SAMPLES);
    for (const name of Object.keys(REGISTERED_REWARDS).filter((one) => one !== "judge")) {
      const found = await Promise.allSettled(
        (Object.keys(PROMPTS) as PromptName[]).map((prompt) =>
          checkPromptFits(prompt, rewardsSchema.parse([{ name }]), SAMPLES),
        ),
      );
      expect(
        found.some(({ status }) => status === "fulfilled"),
        name,
      ).toBe(true);
    }
  });
});

describe("answers of rows", () => {
  it("must be options before anything is loaded", async () => {
    await expect(check("intent", undefined, ["B", "E", "0"])).rejects.toThrow(
      /2 of 3 rows.*"E".*"0"/,
    );
  });

  it("are asked for only where a reward compares with them", async () => {
    await check("intent", [{ name: "format" }], [""]);
    await expect(check("intent", undefined, [""])).rejects.toThrow("Row r0 has no answer");
    const judge = { name: "judge", options: { url: "http://localhost:1/v1", model: "m" } };
    await expect(check("intent", [judge], [""])).rejects.toThrow("has no answer");
    const free = { ...judge, options: { ...judge.options, prompt: "Good? {completion}" } };
    await check("intent", [free], [""]);
  });
});
