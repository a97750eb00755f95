/**
 * Times one training pass of GRPO on the tiny model, launch by launch on the clock of the GPU.
 *
 * `npm run bench -- step [prompts] [completions] [tokens of a completion]`, by default 16 8 12. Weights,
 * words and media features are random: times do not depend on them. One line a kernel, the slowest
 * first; a first replay, which warms up, is not counted. Rates count matrix products and attention.
 */
import { fileURLToPath } from "node:url";
import { Random } from "../../src/core/random.ts";
import { openDevice } from "../../src/gpu/device.ts";
import { hostStep } from "../../src/ops/host.ts";
import type { PlanProfile } from "../../src/graph/plan/profile.ts";
import { Storage } from "../../src/graph/storage.ts";
import { mergeFeeds } from "../../src/network/feed.ts";
import { Model } from "../../src/model/model.ts";
import { storedFeatures } from "../../src/network/decoder/packed-decoder.ts";
import { completionBranch, type Tree } from "../../src/network/decoder/packed.ts";
import { trainingPass } from "../../src/policy/pass.ts";
import { randomF32 } from "../helpers/random-data.ts";

/** A tiny prompt: its tokens, and the rows of pictures and of sound among them. */
const PROMPT = { tokens: 100, vision: 16, audio: 50 };
const WORDS = 60;

function makeTree(random: Random, completions: number, length: number): Tree {
  const words = (count: number) => Array.from({ length: count }, () => random.integer(WORDS));
  const rows = (first: number, count: number) =>
    Uint32Array.from({ length: count }, (_, i) => first + i);
  const { tokens, vision, audio } = PROMPT;
  return {
    prompt: {
      inputIds: Uint32Array.from(words(tokens)),
      positions: new Int32Array(3 * tokens).map((_, i) => i % tokens),
      nextPos: tokens,
      visionRows: rows(5, vision),
      audioRows: rows(5 + vision, audio),
    },
    branches: Array.from({ length: completions }, () => completionBranch(words(length))),
  };
}

function table({ launches, kernels }: PlanProfile): string {
  const total = kernels.reduce((sum, { ms }) => sum + ms, 0);
  const line = (name: string, count: number, ms: number, flops: number) => {
    const rate = flops === 0 ? "" : (flops / ms / 1e6).toFixed(1);
    const share = ((100 * ms) / total).toFixed(1);
    const cells = [String(count).padStart(8), ms.toFixed(3).padStart(10), share.padStart(7)];
    return `${name.padEnd(24)} ${cells.join(" ")} ${rate.padStart(9)}`;
  };
  const flops = launches.reduce((sum, launch) => sum + launch.flops, 0);
  return [
    `${"kernel".padEnd(24)} launches         ms       %   GFLOP/s`,
    ...kernels.map((each) => line(each.kernel, each.launches, each.ms, each.flops)),
    line("all", launches.length, total, flops),
  ].join("\n");
}

const [prompts = 16, completions = 8, length = 12] = process.argv.slice(2).map(Number);
const device = await openDevice();
const model = await Model.initialise(
  device,
  fileURLToPath(new URL("../../assets/tiny", import.meta.url)),
  1,
  { trains: (name) => /^(model|lm_head)\./.test(name) },
);
const random = new Random(1, "data");
const trees = Array.from({ length: prompts }, () => makeTree(random, completions, length));
const features = (name: "vision" | "audio") => {
  const rows = prompts * PROMPT[name];
  const storage = new Storage(device, name, rows, model.config.text.hiddenSize);
  storage.upload(randomF32(rows * storage.width, 2));
  return [storage];
};
const stored = { vision: features("vision"), audio: features("audio") };
const pass = trainingPass(
  model,
  "grpo",
  (graph, out) => ({ gradient: hostStep(graph, "loss", out, 2) }),
  { features: (graph) => storedFeatures(graph, model.config, stored) },
);
const feed = mergeFeeds(model.treeFeed(trees), {
  inputs: {},
  sizes: {},
  scalars: { inverseTemperature: 1 },
});
// Any gradient will do: the host's part is not what is timed.
const host = { loss: (rows: Float32Array) => new Float32Array((2 * rows.length) / 3).fill(1e-3) };
const plan = await pass.run(feed, { host });
await device.idle();
const started = performance.now();
await plan.run(feed.sizes, feed.scalars, { host });
await device.idle();
const wall = performance.now() - started;
const profile = await plan.profile(feed.sizes, feed.scalars);

const { adapter, tier } = device.capabilities;
console.log(`${adapter}, tier ${tier}: ${prompts} prompts x ${completions} x ${length} tokens`);
console.log(`${feed.sizes["tokens"]} tokens in one pass; ${wall.toFixed(1)} ms without timestamps`);
console.log(table(profile));
device.close();
