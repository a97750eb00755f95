import { assert } from "../core/errors.ts";
import type { Graph, Tensor } from "../graph/graph.ts";
import type { GrowingPlan } from "../graph/plan/growing-plan.ts";
import { hostStep } from "../ops/host.ts";
import type { Model } from "../model/model.ts";
import { storedFeatures, type Features } from "../network/decoder/packed-decoder.ts";
import type { FeatureOffset } from "../network/decoder/packed.ts";
import { mergeFeeds, type Feed } from "../network/feed.ts";
import { ADAPTER_SCALAR } from "../network/layers.ts";
import type { Weights } from "../network/scope.ts";
import { checkLedger } from "../prompt/sample.ts";
import type { HeldFeatures } from "../rollout/features.ts";
import type { RolloutSource } from "../rollout/source.ts";
import type { PolicyTree } from "../rollout/types.ts";
import { columnsOf, gradientRows, LOG_PROB_COLUMNS } from "./loss/host-loss.ts";
import { combineResults } from "./loss/metrics.ts";
import { policyLoss } from "./loss/policy-loss.ts";
import type { LossSettings } from "./loss/losses.ts";
import { stepTotals } from "./loss/totals.ts";
import type { LossResult } from "./loss/types.ts";
import { Parity } from "./parity.ts";
import { scoringPass, trainingPass } from "./pass.ts";
import type { Reference } from "./reference.ts";
import { cutTrees, lossBatch, packedTree, type TokenTree } from "./trees.ts";

/*
 * From completions to gradients. In go trees: a prompt, and its completions as branches, each with
 * its advantage and with the log-probabilities of the rollout. Out come gradients in the model's
 * weights, and the loss with its metrics. An optimizer step is then the caller's (train/grpo.ts).
 *
 *   1  sums over all trees (tokens, completions), which the normalisers of the loss divide by
 *   2  gradients to zero
 *   3  per pass, as many packed trees as fit: forward on the GPU to the log-probability of every
 *      completion token; a pause, in which the host computes the loss and its derivative by each
 *      log-probability; backward on the GPU from there, adding to the gradients in a fixed order
 *
 * A prompt is computed once for all its completions. The sums of 1 make the result independent of how
 * trees are cut into passes, where TRL averages per micro-batch. The host computes the loss since it
 * is thousands of numbers, not billions: every loss is a page of plain float64 that sees whole
 * completions. Towers that do not train give the same features as at rollout, so a pass reads those
 * that the rollout left on the device, where its source has them for all samples.
 *
 * Before the first update the log-probabilities here must be those of the rollout: `Parity` collects
 * the differences as the passes go by. The paper has one policy for both and no such question; two
 * engines that differ by more than rounding would make every step silently off-policy.
 *
 * Sources: Shao et al. 2024 (GRPO), arXiv 2402.03300; TRL 1.16 `GRPOTrainer._compute_loss`.
 */

/** The model and the settings of an updater. */
export interface PolicySetup {
  model: Model;
  /** The source of the completions, if it leaves media features on the device. */
  rollouts?: Pick<RolloutSource, "features"> | undefined;
  /** Computes decoder layers again in backward instead of keeping them. Default false. */
  gradientCheckpointing?: boolean;
  /** Maximum tokens of a packed pass. Default 8192. */
  tokensPerPass?: number;
  /** Divides the logits, as at rollout. Default 1. */
  temperature?: number;
  /** Maximum tokens of a completion, which `dr_grpo` divides by. */
  maxCompletionLength: number;
  /** Hears how many passes over trees are done; nobody when left out. */
  onPass?: ((what: "scoring" | "training", done: number, total: number) => void) | undefined;
}

/** Loss, metrics and parity of one accumulation of gradients. */
export interface Accumulated {
  result: LossResult;
  parity: Parity;
  /** Tokens that went through the model, prompts included. */
  tokens: number;
}

/** Scores of a completion by a model: an entry per token, in nats. */
interface TokenScores {
  logProbs: number[];
  entropies: number[];
}

/** Runs packed trees through the model: log-probabilities, and gradients of a policy loss. */
export class PolicyUpdater {
  readonly #model: Model;
  readonly #rollouts: PolicySetup["rollouts"];
  readonly #gradientCheckpointing: boolean;
  readonly #tokensPerPass: number;
  readonly #scalars: Readonly<Record<string, number>>;
  readonly #maxCompletionLength: number;
  #whole: GrowingPlan | undefined;
  #overFeatures: { pass: GrowingPlan; features: HeldFeatures } | undefined;
  readonly #scoring = new Map<Weights, GrowingPlan>();
  readonly #onPass: PolicySetup["onPass"];

  constructor(setup: PolicySetup) {
    this.#model = setup.model;
    this.#onPass = setup.onPass;
    this.#rollouts = setup.rollouts;
    this.#gradientCheckpointing = setup.gradientCheckpointing ?? false;
    this.#tokensPerPass = setup.tokensPerPass ?? 8192;
    this.#scalars = { inverseTemperature: 1 / (setup.temperature ?? 1) };
    this.#maxCompletionLength = setup.maxCompletionLength;
  }

  /** Returns the log-probabilities of every completion's tokens under the policy as it is now. */
  async logProbs(trees: readonly TokenTree[]): Promise<number[][]> {
    return (await this.#score(this.#model.weights, trees, 1)).map(({ logProbs }) => logProbs);
  }

  /** Returns the log-probabilities of every completion's tokens under a reference policy. */
  async referenceLogProbs(
    reference: Pick<Reference, "weights">,
    trees: readonly TokenTree[],
  ): Promise<number[][]> {
    return (await this.#score(reference.weights, trees, 0)).map(({ logProbs }) => logProbs);
  }

  /** Returns the entropies at every completion's tokens under the policy as it is now. */
  async entropies(trees: readonly TokenTree[]): Promise<number[][]> {
    return (await this.#score(this.#model.weights, trees, 1)).map(({ entropies }) => entropies);
  }

  /**
   * Adds trees to a parity that no pass has seen: later minibatches are trained only after an update,
   * when nothing can be told of what they were sampled from.
   */
  async addParity(parity: Parity, trees: readonly PolicyTree[]): Promise<void> {
    const logp = (await this.logProbs(trees)).flat();
    const old = trees.flatMap(({ completions }) => completions.flatMap((one) => one.old));
    parity.add(trees, { logp, old });
  }

  async #score(
    weights: Weights,
    trees: readonly TokenTree[],
    adapter: number,
  ): Promise<TokenScores[]> {
    const model = this.#model;
    let pass = this.#scoring.get(weights);
    if (pass === undefined) {
      this.#scoring.set(weights, (pass = scoringPass(model, "scoring", weights)));
    }
    const scores: TokenScores[] = [];
    const parts = cutTrees(trees, this.#tokensPerPass);
    for (const [at, part] of parts.entries()) {
      this.#onPass?.("scoring", at, parts.length);
      for (const { sample } of part) checkLedger(sample, model.config);
      const feed = mergeFeeds(
        model.mediaFeed(part.map(({ sample }) => sample)),
        model.treeFeed(part.map(packedTree)),
        { inputs: {}, sizes: {}, scalars: { ...this.#scalars, [ADAPTER_SCALAR]: adapter } },
      );
      const plan = await pass.run(feed);
      const out = await plan.read("logProbs", feed.sizes["lossRows"]);
      let row = 0;
      for (const { ids } of part.flatMap(({ completions }) => completions)) {
        const column = (index: number) =>
          Array.from(ids, (_, t) => out[(row + t) * LOG_PROB_COLUMNS + index]!);
        scores.push({ logProbs: column(0), entropies: column(2) });
        row += ids.length;
      }
    }
    return scores;
  }

  /**
   * Gradients of a loss over all trees of an optimizer step, from zero, pass after pass.
   *
   * The loss is computed on the host in float64 between the forward and the backward launches of a
   * pass; its normalisers are sums over the whole step, so that the passes change nothing.
   *
   * @param entropies those of every completion, by which `top_entropy_quantile` chooses tokens.
   * @throws {RangeError} when the settings need entropies, or the trees' reference, and it is missing.
   */
  async accumulate(
    trees: readonly PolicyTree[],
    settings: LossSettings,
    entropies?: readonly (readonly number[])[],
  ): Promise<Accumulated> {
    const model = this.#model;
    const chosen = entropies && { entropy: entropies.flat() };
    const corrected = settings.importance_sampling_mode !== null;
    const whole = lossBatch(trees, { logp: [], ...chosen }, corrected);
    const totals = stepTotals([whole], settings, this.#maxCompletionLength);
    model.device.submit((encoder) => model.weights.clearGradients(encoder));
    const features = this.#heldFor(trees);
    const pass = features === undefined ? this.#passWithTowers() : this.#passOver(features);
    const results: LossResult[] = [];
    const parity = new Parity();
    let tokens = 0;
    const parts = cutTrees(trees, this.#tokensPerPass);
    for (const [at, part] of parts.entries()) {
      this.#onPass?.("training", at, parts.length);
      for (const { sample } of part) checkLedger(sample, model.config);
      const feed = this.#feed(part, features);
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
    const passes = [this.#whole, this.#overFeatures?.pass, ...this.#scoring.values()];
    for (const pass of passes) pass?.destroy();
    this.#scoring.clear();
    this.#whole = this.#overFeatures = undefined;
  }

  /** The features of all samples on the device; undefined where the pass must run the towers. */
  #heldFor(trees: readonly PolicyTree[]): HeldFeatures | undefined {
    const features = this.#rollouts?.features;
    if (features === undefined || this.#model.towersTrain) return undefined;
    return features.offsetsOf(trees.map(({ sample }) => sample)) && features;
  }

  #feed(part: readonly PolicyTree[], features: HeldFeatures | undefined): Feed {
    const model = this.#model;
    const samples = part.map(({ sample }) => sample);
    const list = part.map(packedTree);
    const scalars: Feed = { inputs: {}, sizes: {}, scalars: this.#scalars };
    if (features === undefined) {
      return mergeFeeds(scalars, model.mediaFeed(samples), model.treeFeed(list));
    }
    const offsets: FeatureOffset[] | undefined = features.offsetsOf(samples);
    assert(offsets !== undefined, "a rollout's features change while its step is trained");
    return mergeFeeds(scalars, model.treeFeed(list, offsets));
  }

  #passWithTowers(): GrowingPlan {
    return (this.#whole ??= this.#trace());
  }

  /** The training pass over features on the device; traced anew for other storages. */
  #passOver(features: HeldFeatures): GrowingPlan {
    if (this.#overFeatures?.features !== features) {
      this.#overFeatures?.pass.destroy();
      const { config } = this.#model;
      const pass = this.#trace((graph) => storedFeatures(graph, config, features.storages));
      this.#overFeatures = { pass, features };
    }
    return this.#overFeatures.pass;
  }

  #trace(features?: (graph: Graph) => Features): GrowingPlan {
    const gradientCheckpointing = this.#gradientCheckpointing;
    const loss = (graph: Graph, out: Tensor) => ({ gradient: hostStep(graph, "loss", out, 2) });
    return trainingPass(this.#model, "grpo", loss, { features, gradientCheckpointing });
  }
}
