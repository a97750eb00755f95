import type { Events } from "../core/events.ts";
import { Random } from "../core/random.ts";
import { reportSpan } from "../core/run-events.ts";
import { SampleLoader } from "../data/sample-loader.ts";
import type { TinyDataset } from "../datasets/tiny/dataset.ts";
import { tinyIds, type TinyIds } from "../datasets/tiny/words.ts";
import type { GrowingPlan } from "../graph/plan/growing-plan.ts";
import { mergeFeeds } from "../network/feed.ts";
import type { Model } from "../model/model.ts";
import { treeTokens } from "../network/decoder/packed.ts";
import { weightedNll } from "../network/decoder/training.ts";
import { checkLedger } from "../prompt/sample.ts";
import type { Processor } from "../model/processor.ts";
import { AdamW, isDecayed, type AdamWSettings } from "./optimizer.ts";
import { trainingPass } from "../policy/pass.ts";
import { learningRateAt } from "./schedule.ts";
import type { SftStage } from "./schema.ts";
import { cutPasses, sftTrees } from "./sft-batch.ts";

/** Model, data and settings of supervised training. */
export interface SftSetup {
  model: Model;
  processor: Processor;
  dataset: TinyDataset;
  clipSeed: number;
  seed: number;
  maxTokensPerPass: number;
  gradientCheckpointing: boolean;
  optimizer: AdamWSettings;
  events: Events;
}

/** Loss and measures of one supervised step. */
export interface SftStep {
  loss: number;
  gradNorm: number;
  learningRate: number;
  tokens: number;
  flops: number;
  /** Mean cross-entropy by what the tokens say, such as `letter`. */
  parts: Record<string, number>;
}

/** Supervised training of the whole model on the tiny task, one stage after the other. */
export class SftTrainer {
  readonly #setup: SftSetup;
  readonly #ids: TinyIds;
  readonly #loader: SampleLoader;
  readonly #pass: GrowingPlan;
  #optimizer: AdamW;
  #destroyed = false;

  /** Traces the pass and makes the optimizer of the first stage. */
  static async create(setup: SftSetup): Promise<SftTrainer> {
    return new SftTrainer(setup, await newOptimizer(setup));
  }

  private constructor(setup: SftSetup, optimizer: AdamW) {
    this.#setup = setup;
    this.#optimizer = optimizer;
    this.#ids = tinyIds((text) => setup.processor.tokenizer.encode(text));
    this.#loader = new SampleLoader(setup.processor);
    const { model, gradientCheckpointing } = setup;
    this.#pass = trainingPass(model, "sft", weightedNll, { gradientCheckpointing });
  }

  /** The optimizer's state, for checkpoints. */
  get optimizer(): AdamW {
    return this.#optimizer;
  }

  /** Starts a stage: every stage has a fresh optimizer. */
  async startStage(): Promise<void> {
    this.#optimizer.destroy();
    this.#optimizer = await newOptimizer(this.#setup);
  }

  /** Frees optimizer and plan; a second time does nothing. */
  destroy(): void {
    if (this.#destroyed) return;
    this.#destroyed = true;
    this.#pass.destroy();
    this.#optimizer.destroy();
  }

  /**
   * One optimizer step.
   *
   * @param step step within the stage, from 0; @param draw steps before it over all stages.
   */
  async step(stage: SftStage, step: number, draw: number): Promise<SftStep> {
    const { model, dataset, seed, clipSeed, maxTokensPerPass, events } = this.#setup;
    const span = <T>(name: string, work: () => T | Promise<T>) =>
      reportSpan(events, name, draw + 1, work);
    const order = new Random(seed, "data", draw);
    const clips = Array.from({ length: stage.clips_per_step }, () => order.integer(dataset.length));
    const wanted = clips.map((clip) => dataset.row(clip));
    const samples = await span("clips", () => this.#loader.loadAll(wanted));
    for (const sample of samples) checkLedger(sample, model.config);
    const trees = sftTrees(
      this.#ids,
      samples.map((sample, i) => ({ sample, clip: clips[i]! })),
      { stage, step, seed, draw, clipSeed },
    );
    const passes = cutPasses(trees, maxTokensPerPass, treeTokens);
    model.device.submit((encoder) => model.weights.clearGradients(encoder));
    let loss = 0;
    let tokens = 0;
    let flops = 0;
    const sums = new Map<string, { total: number; count: number }>();
    for (const pass of passes) {
      const weights = Float32Array.from(pass.flatMap((entry) => entry.weights));
      const feed = mergeFeeds(
        model.mediaFeed(pass.flatMap(({ sample }) => (sample === undefined ? [] : [sample]))),
        model.treeFeed(pass.map(({ tree }) => tree)),
        { inputs: { "loss.weight": weights }, sizes: {}, scalars: { inverseTemperature: 1 } },
      );
      const { plan, sum } = await span("training pass", async () => {
        const ran = await this.#pass.run(feed);
        return { plan: ran, sum: (await ran.read("terms", 1))[0]! };
      });
      loss += sum;
      const parts = pass.flatMap((entry) => entry.parts);
      const out = await plan.read("logProbs", parts.length);
      parts.forEach((part, row) => {
        const mean = sums.get(part) ?? { total: 0, count: 0 };
        mean.total -= out[3 * row]!;
        mean.count++;
        sums.set(part, mean);
      });
      tokens += feed.sizes["tokens"]!;
      flops += plan.report(feed.sizes, feed.scalars).flops;
    }
    const learningRate = learningRateAt(stage, step, stage.steps);
    await span("optimizer", () => this.#optimizer.update(learningRate));
    const parts = [...sums].map(([part, { total, count }]) => [part, total / count] as const);
    const gradNorm = await span("gradient norm", () => this.#optimizer.gradientNorm());
    return {
      ...{ loss, tokens, flops, learningRate, gradNorm },
      parts: Object.fromEntries(parts),
    };
  }
}

function newOptimizer({ model, optimizer }: SftSetup): Promise<AdamW> {
  return AdamW.create(model.device, model.weights.trained, optimizer, isDecayed);
}
