import { resolve } from "node:path";
import { describe, expect, test } from "vitest";
import { configuredRewards } from "../../src/reward/configured.ts";
import { loadRewardModule } from "../../src/reward/load-module.ts";
import { type Completion, defineGroupReward } from "../../src/reward/reward.ts";
import { REWARDS, rewardSchema, type RewardConfig } from "../../src/reward/schema.ts";
import { RewardScorer } from "../../src/reward/scorer.ts";

const ROW = { id: "r", answer: "yes", problem_type: "judge" };

function completion(text: string, index = 0): Completion {
  return { text, ids: [], finished: true, index, draw: 0 };
}

describe("a module of the user's own", () => {
  test("is found beside the configuration, and may be async", async () => {
    const reward = await loadRewardModule("test/reward/modules/good.ts");
    expect(reward.name).toBe("short-and-right");
    expect(await reward.score(completion("yes"), ROW)).toBe(1);
    expect(await reward.score(completion("no"), ROW)).toBe(0);
  });

  test("may be plain JavaScript with a default export", async () => {
    const reward = await loadRewardModule("test/reward/modules/plain.js");
    expect(await reward.score(completion(""), ROW)).toBe(0.25);
  });

  test.each([
    [
      "test/reward/modules/absent.ts",
      /reward module test\/reward\/modules\/absent\.ts is not there: \/.*absent\.ts\. Give its path/,
    ],
    [
      "test/reward/modules/no-export.ts",
      /no-export\.ts exports other\. Export a reward as default/,
    ],
    [
      "test/reward/modules/wrong-shape.ts",
      /exports a number without a name and a function score or scoreGroup\. Export defineReward/,
    ],
    [
      "test/reward/modules/throws.ts",
      /cannot be loaded: this module cannot start\. Correct the module/,
    ],
  ])("%s says what is wrong", async (path, message) => {
    await expect(loadRewardModule(path)).rejects.toThrow(message);
  });

  test.each([
    "data:text/javascript,export default 1",
    "http://x/y.js",
    "https://x/y.js",
    "node:fs",
  ])("is a file: %s is refused and not run", async (path) => {
    await expect(loadRewardModule(path)).rejects.toThrow("is no file");
  });

  test("that throws or gives no number is counted with its message", async () => {
    const parts = await configuredRewards(
      [rewardSchema.parse({ module: "test/reward/modules/good.ts", weight: 2 })],
      { seed: 0 },
    );
    const completions = ["yes", "throw", "nan"].map((text, at) => completion(text, at));
    const [scores] = await new RewardScorer(parts).scoreGroups([{ row: ROW, completions }]);
    expect(scores!.map(({ total }) => total)).toEqual([2, null, null]);
    expect(scores!.map(({ failures }) => Object.values(failures)[0])).toEqual([
      undefined,
      expect.stringContaining(
        `The reward module ${resolve("test/reward/modules/good.ts")} threw for completion 1 of row r: it was asked to throw.`,
      ),
      expect.stringContaining('Reward "short-and-right" gave NaN for completion 2 of row r'),
    ]);
  });

  test("cannot change what others read, and is named where it fails", async () => {
    const reward = await loadRewardModule("test/reward/modules/meddles.ts");
    const row = { ...ROW, options: ["a", "b"] };
    const before = structuredClone(row);
    const texts = ["row", "options", "ids", "number", "fine"];
    const said = texts.map((text, at) => ({ ...completion(text, at), ids: [1, 2] }));
    const [scores] = await new RewardScorer([{ reward, weight: 1 }]).scoreGroups([
      { row, completions: said },
    ]);
    expect(scores!.map(({ total }) => total)).toEqual([null, null, null, null, 1]);
    for (const [at, { failures }] of scores!.slice(0, 4).entries()) {
      expect(failures["meddles"]).toContain(
        `The reward module ${resolve("test/reward/modules/meddles.ts")}`,
      );
      expect(failures["meddles"]).toContain(`for completion ${at} of row r`);
    }
    expect(row).toEqual(before);
    expect(said.map(({ ids }) => ids)).toEqual(texts.map(() => [1, 2]));
  });

  test("may be a function of options, and score a group at once with every column of the row", async () => {
    const module = "test/reward/modules/factory.ts";
    const config = rewardSchema.parse({ module, options: { column: "gold" }, as: "brief" });
    const parts = await configuredRewards([config], { seed: 0 });
    const row = { ...ROW, columns: { gold: "yes" } };
    const said = ["yes", "yes", "no", "nothing"].map((text, at) => ({
      ...completion(text, at),
      ids: Array<number>(at + 1).fill(5),
    }));
    const [scores] = await new RewardScorer(parts).scoreGroups([{ row, completions: said }]);
    expect(scores!.map(({ total }) => total)).toEqual([1, 0, 0, null]);
    expect(Object.keys(scores![0]!.components)).toEqual(["brief"]);
    const path = resolve(module);
    await expect(loadRewardModule(module, {})).rejects.toThrow(
      `The reward module ${path} makes no reward: column is missing.`,
    );
    await expect(loadRewardModule("test/reward/modules/good.ts", { a: 1 })).rejects.toThrow(
      "is a reward that takes no options. Export a function of the options",
    );
    const typed = rewardSchema.parse({ module, options: { column: "gold" }, problem_types: ["x"] });
    const [other] = await configuredRewards([typed], { seed: 0 });
    const [none] = await new RewardScorer([other!]).scoreGroups([{ row, completions: said }]);
    expect(none!.map(({ total }) => total)).toEqual([null, null, null, null]);
  });

  test("whose group scores are no list of the group's length is a failure of all", async () => {
    const short = defineGroupReward("short", () => [1]);
    const [scores] = await new RewardScorer([{ reward: short, weight: 1 }]).scoreGroups([
      { row: ROW, completions: [completion("a"), completion("b", 1)] },
    ]);
    expect(scores!.map(({ failures }) => failures["short"])).toEqual([
      expect.stringContaining('Reward "short" gave a list of 1 for the 2 completions of row r'),
      expect.stringContaining("a list of 1"),
    ]);
  });

  test("of a program is relative to the current folder", async () => {
    const own = [rewardSchema.parse({ module: "./x.ts" })];
    await expect(configuredRewards(own, { seed: 0 })).rejects.toThrow(
      `The reward module ./x.ts is not there: ${resolve("x.ts")}. Give its path`,
    );
  });
});

describe("configured rewards", () => {
  const make = (config: unknown): Promise<{ reward: { name: string }; weight: number }[]> =>
    configuredRewards([rewardSchema.parse(config)], { seed: 0 });

  test.each(REWARDS.filter((name) => name !== "module" && name !== "judge"))(
    "%s is made with its default options",
    async (name) => {
      const [made] = await make({ name });
      expect(made!.reward.name).toBe(name);
      expect(made!.weight).toBe(1);
    },
  );

  test("take options, another name and problem types", async () => {
    const config: RewardConfig = rewardSchema.parse({
      ...{ name: "numeric", weight: 0.5, as: "close", problem_types: ["numerical"] },
      options: { tolerance: 1 },
    });
    const [made] = await configuredRewards([config], { seed: 0 });
    const row = { id: "r", answer: "10", problem_type: "numerical" };
    expect(made!.reward.name).toBe("close");
    expect(made!.reward.score(completion("<answer>11</answer>"), row as never)).toBe(1);
    expect(made!.reward.score(completion("<answer>11</answer>"), ROW as never)).toBe(null);
  });

  test("old configurations stay as they are", () => {
    expect(rewardSchema.parse({ name: "format", weight: 0.2 })).toEqual({
      ...{ name: "format", weight: 0.2 },
    });
  });

  test.each([
    [{ name: "numeric", options: { tolerence: 1 } }, "numeric has no such option"],
    [{ name: "numeric", options: { tolerance: -1 } }, "Too small"],
    [{ name: "format", options: { once: true } }, "format has no such option"],
    [{ name: "judge" }, "judge needs it"],
    [{ weight: 1 }, "neither a name nor a module"],
    [{ name: "format", module: "./x.ts" }, "name is format already"],
    [{ name: "format", as: "My name" }, "lower-case words"],
    [{ name: "format", problem_types: [] }, "it must name a problem type"],
  ])("%j is refused", (config, message) => {
    expect(rewardSchema.safeParse(config).error?.issues[0]?.message).toContain(message);
  });
});
