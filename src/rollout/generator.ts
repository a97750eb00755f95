import { DataError } from "../core/errors.ts";
import { Plan } from "../graph/plan/plan.ts";
import { GrowingPlan } from "../graph/plan/growing-plan.ts";
import { sampleParams } from "../kernels/sample.ts";
import {
  decodeGraph,
  DecodeBuffers,
  decodeLimits,
  encodeGraph,
  prefillGraph,
  type DecodeSizes,
} from "../network/decoder/decode.ts";
import type { Model } from "../model/model.ts";
import { packedFeed, packTrees } from "../network/decoder/packed.ts";
import { checkLedger, type Sample } from "../prompt/sample.ts";
import { mropeTable } from "../network/rotary.ts";
import { HeldFeatures } from "./features.ts";
import {
  batchSizes,
  checkCompletions,
  checkRequest,
  requestBatches,
  requestTables,
} from "./request-tables.ts";
import type { RolloutSource } from "./source.ts";
import { bannedTokens, type TokenFacts } from "./token-facts.ts";
import type { GenerationRequest, GenerationWatch, Rollout, SamplingOptions } from "./types.ts";

/*
 * How completions come to be. In go requests: a sample (a prompt with its media, as the model takes
 * them), how many completions it is to have (a group), and which draw of the sample this is. Out come
 * the groups: token ids, each with the log-probability that the policy gave it and the entropy there.
 *
 *   batch     whole groups, as many as the device's buffers hold at a time
 *   encode    the towers, over the pictures and sounds of the batch; their features stay on the device
 *   prefill   every prompt once, packed one after the other: keys and values of its tokens go to a
 *             cache, and its last token gives every completion of the group its first logits
 *   decode    the next token of all completions together: choose one from the logits, run it through
 *             the layers over the prompt's cache and the completion's own, leave logits again
 *   collect   when all have ended, or reached the limit: read ids, log-probabilities and entropies
 *
 * A clip is thousands of tokens and an answer tens, so what a group shares is computed and kept once.
 * Decoding is a plan that replays without the host: position, lengths and end flags live on the GPU,
 * and the host looks at the flags every 32 steps. The random number of a token depends on the seed,
 * the sample, the draw, the completion and its place only, so a completion is the same in whatever
 * batch it stands. The kernels are those of training: log-probabilities here and in the first training
 * pass are the same but for rounding, and training may read the features that stayed on the device.
 *
 * Sampling options follow transformers' `GenerationConfig`.
 */

/** Decode steps between two looks at whether all completions have ended. */
const STEPS_BETWEEN_CHECKS = 32;

/**
 * Generates completions for groups: media and prompt once, then all completions together.
 *
 * Keeps its buffers and plans from call to call; they grow when a batch needs more.
 */
export class Generator implements RolloutSource {
  readonly #model: Model;
  readonly #facts: TokenFacts;
  #buffers: DecodeBuffers | undefined;
  #encode: GrowingPlan | undefined;
  #prefill: GrowingPlan | undefined;
  #decode: Plan | undefined;
  #features: HeldFeatures | undefined;
  readonly #tokensPerBatch: number;

  /** @param tokensPerBatch maximum tokens of prompts and completions that are generated at a time. */
  constructor(model: Model, facts: TokenFacts, tokensPerBatch = Infinity) {
    this.#model = model;
    this.#facts = facts;
    this.#tokensPerBatch = tokensPerBatch;
  }

  /** The buffers of the last batch. */
  get buffers(): DecodeBuffers | undefined {
    return this.#buffers;
  }

  /** The features of the last batch; undefined before the first. */
  get features(): HeldFeatures | undefined {
    return this.#features;
  }

  /**
   * Checks that the device can decode so many completions of a prompt at once, whatever the prompt.
   *
   * @throws {ConfigError} `too-many-completions`, `completion-too-long`.
   */
  checkRoom(generations: number, maxNewTokens: number): void {
    const { config, device } = this.#model;
    const { chunkBytes } = device.capabilities;
    const limits = decodeLimits(config, chunkBytes, maxNewTokens);
    checkCompletions(generations, maxNewTokens, limits, chunkBytes);
  }

  /**
   * Generates completions, in the order of the requests, in batches of whole groups.
   *
   * @param watch looks on, at each batch by itself; without it nothing but the done flags is read
   *   back on the way.
   * @throws {DataError} `ledger-mismatch` that names the row and the file; `prompt-too-long`;
   *   `cannot-sample`.
   * @throws {ConfigError} as `checkRoom`.
   */
  async generate(
    requests: readonly GenerationRequest[],
    options: SamplingOptions,
    watch: GenerationWatch = {},
  ): Promise<Rollout[][]> {
    for (const { sample } of requests) checkLedger(sample, this.#model.config);
    const { maxNewTokens } = options;
    const { chunkBytes } = this.#model.device.capabilities;
    const limits = decodeLimits(this.#model.config, chunkBytes, maxNewTokens);
    for (const request of requests) checkRequest(request, maxNewTokens, limits, chunkBytes);
    const batches = requestBatches(requests, maxNewTokens, this.#tokensPerBatch, limits);
    const buffers = await this.#reserve(batchSizes(batches, maxNewTokens));
    const groups: Rollout[][] = [];
    const total = batches.length * maxNewTokens;
    for (const [at, batch] of batches.entries()) {
      const onStep = (step: number) => watch.onProgress?.(at * maxNewTokens + step, total);
      groups.push(...(await this.#generateBatch(buffers, batch, options, { ...watch, onStep })));
      onStep(maxNewTokens);
    }
    return groups;
  }

  async #generateBatch(
    buffers: DecodeBuffers,
    requests: readonly GenerationRequest[],
    options: SamplingOptions,
    watch: GenerationWatch & { onStep: (step: number) => void },
  ): Promise<Rollout[][]> {
    const packed = packTrees(requests.map(({ sample }) => ({ prompt: sample, branches: [] })));
    const rows = requests.reduce((sum, { generations }) => sum + generations, 0);
    const media = this.#model.mediaFeed(requests.map(({ sample }) => sample));
    const feed = packedFeed(this.#model.config, packed);
    this.#features!.hold([]);
    await this.#encode!.run(media);
    this.#features!.hold(requests.map(({ sample }) => sample));
    this.#upload(buffers, requests, packed.starts, options);
    const first = requests.flatMap(({ sample, generations }, i) =>
      Array<number>(generations).fill(packed.starts[i]! + sample.inputIds.length - 1),
    );
    await this.#prefill!.run({
      inputs: { ...feed.inputs, "first.index": Uint32Array.from(first) },
      sizes: { ...feed.sizes, rows },
      scalars: feed.scalars,
    });
    const scalars = {
      ...sampleParams({ ...options, temperature: options.temperature || 1 }),
      seed: options.seed >>> 0,
      pad: this.#facts.padId,
    };
    const { every = STEPS_BETWEEN_CHECKS, onTokens, onStep, signal } = watch;
    for (let step = 0; step < options.maxNewTokens;) {
      const repeat = Math.min(every, options.maxNewTokens - step);
      await this.#decode!.run({ rows, tokens: packed.tokens }, scalars, { repeat });
      step += repeat;
      onStep(step);
      onTokens?.(await this.#written(buffers, rows));
      if (signal?.aborted === true) break;
      if (step < options.maxNewTokens && (await this.#allDone(buffers, rows))) break;
    }
    return this.#collect(buffers, requests, rows);
  }

  /** Frees buffers and plans. */
  destroy(): void {
    this.#encode?.destroy();
    this.#prefill?.destroy();
    this.#decode?.destroy();
    this.#buffers?.destroy();
    this.#encode = this.#prefill = this.#decode = this.#buffers = this.#features = undefined;
  }

  async #reserve(wanted: DecodeSizes): Promise<DecodeBuffers> {
    const held = this.#buffers?.sizes;
    // The capacity is part of the suffix layout: rows are found by it, so it must be exact.
    const fits =
      held !== undefined &&
      held.capacity === wanted.capacity &&
      (Object.keys(wanted) as (keyof DecodeSizes)[]).every((name) => wanted[name] <= held[name]);
    if (fits) return this.#buffers!;
    const sizes = { ...wanted };
    if (held !== undefined) {
      for (const name of Object.keys(sizes) as (keyof DecodeSizes)[]) {
        // As many longer completions as there were short ones may be more than the device holds.
        const kept = name === "rows" ? held.capacity >= sizes.capacity : name !== "capacity";
        if (kept) sizes[name] = Math.max(sizes[name], held[name]);
      }
    }
    this.destroy();
    const { device, config } = this.#model;
    const buffers = new DecodeBuffers(device, config, sizes, this.#facts.eosIds.length);
    const { rotaryAxes, ropeTheta } = config.text;
    const positions = Uint32Array.from(
      { length: 3 * sizes.positions },
      (_, i) => i % sizes.positions,
    );
    buffers.rotary.upload(mropeTable(positions, sizes.positions, rotaryAxes, ropeTheta));
    buffers.bans.upload(bannedTokens(this.#facts, config.text.vocabSize));
    buffers.eos.upload(Uint32Array.from(this.#facts.eosIds));
    try {
      this.#decode = await Plan.compile(device, decodeGraph(this.#model, buffers), {
        label: "decode",
        capacity: { rows: sizes.rows, tokens: sizes.tokens },
      });
    } catch (error) {
      // Nothing is held then, so that the next call begins anew.
      buffers.destroy();
      throw error;
    }
    this.#features = new HeldFeatures(buffers);
    this.#encode = new GrowingPlan(device, "encode", () => encodeGraph(this.#model, buffers));
    this.#prefill = new GrowingPlan(device, "prefill", () => prefillGraph(this.#model, buffers));
    return (this.#buffers = buffers);
  }

  #upload(
    buffers: DecodeBuffers,
    requests: readonly GenerationRequest[],
    starts: readonly number[],
    options: SamplingOptions,
  ): void {
    const { width: words } = buffers.presence;
    const tables = requestTables(requests, starts, words, options.temperature === 0);
    const { rows, info, range, base, presence } = tables;
    buffers.info.upload(info);
    buffers.prefixRange.upload(range);
    buffers.base.upload(base);
    buffers.presence.upload(presence);
    buffers.state.upload(new Uint32Array(1));
    buffers.done.upload(new Uint32Array(rows));
    buffers.lengths.upload(new Uint32Array(rows));
  }

  /** The token ids so far of every completion. */
  async #written(buffers: DecodeBuffers, rows: number): Promise<number[][]> {
    const { capacity } = buffers.sizes;
    const lengths = words(await buffers.lengths.download(rows));
    const tokens = words(await buffers.tokens.download(rows));
    return Array.from(lengths, (length, row) => [
      ...tokens.subarray(row * capacity, row * capacity + length),
    ]);
  }

  async #allDone(buffers: DecodeBuffers, rows: number): Promise<boolean> {
    return words(await buffers.done.download(rows)).every((flag) => flag !== 0);
  }

  async #collect(
    buffers: DecodeBuffers,
    requests: readonly GenerationRequest[],
    rows: number,
  ): Promise<Rollout[][]> {
    const { capacity } = buffers.sizes;
    const done = words(await buffers.done.download(rows));
    const lengths = words(await buffers.lengths.download(rows));
    const tokens = words(await buffers.tokens.download(rows));
    const logps = await buffers.logps.download(rows);
    let row = 0;
    return requests.map(({ sample, generations }) =>
      Array.from({ length: generations }, () => {
        checkChoice(done[row]!, sample);
        const length = lengths[row]!;
        const column = (index: number) =>
          Array.from({ length }, (_, t) => logps[(row * capacity + t) * 4 + index]!);
        const completion = {
          ids: [...tokens.subarray(row * capacity, row * capacity + length)],
          finished: done[row] === 1,
          logProbs: column(0),
          samplingLogProbs: column(1),
          entropies: column(2),
          bannedMass: column(3),
        };
        row++;
        return completion;
      }),
    );
  }
}

function words(values: Float32Array): Uint32Array {
  return new Uint32Array(values.buffer, values.byteOffset, values.length);
}

function checkChoice(flag: number, sample: Sample): void {
  if (flag < 2) return;
  const why = flag === 2 ? "every token is banned" : "the logits are not finite";
  throw new DataError("cannot-sample", `${sample.id}: no token can be chosen: ${why}.`, {
    hint: "Check the weights: a training run that diverged leaves such logits.",
  });
}
