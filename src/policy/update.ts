import { assert } from "../core/errors.ts";
import type { Graph, Tensor } from "../graph/graph.ts";
import { hostStep } from "../graph/ops/host.ts";
import type { GrowingPlan } from "../graph/growing-plan.ts";
import { storedFeatures, type Features } from "../network/decoder/packed-decoder.ts";
import { mergeFeeds, type Feed } from "../network/feed.ts";
import type { Model } from "../model/model.ts";
import type { Weights } from "../network/scope.ts";
import { checkLedger, type Sample } from "../prompt/sample.ts";
import { ADAPTER_SCALAR } from "../network/layers.ts";
import type { Generator } from "../rollout/generator.ts";
import { columnsOf, gradientRows, LOG_PROB_COLUMNS } from "./loss/host-loss.ts";
import { combineResults } from "./loss/metrics.ts";
import { policyLoss } from "./loss/policy-loss.ts";
import type { LossSettings } from "./loss/settings.ts";
import { stepTotals } from "./loss/totals.ts";
import type { LossResult } from "./loss/types.ts";
import { Parity } from "./parity.ts";
import { scoringPass, trainingPass } from "./pass.ts";
import { cutTrees, lossBatch, packedTree, type PolicyTree } from "./trees.ts";

/** What an updater works with. */
export interface PolicySetup {
  model: Model;
  generator: Generator;
  gradientCheckpointing: boolean;
  /** Most tokens of a packed pass. */
  tokensPerPass: number;
  /** Divides the logits, as at rollout. */
  temperature: number;
  maxCompletionLength: number;
}

/** What one accumulation of gradients measured. */
export interface Accumulated {
  result: LossResult;
  parity: Parity;
  /** Tokens that went through the model, prompts included. */
  tokens: number;
}

/** Runs packed trees through the model: log-probabilities, and gradients of a policy loss. */
export class PolicyUpdater {
  readonly #setup: PolicySetup;
  #whole: GrowingPlan | undefined;
  #overFeatures: GrowingPlan | undefined;
  readonly #scoring = new Map<Weights, GrowingPlan>();
  #planned: unknown;

  constructor(setup: PolicySetup) {
    this.#setup = setup;
  }

  /** Fills in the log-probabilities of all completions under a reference policy. */
  async scoreReference(reference: Weights, trees: readonly PolicyTree[]): Promise<void> {
    await this.#score(reference, trees, 0, (completion, logp) => (completion.reference = logp));
  }

  /** Fills in the entropies of all completions under the policy as it is now. */
  async scoreEntropies(trees: readonly PolicyTree[]): Promise<void> {
    await this.#score(this.#setup.model.weights, trees, 1, (completion, _logp, entropy) => {
      completion.entropy = entropy;
    });
  }

  /**
   * Adds trees to a parity that no pass has seen: later minibatches are trained only after an update,
   * when nothing can be told of what they were sampled from.
   */
  async addParity(parity: Parity, trees: readonly PolicyTree[]): Promise<void> {
    const logp: number[] = [];
    await this.#score(this.#setup.model.weights, trees, 1, (_completion, own) => logp.push(...own));
    const old = trees.flatMap(({ completions }) => completions.flatMap((one) => one.old));
    parity.add(trees, { logp, old });
  }

  async #score(
    weights: Weights,
    trees: readonly PolicyTree[],
    adapter: number,
    take: (
      completion: PolicyTree["completions"][number],
      logp: number[],
      entropy: number[],
    ) => void,
  ): Promise<void> {
    const { model } = this.#setup;
    let pass = this.#scoring.get(weights);
    if (pass === undefined) {
      this.#scoring.set(weights, (pass = scoringPass(model, "scoring", weights)));
    }
    for (const part of cutTrees(trees, this.#setup.tokensPerPass)) {
      for (const { sample } of part) checkLedger(sample, model.config);
      const feed = mergeFeeds(
        model.mediaFeed(part.map(({ sample }) => sample)),
        model.treeFeed(part.map(packedTree)),
        { inputs: {}, sizes: {}, scalars: { ...this.#scalars(), [ADAPTER_SCALAR]: adapter } },
      );
      const plan = await pass.run(feed);
      const out = await plan.read("logProbs", feed.sizes["lossRows"]);
      let row = 0;
      for (const completion of part.flatMap(({ completions }) => completions)) {
        const { length } = completion.ids;
        const column = (index: number) =>
          Array.from({ length }, (_, t) => out[(row + t) * LOG_PROB_COLUMNS + index]!);
        take(completion, column(0), column(2));
        row += length;
      }
    }
  }

  /**
   * Gradients of a loss over all trees of an optimizer step, from zero, pass after pass.
   *
   * The loss is computed on the host in float64 between the forward and the backward launches of a
   * pass; its normalisers are sums over the whole step, so that the passes change nothing.
   *
   * @param batch the samples whose features the generator holds, in their order; without it, and
   *   where a tower trains, media are encoded in the pass.
   */
  async accumulate(
    trees: readonly PolicyTree[],
    batch: readonly Sample[] | undefined,
    settings: LossSettings,
  ): Promise<Accumulated> {
    const { model, tokensPerPass, maxCompletionLength } = this.#setup;
    const inside = model.towersTrain || batch === undefined;
    const pass = inside ? this.#passWithTowers() : this.#passOverFeatures();
    const entropy = trees.flatMap(({ completions }) => completions.flatMap((c) => c.entropy));
    const chosen = entropy.length > 0 ? { entropy } : {};
    const corrected = settings.importance_sampling_mode !== null;
    const totals = stepTotals(
      [lossBatch(trees, { logp: [], ...chosen }, corrected)],
      settings,
      maxCompletionLength,
    );
    model.device.submit((encoder) => model.weights.clearGradients(encoder));
    const offsets = featureOffsets(batch ?? []);
    const results: LossResult[] = [];
    const parity = new Parity();
    let tokens = 0;
    for (const part of cutTrees(trees, tokensPerPass)) {
      for (const { sample } of part) checkLedger(sample, model.config);
      const list = part.map(packedTree);
      const feeds: Feed[] = [{ inputs: {}, sizes: {}, scalars: this.#scalars() }];
      if (inside) feeds.push(model.mediaFeed(part.map(({ sample }) => sample)));
      const held = part.map(({ sample }) => offsets.get(sample)!);
      feeds.push(model.treeFeed(list, inside ? undefined : held));
      const feed = mergeFeeds(...feeds);
      const loss = (rows: Float32Array): Float32Array => {
        const seen = lossBatch(part, columnsOf(rows), corrected);
        const result = policyLoss(seen, settings, totals);
        results.push(result);
        parity.add(part, seen);
        return gradientRows(result);
      };
      await pass.run(feed, { host: { loss } });
      tokens += feed.sizes["tokens"]!;
    }
    return { result: combineResults(results), parity, tokens };
  }

  /** Frees all plans. */
  destroy(): void {
    for (const pass of [this.#whole, this.#overFeatures, ...this.#scoring.values()])
      pass?.destroy();
    this.#scoring.clear();
    this.#whole = this.#overFeatures = undefined;
  }

  #scalars(): Record<string, number> {
    return { inverseTemperature: 1 / this.#setup.temperature };
  }

  #passWithTowers(): GrowingPlan {
    return (this.#whole ??= this.#trace());
  }

  /** The training pass over the generator's features; traced anew when its buffers were replaced. */
  #passOverFeatures(): GrowingPlan {
    const { model, generator } = this.#setup;
    const { buffers } = generator;
    assert(buffers !== undefined, "a batch is trained after its rollout, which makes its features");
    if (this.#overFeatures !== undefined && this.#planned === buffers) return this.#overFeatures;
    this.#overFeatures?.destroy();
    this.#planned = buffers;
    this.#overFeatures = this.#trace((graph) => storedFeatures(graph, model.config, buffers));
    return this.#overFeatures;
  }

  #trace(features?: (graph: Graph) => Features): GrowingPlan {
    const { model, gradientCheckpointing } = this.#setup;
    const loss = (graph: Graph, out: Tensor) => ({ gradient: hostStep(graph, "loss", out, 2) });
    return trainingPass(model, "grpo", loss, { features, gradientCheckpointing });
  }
}

/** Where the features of every sample begin in the generator's storages. */
function featureOffsets(batch: readonly Sample[]): Map<Sample, { vision: number; audio: number }> {
  const offsets = new Map<Sample, { vision: number; audio: number }>();
  const next = { vision: 0, audio: 0 };
  for (const sample of batch) {
    offsets.set(sample, { ...next });
    next.vision += sample.visionRows.length;
    next.audio += sample.audioRows.length;
  }
  return offsets;
}
