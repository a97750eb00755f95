import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { RunConfig } from "../../src/config/schema.ts";
import { SampleLoader, type SampleRow } from "../../src/data/sample-loader.ts";
import type { DataRow } from "../../src/data/dataset.ts";
import type { RowSource } from "../../src/train/row-feed.ts";
import type { GrpoStep } from "../../src/train/grpo.ts";
import type { Sample } from "../../src/prompt/sample.ts";
import type { Reward } from "../../src/reward/reward.ts";
import { Generator } from "../../src/rollout/generator.ts";
import { tokenFacts } from "../../src/rollout/token-facts.ts";
import { useDevice } from "../helpers/device.ts";
import { allWeights, changedWeights, fed, TrainerBench } from "../helpers/grpo-trainer.ts";
import { relativeL2 } from "../helpers/golden.ts";
import { TinyWorkplace } from "../helpers/tiny-run.ts";

/** Records the data of one kind of event that a bench's trainer emits. */
function listen({ setup }: TrainerBench, wanted: string): { list: Record<string, unknown>[] } {
  const list: Record<string, unknown>[] = [];
  setup.events.listen(({ kind, data }) => {
    if (kind === wanted) list.push(data as Record<string, unknown>);
  });
  return { list };
}

const lengthsOf = ({ groups }: GrpoStep) =>
  groups.flatMap(({ completions }) => completions.map(({ ids }) => ids.length));

/** Rows by their place. */
const feedOf = (rows: readonly DataRow[]): RowSource => ({
  from: (place, count) => fed(rows.slice(place, place + count), place),
  ahead: (place, count) => rows.slice(place, place + count),
});

describe("a GRPO step", () => {
  const device = useDevice();
  const place = new TinyWorkplace();
  beforeAll(() => place.make());
  afterAll(() => place.remove());

  const train = { num_generations: 3 };
  const configOf = (change: object = {}): RunConfig =>
    place.config({ train: { ...train, ...change } });

  describe("law 6", () => {
    it("equal rewards: advantage 0, gradient 0, no weight moves", async () => {
      const same: Reward = { name: "same", score: () => 0.3 };
      const bench = await TrainerBench.open(device(), configOf(), {
        rewards: [{ reward: same, weight: 1 }],
      });
      const before = await allWeights(bench.setup.model);
      const { metrics } = await bench.step();
      expect(metrics["loss"]).toBe(0);
      expect(metrics["grad_norm"]).toBe(0);
      for (const [name, gradient] of await bench.gradients()) {
        expect(
          gradient.every((value) => value === 0),
          name,
        ).toBe(true);
      }
      expect(changedWeights(before, await allWeights(bench.setup.model))).toEqual([]);
      bench.close();
    });

    it.each(["grpo", "dapo", "dr_grpo"] as const)(
      "splitting the step of a %s loss into passes changes nothing",
      async (loss_type) => {
        const whole = await TrainerBench.open(device(), configOf({ loss_type, beta: 0.1 }));
        const { model, reference } = whole.setup;
        const first = await whole.step(0);
        const want = await whole.gradients();
        // A pass holds one group: a prompt of some 100 tokens and 3 x 4.
        const split = await TrainerBench.open(
          device(),
          configOf({ loss_type, beta: 0.1, max_tokens_per_pass: 130 }),
          { model, reference: reference! },
        );
        const second = await split.step(0);
        expect(lengthsOf(second)).toEqual(lengthsOf(first));
        expect(second.tokens).toBe(first.tokens);
        expect(Math.abs(second.metrics["loss"]! - first.metrics["loss"]!)).toBeLessThan(1e-6);
        for (const [name, gradient] of await split.gradients()) {
          const limit = name.endsWith("k_proj.bias") ? 1e-3 : 1e-6;
          expect(relativeL2(gradient, want.get(name)!), name).toBeLessThan(limit);
        }
        whole.close();
      },
    );
  });

  it("with minibatches of whole groups makes an update each, all against the rollout's own policy", async () => {
    const bench = await TrainerBench.open(device(), configOf({ num_minibatches: 2 }));
    const { metrics } = await bench.step(1e-2);
    expect(bench.setup.optimizer.step).toBe(2);
    expect(metrics["sampling/sampling_logp_difference/max"]).toBeLessThan(1e-4);
    bench.close();
  });

  it("takes groups of the sizes that rows name", async () => {
    const bench = await TrainerBench.open(device(), configOf());
    const [first, second] = bench.rows;
    const again = lengthsOf(await bench.step(0));
    bench.rows = [{ ...first!, num_generations: 5 }, second!];
    const step = await bench.step(0);
    const { groups, metrics } = step;
    expect(groups.map(({ completions }) => completions.length)).toEqual([5, 3]);
    // The first three completions of a row are the same ones in a larger group.
    expect(lengthsOf(step).slice(0, 3)).toEqual(again.slice(0, 3));
    expect(lengthsOf(step).slice(5)).toEqual(again.slice(3));
    expect(metrics["grad_norm"]).toBeGreaterThan(0);
    bench.close();
  });

  it("is the same step where its groups are generated in turns", async () => {
    const whole = await TrainerBench.open(device(), configOf());
    const want = await whole.step(0);
    const gradients = await whole.gradients();
    const parts = await TrainerBench.open(device(), configOf(), {
      model: whole.setup.model,
      source: new Generator(whole.setup.model, tokenFacts(whole.setup.processor), 130),
    });
    const got = await parts.step(0);
    const samples = got.groups.map(({ sample }) => sample);
    expect(parts.setup.source.features!.offsetsOf(samples)).toBeUndefined();
    const said = (step: GrpoStep) => step.groups.map(({ said, scores }) => ({ said, scores }));
    expect(said(got)).toEqual(said(want));
    for (const [name, gradient] of await parts.gradients()) {
      const limit = name.endsWith("k_proj.bias") ? 1e-3 : 1e-5;
      expect(relativeL2(gradient, gradients.get(name)!), name).toBeLessThan(limit);
    }
    whole.close();
  });

  it("has the next step's files decoded while it trains", async () => {
    const ahead: string[][] = [];
    class Watched extends SampleLoader {
      override prefetch(rows: readonly SampleRow[]): Promise<void> {
        ahead.push(rows.map(({ id }) => id));
        return super.prefetch(rows);
      }
    }
    const { processor } = (await TrainerBench.open(device(), configOf())).setup;
    const bench = await TrainerBench.open(device(), configOf(), { loader: new Watched(processor) });
    const rows = bench.allRows;
    const feed = feedOf(rows);
    const far = await TrainerBench.open(device(), configOf(), { ...bench.setup, feed });
    await far.step(0, { samplesConsumed: 2 });
    expect(ahead).toEqual([rows.slice(4, 6).map(({ id }) => id)]);
    // Nothing comes after the last step.
    await far.step(0, { step: far.task.totalSteps - 1 });
    expect(ahead).toHaveLength(1);
    bench.close();
  });

  it("moves an adaptive entropy bonus with every update, and applies it while entropy is low", async () => {
    const settings = { use_adaptive_entropy: true, entropy_coef: 0.5, entropy_coef_delta: 0.1 };
    const low = { ...settings, entropy_target: 100, entropy_coef_max: 0.65, num_iterations: 2 };
    const bench = await TrainerBench.open(device(), configOf(low));
    const first = await bench.step(0);
    const { lastEntropy, coef } = first.cursor.entropyControl!;
    expect(coef).toBeCloseTo(0.65, 12);
    expect(lastEntropy).toBeCloseTo(first.metrics["entropy"]!, 12);
    // Only the second update has a bonus, of the coefficient that the first one left.
    const { loss, policy_loss: policy, entropy } = first.metrics;
    expect(loss! - policy!).toBeCloseTo((-0.6 * entropy!) / 2, 10);
    const second = await bench.step(0, { ...first.cursor, draw: 0 });
    expect(second.metrics["loss"]! - second.metrics["policy_loss"]!).toBeCloseTo(
      -0.65 * entropy!,
      8,
    );
    bench.close();
    const high = await TrainerBench.open(device(), configOf({ ...settings, entropy_target: 0 }));
    const without = await high.step(0);
    expect(without.cursor.entropyControl!.coef).toBeCloseTo(0.4, 12);
    expect(without.metrics["loss"]).toBe(without.metrics["policy_loss"]);
    high.close();
  });

  it("draws further prompts in the place of groups that teach nothing, up to a bound", async () => {
    const config = configOf();
    const rollout = { ...config.rollout, max_batches_per_step: 3 };
    // Only rows at odd places of the run have rewards that differ.
    const odd: Reward = {
      name: "odd-rows",
      score: ({ index }, row) => (Number(row.id.at(-1)) % 2 === 1 ? index : 0),
    };
    const bench = await TrainerBench.open(device(), config, {
      rollout,
      rewards: [{ reward: odd, weight: 1 }],
    });
    const feed = feedOf(bench.allRows);
    const dynamic = await TrainerBench.open(device(), config, { ...bench.setup, feed });
    const { list } = listen(bench, "rollout");
    const { cursor, metrics, groups } = await dynamic.step(1e-3, { draw: 7 });
    // The same by hand: each batch asks for as many rows as groups are missing.
    const teaches = bench.allRows.map(({ id }) => Number(id.at(-1)) % 2 === 1);
    const draws: number[] = [];
    let useful = 0;
    for (let batch = 0; batch < 3 && useful < 2; batch++) {
      const rows = teaches.slice(draws.length, draws.length + 2 - useful);
      draws.push(...rows.map(() => 7 + batch));
      useful += rows.filter(Boolean).length;
    }
    expect([cursor.samplesConsumed, cursor.draw]).toEqual([draws.length, draws.at(-1)! + 1]);
    expect(metrics["rollout/batches"]).toBe(cursor.draw - 7);
    const level = groups.filter(({ scores: [a, b] }) => a!.total === b!.total).length;
    expect(level).toBe(Math.max(0, 2 - useful));
    // Records name the draw of their own batch.
    for (const { sample, draw } of list) {
      expect(draw).toBe(draws[bench.allRows.findIndex(({ id }) => id === sample)]);
    }
    bench.close();
  });

  it("gives a row that comes twice in a batch two draws, and the next batch another", async () => {
    const bench = await TrainerBench.open(device(), configOf());
    const { list } = listen(bench, "rollout");
    bench.rows = [bench.rows[0]!, bench.rows[0]!];
    const { cursor } = await bench.step(0, { draw: 4 });
    expect(cursor.draw).toBe(6);
    expect(list.map(({ draw }) => draw)).toEqual([4, 4, 4, 5, 5, 5]);
    const said = list.map(({ ids }) => String(ids));
    expect(said.slice(0, 3)).not.toEqual(said.slice(3));
    bench.close();
  });

  it("chooses tokens by their entropy anew before every update", async () => {
    const config = configOf({ top_entropy_quantile: 0.5, num_iterations: 2, num_minibatches: 2 });
    const bench = await TrainerBench.open(device(), config);
    const { list } = listen(bench, "span");
    await bench.step(1e-2);
    const names = list
      .map(({ name }) => name)
      .filter((name) => /pass|entropies/.test(String(name)));
    expect(names).toEqual(Array.from({ length: 4 }, () => ["entropies", "training pass"]).flat());
    bench.close();
  });

  it("logs what it measured as the mean over its updates, norms too", async () => {
    const bench = await TrainerBench.open(device(), configOf({ num_iterations: 2 }));
    const norms: number[] = [];
    const { optimizer } = bench.setup;
    const read = optimizer.gradientNorm.bind(optimizer);
    optimizer.gradientNorm = async () => {
      norms.push(await read());
      return norms.at(-1)!;
    };
    const { metrics } = await bench.step(1e-2);
    expect(norms).toHaveLength(2);
    expect(norms[0]).not.toBe(norms[1]);
    expect(metrics["grad_norm"]).toBeCloseTo((norms[0]! + norms[1]!) / 2, 12);
    bench.close();
  });

  it("with two iterations makes two updates, the second off the sampling policy", async () => {
    const bench = await TrainerBench.open(device(), configOf({ num_iterations: 2, epsilon: 1e-4 }));
    const { metrics } = await bench.step(1e-2);
    expect(bench.setup.optimizer.step).toBe(2);
    // The first iteration has ratio 1 and clips nothing; half of the mean is the second's.
    expect(metrics["clip_ratio/region_mean"]).toBeGreaterThan(0.1);
    bench.close();
  });

  it("a KL term against the start is 0 at first, then not", async () => {
    const bench = await TrainerBench.open(device(), configOf({ beta: 0.1 }));
    expect((await bench.step()).metrics["kl"]).toBeLessThan(1e-12);
    expect((await bench.step(1e-3, { step: 1, draw: 1 })).metrics["kl"]).toBeGreaterThan(1e-6);
    bench.close();
  });

  it("trains the towers when asked: every weight but the frozen ones moves", async () => {
    const bench = await TrainerBench.open(
      device(),
      configOf({
        ...{ tune_mm_vision: true, tune_mm_audio: true, tune_mm_mlp: true },
        freeze: ["visual.blocks.0.*"],
      }),
    );
    const before = await allWeights(bench.setup.model);
    await bench.step();
    const after = await allWeights(bench.setup.model);
    const changed = changedWeights(before, after);
    const still = [...after.keys()].filter((name) => !changed.includes(name));
    expect(still.filter((name) => !name.startsWith("visual.blocks.0."))).toEqual([
      "audio_tower.audio_bos_eos_token.weight",
    ]);
    expect(still.length).toBeGreaterThan(10);
    // The next rollout sees the new towers: its log-probabilities agree with training.
    await bench.step(1e-3, { step: 1, draw: 1 });
    bench.close();
  });

  describe("law 1: a ledger that lies is named", () => {
    /** A row whose pictures went missing after the ledger was written. */
    const lie = (sample: Sample): Sample => ({ ...sample, patches: new Float32Array(), grids: [] });
    const error = {
      code: "ledger-mismatch",
      message: expect.stringMatching(/^tiny.*\.mp4/) as string,
    };

    it("at rollout", async () => {
      class Lying extends SampleLoader {
        override async load(row: SampleRow): Promise<Sample> {
          return lie(await super.load(row));
        }
      }
      const honest = await TrainerBench.open(device(), configOf());
      const { processor } = honest.setup;
      const bench = await TrainerBench.open(device(), configOf(), { loader: new Lying(processor) });
      await expect(bench.step()).rejects.toMatchObject(error);
      bench.close();
      honest.close();
    });

    it.each([
      ["at training", 0],
      ["at the reference's log-probabilities", 0.1],
    ])("%s", async (_place, beta) => {
      const bench = await TrainerBench.open(device(), configOf({ beta }));
      const { model, processor } = bench.setup;
      class Forgetting extends Generator {
        override async generate(...args: Parameters<Generator["generate"]>) {
          const groups = await super.generate(...args);
          for (const { sample } of args[0]) Object.assign(sample, lie(sample));
          return groups;
        }
      }
      const source = new Forgetting(model, tokenFacts(processor));
      const lying = await TrainerBench.open(device(), configOf({ beta }), {
        ...{ model, source },
        ...(bench.setup.reference && { reference: bench.setup.reference }),
      });
      const before = await allWeights(model);
      await expect(lying.step()).rejects.toMatchObject(error);
      expect(changedWeights(before, await allWeights(model))).toEqual([]);
      bench.close();
    });
  });
});
