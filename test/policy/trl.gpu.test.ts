import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, it } from "vitest";
import { Model } from "../../src/model/model.ts";
import type { Sample } from "../../src/prompt/sample.ts";
import { computeAdvantages } from "../../src/policy/advantages.ts";
import { LOSS_DEFAULTS, type LossSettings } from "../../src/policy/loss/losses.ts";
import { AdamW, isDecayed, type AdamWSettings } from "../../src/train/optimizer.ts";
import type { PolicyCompletion, PolicyTree } from "../../src/rollout/types.ts";
import { PolicyUpdater } from "../../src/policy/update.ts";
import { useDevice } from "../helpers/device.ts";
import { GoldenCase, goldenSample, loadGoldenModel, relativeL2 } from "../helpers/golden.ts";

interface Run {
  config: Partial<LossSettings> &
    AdamWSettings & { learning_rate: number; temperature: number; scale_rewards: "group" };
  trained: "decoder" | "all";
  decay: "default" | "all";
  gradient_of_update: number | null;
}

const folder = new URL("../golden/grpo/", import.meta.url);
const { runs } = JSON.parse(readFileSync(new URL("runs.json", folder), "utf8")) as {
  runs: Record<string, Run>;
};
const PROMPTS = 6;
const GROUP = 4;
const LIMIT = 14;

/** Runs in which TRL's normaliser depends on how it cuts a rollout into micro-batches. */
const LOCAL = new Set(["bnpo-halves", "dapo-off-policy"]);
const NAMES = Object.keys(runs).filter((name) => !LOCAL.has(name));

describe("GRPO updates are those of TRL's trainer, on texts and images in one batch", () => {
  const device = useDevice();
  let samples: Sample[];
  let completions: number[][][];
  let rewards: Float32Array;
  beforeAll(async () => {
    const inputs = await GoldenCase.open("grpo/inputs");
    const { config } = await loadGoldenModel(device(), "vl/tiny-a");
    rewards = await inputs.floats("rewards");
    samples = [];
    completions = [];
    for (let p = 0; p < PROMPTS; p++) {
      const prompt = inputs.sequence(p, new URL("../vl/", folder));
      const { length } = await prompt.integers("input_ids");
      const [next] = await prompt.integers("next_position");
      samples.push(await goldenSample(prompt, config, `prompt ${p}`, length, next!));
      const group: number[][] = [];
      for (let k = 0; k < GROUP; k++) {
        group.push([...(await inputs.integers(`completion.${p}.${k}`))]);
      }
      completions.push(group);
    }
  });

  // A pass of 4096 tokens holds a whole update; in one of 60 prompts are computed again for parts.
  const cases: [name: string, tokensPerPass: number][] = NAMES.map((name) => [name, 4096]);

  it.each([...cases, ["dapo-twice-kl", 60] as (typeof cases)[0]])(
    "%s, at most %d tokens a pass",
    async (name, tokensPerPass) => {
      const run = runs[name]!;
      const golden = await GoldenCase.open(`grpo/${name}`);
      const trains = (parameter: string) =>
        run.trained === "all" || /^(model|lm_head)\./.test(parameter);
      const { config, weights } = await loadGoldenModel(device(), "vl/tiny-a", { trains });
      const model = new Model(device(), config, weights);
      const updater = new PolicyUpdater({
        ...{
          model,
          tokensPerPass,
          temperature: run.config.temperature,
          maxCompletionLength: LIMIT,
        },
      });
      const decays = run.decay === "all" ? undefined : isDecayed;
      const optimizer = await AdamW.create(device(), weights.trained, run.config, decays);
      const settings: LossSettings = { ...LOSS_DEFAULTS, ...run.config };
      const read = async (key: string) =>
        golden.has(key) ? [...(await golden.floats(key))] : undefined;
      const prompts = await golden.integers("prompts");
      const rollout = prompts.length / (await golden.integers("num_items")).length;
      const generation = await golden.integers("generation");
      const rows = await golden.integers("rows");
      const advantages = await golden.floats("advantages");
      const old = await golden.floats("old_log_probs");
      const reference = await read("reference_log_probs");
      const logProbs = await golden.floats("log_probs");
      const losses = await golden.floats("losses");
      const norms = await golden.floats("grad_norms");
      const batch = GROUP * rollout;
      const perUpdate = rows.length / generation.length;
      const micro = losses.length / generation.length;
      expectAdvantages(run, prompts, rewards, rollout, advantages);

      for (let update = 0; update < generation.length; update++) {
        const wanted = rows.subarray(update * perUpdate, (update + 1) * perUpdate);
        const used = new Set(wanted);
        const trees: PolicyTree[] = [];
        const places: number[] = [];
        for (let place = 0; place < rollout; place++) {
          const prompt = prompts[generation[update]! * rollout + place]!;
          const own: PolicyCompletion[] = [];
          for (let k = 0; k < GROUP; k++) {
            const row = GROUP * place + k;
            if (!used.has(row)) continue;
            const ids = completions[prompt]![k]!;
            const at = (generation[update]! * batch + row) * LIMIT;
            const column = (values: ArrayLike<number>) =>
              Array.from({ length: ids.length }, (_, t) => values[at + t]!);
            own.push({
              ...{ ids, old: column(old), sampling: [] },
              reference: reference ? column(reference) : [],
              advantage: advantages[generation[update]! * batch + row]!,
              truncated: ids.at(-1) !== 142,
              masked: false,
            });
            places.push((update * batch + row) * LIMIT);
          }
          if (own.length > 0) trees.push({ sample: samples[prompt]!, completions: own });
        }
        const { result, parity } = await updater.accumulate(trees, settings);
        const flat = trees.flatMap((tree) => tree.completions);
        if (update === 0 && !run.config.mask_truncated_completions) {
          // The first rollout is of the weights that score it.
          const worst = parity.metrics()["sampling/sampling_logp_difference/max"]!;
          expect(worst, "log-probabilities").toBeLessThan(5e-5);
          flat.forEach(({ old: own }, i) =>
            own.forEach((value, t) => {
              expect(Math.abs(value - logProbs[places[i]! + t]!)).toBeLessThan(5e-5);
            }),
          );
        }
        const loss = losses
          .subarray(update * micro, (update + 1) * micro)
          .reduce((a, b) => a + b, 0);
        expect(Math.abs(result.loss - loss), `loss ${update}`).toBeLessThan(2e-5);
        if (run.gradient_of_update === update + 1) await expectGradients(golden, model);
        await optimizer.update(run.config.learning_rate);
        const norm = await optimizer.gradientNorm();
        expect(Math.abs(norm / norms[update]! - 1), `norm ${update}`).toBeLessThan(1e-4);
      }
      for (const { name: parameter, value } of weights.trained) {
        if (!golden.has(`after.${parameter}`) || parameter.endsWith("k_proj.bias")) continue;
        const want = await golden.floats(`after.${parameter}`);
        expect(relativeL2(await value.download(), want), parameter).toBeLessThan(2e-5);
      }
      updater.destroy();
      optimizer.destroy();
      weights.destroy();
    },
  );
});

/** Our advantages of every rollout against TRL's. */
function expectAdvantages(
  { config }: Run,
  prompts: Int32Array,
  rewards: Float32Array,
  rollout: number,
  want: Float32Array,
): void {
  for (let first = 0; first < prompts.length; first += rollout) {
    const own = [...prompts.subarray(first, first + rollout)].flatMap((prompt) => [
      ...rewards.subarray(GROUP * prompt, GROUP * (prompt + 1)),
    ]);
    const { advantages } = computeAdvantages(own, GROUP, config.scale_rewards);
    advantages.forEach((value, i) => {
      expect(Math.abs(value - want[GROUP * first + i]!)).toBeLessThan(1e-5);
    });
  }
}

async function expectGradients(golden: GoldenCase, model: Model): Promise<void> {
  let compared = 0;
  for (const { name, gradient } of model.weights.trained) {
    const key = `grad.${name}`;
    if (!golden.has(key)) continue;
    expect(relativeL2(await gradient!.download(), await golden.floats(key)), key).toBeLessThan(
      1e-4,
    );
    compared++;
  }
  expect(compared).toBeGreaterThan(10);
}
