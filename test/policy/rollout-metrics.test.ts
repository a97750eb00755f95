import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { rolloutMetrics } from "../../src/policy/rollout-metrics.ts";
import { GoldenCase } from "../helpers/golden.ts";

interface Run {
  config: { scale_rewards: string };
  logged: Record<string, number>[];
}

const { runs } = JSON.parse(
  readFileSync(new URL("../golden/grpo/runs.json", import.meta.url), "utf8"),
) as { runs: Record<string, Run> };
const GROUP = 4;
const END = 142;

describe("metrics of rollouts", () => {
  it.each(Object.keys(runs))("are what TRL's trainer logs: %s", async (name) => {
    const run = runs[name]!;
    const inputs = await GoldenCase.open("grpo/inputs");
    const table = await inputs.floats("rewards");
    const golden = await GoldenCase.open(`grpo/${name}`);
    const prompts = await golden.integers("prompts");
    const rollout = prompts.length / (await golden.integers("num_items")).length;
    // Rewards and lengths are logged by the update that generated.
    const logged = run.logged.filter((row) => "reward" in row);
    expect(logged.length).toBe(prompts.length / rollout);
    for (const [i, row] of logged.entries()) {
      const own = prompts.subarray(i * rollout, (i + 1) * rollout);
      const rewards = [...own].flatMap((p) => [...table.subarray(GROUP * p, GROUP * (p + 1))]);
      const ids: Int32Array[] = [];
      for (const prompt of own) {
        for (let k = 0; k < GROUP; k++) {
          ids.push(await inputs.integers(`completion.${prompt}.${k}`));
        }
      }
      const metrics = rolloutMetrics({
        ...{ rewards, parts: { table: rewards }, sizes: [...own].map(() => GROUP) },
        ...{
          lengths: ids.map(({ length }) => length),
          ended: ids.map((own) => own.at(-1) === END),
        },
        ...{ correct: [false], unparsed: [true], formatted: [false] },
      });
      let compared = 0;
      for (const [metric, value] of Object.entries(row)) {
        if (!/^(reward|rewards\/.*|reward_std|completions\/.*|frac_.*)$/.test(metric)) continue;
        // TRL asks the deviation of the whole batch for 0 there; here it is always that of groups.
        if (metric === "frac_reward_zero_std" && run.config.scale_rewards === "batch") continue;
        // TRL's are float32.
        expect(Math.abs(metrics[metric]! - value), metric).toBeLessThan(1e-6 * (1 + value));
        compared++;
      }
      expect(compared).toBeGreaterThanOrEqual(11);
    }
  });

  it("leave out what no reward says anything about", () => {
    const metrics = rolloutMetrics({
      ...{ sizes: [2, 3], rewards: [NaN, NaN, 1, NaN, 0.5], parts: { judge: Array(5).fill(NaN) } },
      ...{ lengths: [1, 2, 3, 4, 5], ended: Array(5).fill(false) },
      ...{
        correct: [null, null, true, false, false],
        unparsed: [false, false, false, true, false],
      },
      formatted: Array(5).fill(false),
    });
    expect(metrics["reward"]).toBe(0.75);
    // Rows without an answer have no part in it.
    expect(metrics["correct"]).toBeCloseTo(1 / 3, 15);
    expect(metrics["unparsed"]).toBe(0.2);
    expect(metrics["reward_std"]).toBeCloseTo(Math.sqrt(0.125), 15);
    expect(metrics["frac_reward_zero_std"]).toBe(0.5);
    expect(metrics["rewards/judge/mean"]).toBeNaN();
    expect(metrics["rewards/judge/std"]).toBeNaN();
  });
});
