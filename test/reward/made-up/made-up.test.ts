/** The way of docs/extending.md, "A reward", walked: an entry by itself, then its sum, then a module. */
import { describe, expect, it } from "vitest";
import { Events } from "../../../src/core/events.ts";
import type { RunEvent } from "../../../src/core/run-events.ts";
import { configuredRewards } from "../../../src/reward/configured.ts";
import { defineReward, type Completion } from "../../../src/reward/reward.ts";
import { REGISTERED_REWARDS } from "../../../src/reward/registry.ts";
import { rewardSchemaOf, rewardsSchema } from "../../../src/reward/schema.ts";
import { RewardScorer } from "../../../src/reward/scorer.ts";
import { NEAR } from "./reward.ts";

const ROW = { id: "r", answer: "12" };
const said = (text: string, index = 0): Completion => ({
  ...{ text, index, ids: [], finished: true, draw: 0 },
});

describe("a reward in a folder of its own", () => {
  it("is made from checked options", async () => {
    const score = (text: string, options: object) =>
      NEAR.make(options, { seed: 0 }).score(said(text), ROW);
    expect(await score("It is 12.", {})).toBe(1);
    expect(await score("It is 15.", {})).toBeCloseTo(0.7, 12);
    expect(await score("15", { reach: 2 })).toBe(0);
    expect(await score("none", {})).toBe(0);
    expect(() => NEAR.make({ reach: 0 }, { seed: 0 })).toThrow();
    expect(() => NEAR.make({ rich: 2 }, { seed: 0 })).toThrow(/rich/);
  });

  it("takes part in a sum by its weight, beside any other", async () => {
    const events = new Events();
    const told: RunEvent[] = [];
    events.listen((event) => told.push(event));
    const short = defineReward("short", ({ text }) => (text.length < 5 ? 1 : 0));
    const scorer = new RewardScorer(
      [
        { reward: NEAR.make({ reach: 4 }, { seed: 0 }), weight: 0.8 },
        { reward: short, weight: 0.2 },
      ],
      events,
    );
    const completions = [said("12"), said("14", 1), said("It is 14", 2)];
    const [scores] = await scorer.scoreGroups([{ row: ROW, completions }]);
    expect(scores!.map(({ total }) => total)).toEqual([1, 0.8 * 0.5 + 0.2, 0.4]);
    expect(told).toEqual([]);
  });

  it("is one line of a registry away from a configuration", async () => {
    const registry = { ...REGISTERED_REWARDS, near: NEAR };
    const schema = rewardSchemaOf(registry);
    const config = schema.parse({ name: "near", options: { reach: 4 }, weight: 0.5 });
    const [made] = await configuredRewards([config], { seed: 0 }, registry);
    expect(await made!.reward.score(said("14"), ROW as never)).toBe(0.5);
    expect(made!.reward.needsAnswer).toBe(true);
    const wrong = schema.safeParse({ name: "near", options: { rich: 4 } });
    expect(wrong.error?.issues[0]).toMatchObject({ message: "near has no such option" });
    expect(rewardSchemaOf(REGISTERED_REWARDS).safeParse({ name: "near" }).success).toBe(false);
  });

  it("loads as a module that a configuration names", async () => {
    const configs = rewardsSchema.parse([
      { module: "test/reward/made-up/reward.ts", weight: 2, as: "closeness" },
    ]);
    const [loaded] = await configuredRewards(configs, { seed: 0 });
    expect([loaded!.weight, loaded!.reward.name]).toEqual([2, "closeness"]);
    expect(await loaded!.reward.score(said("13"), ROW as never)).toBeCloseTo(0.9, 12);
  });
});
