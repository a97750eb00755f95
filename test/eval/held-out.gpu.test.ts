import { readFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { defineReward } from "../../src/reward/reward.ts";
import { train } from "../../src/run/train.ts";
import { TinyWorkplace } from "../helpers/tiny-run.ts";

type Row = Record<string, number>;
interface Answer {
  step: number;
  when: string;
  control: string | null;
  sample: string;
  text: string;
  correct: boolean;
  format: boolean;
  reward: number | null;
  rewards: Record<string, number | null>;
  reward_errors: Record<string, string>;
}

const QUESTIONS = 5;

describe("a run's evaluations", () => {
  const place = new TinyWorkplace();
  let rows: Row[];
  let answers: Answer[];
  beforeAll(async () => {
    await place.make();
    const config = place.config({
      device: { tier: inject("tier").toUpperCase() },
      rewards: [{ name: "format", weight: 0.5 }],
      eval: { questions: QUESTIONS, controls: ["muted"] },
      train: { max_steps: 2, eval_steps: 1 },
    });
    const length = defineReward("length", ({ ids }) => ids.length);
    // Fails for some answers and does not apply to others.
    const moody = defineReward("moody", (_completion, row) => {
      if (row.id.endsWith("1")) throw new Error("no idea");
      return row.id.endsWith("2") ? null : 1;
    });
    const rewards = [
      { reward: length, weight: 0.1 },
      { reward: moody, weight: 1 },
    ];
    await train(config, { runFolder: place.path("run"), rewards });
    const read = async <T>(name: string) =>
      (await readFile(place.path("run", name), "utf8"))
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line) as T);
    rows = await read<Row>("metrics.jsonl");
    answers = await read<Answer>("answers.jsonl");
  });
  afterAll(() => place.remove());

  it("leave every answer with its parts, which add up to its reward", () => {
    expect(answers.map(({ step, when, control }) => `${step} ${when} ${control}`)).toEqual(
      ["0 before null", "1 during null", "2 after null", "2 after muted"].flatMap((name) =>
        Array<string>(QUESTIONS).fill(name),
      ),
    );
    for (const { sample, reward, rewards, reward_errors: errors } of answers) {
      if (sample.endsWith("1")) {
        expect(errors["moody"]).toContain("no idea");
        expect([reward, rewards["moody"]]).toEqual([null, null]);
        continue;
      }
      expect(errors).toEqual({});
      const { format, length, moody } = rewards;
      expect(reward).toBeCloseTo(0.5 * format! + 0.1 * length! + (moody ?? 0), 12);
      if (sample.endsWith("2")) expect(rewards["moody"]).toBeNull();
    }
  });

  it("log mean and deviation of every reward beside the scores", () => {
    const found = rows.filter((row) => "eval/overall" in row || "eval_muted/overall" in row);
    expect(found).toHaveLength(4);
    found.forEach((row, i) => {
      const own = answers.slice(i * QUESTIONS, (i + 1) * QUESTIONS);
      const prefix = i === 3 ? "eval_muted" : "eval";
      const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;
      const std = (values: readonly number[]) =>
        Math.sqrt(
          values.reduce((sum, value) => sum + (value - mean(values)) ** 2, 0) / (values.length - 1),
        );
      const check = (name: string, values: readonly number[]) => {
        expect(row[`${prefix}/${name.replace("*", "mean")}`], name).toBeCloseTo(mean(values), 12);
        const spread = name.includes("*") ? name.replace("*", "std") : `${name}_std`;
        expect(row[`${prefix}/${spread}`], name).toBeCloseTo(std(values), 12);
      };
      check(
        "reward",
        own.flatMap(({ reward }) => reward ?? []),
      );
      for (const name of ["format", "length", "moody"]) {
        const values = own.flatMap(({ rewards }) => rewards[name] ?? []);
        check(`rewards/${name}/*`, values);
        const failed = own.filter(({ reward_errors: errors }) => name in errors).length;
        expect(row[`${prefix}/rewards/${name}/failed`]).toBe(failed / QUESTIONS);
      }
      expect(row[`${prefix}/failed`]).toBe(0);
      expect(row[`${prefix}/overall`]).toBeCloseTo(mean(own.map((a) => Number(a.correct))), 12);
      expect(row[`${prefix}/format`]).toBeCloseTo(mean(own.map((a) => Number(a.format))), 12);
    });
  });
});
