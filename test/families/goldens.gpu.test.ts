import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { openDevice, type Device, type DeviceOptions } from "../../src/gpu/device.ts";
import { Extent } from "../../src/graph/extent.ts";
import { Graph } from "../../src/graph/graph.ts";
import { linear } from "../../src/ops/linear.ts";
import { gatherRows } from "../../src/ops/rows.ts";
import { Plan } from "../../src/graph/plan/plan.ts";
import type { ModelConfig } from "../../src/network/config.ts";
import { trainingGraph, weightedNll } from "../../src/network/decoder/training.ts";
import type { Feed } from "../../src/network/feed.ts";
import type { ModelWeights } from "../../src/checkpoint/weights.ts";
import { Scope } from "../../src/network/scope.ts";
import {
  GoldenCase,
  goldenBatch,
  goldenFeed,
  loadGoldenModel,
  relativeL2,
} from "../helpers/golden.ts";
import { AS_GPU } from "../helpers/device.ts";
import { OMNI_GOLDENS } from "../helpers/modalities.ts";

/** Room for the longest case of every model; extents that a model lacks are left out. */
const CAPACITY = {
  tokens: 800,
  tokenEnds: 801,
  buckets: 160,
  bucketEnds: 161,
  lossRows: 64,
  cells: 80,
  frames: 3000,
  audioRows: 1500,
  audioFeatures: 760,
  logitRows: 800,
};

/** The whole model with its loss, its logits and every gradient, as one plan. */
async function trainPlan(
  device: Device,
  config: ModelConfig,
  weights: ModelWeights,
): Promise<Plan> {
  const graph = new Graph();
  const scope = new Scope(graph, weights);
  const { features, hidden } = trainingGraph(scope, config, weightedNll);
  for (const [name, rowsOf] of Object.entries(features)) if (rowsOf) graph.keep(name, rowsOf);
  for (const [name, tensor] of graph.annotations) graph.keep(name, tensor);
  // Rows of logits may be wider than any row of the decoder: they have an extent of their own.
  const all = new Extent("logitRows", 4 * Math.max(config.text.vocabSize, config.text.hiddenSize));
  const every = gatherRows(graph, hidden, graph.input("logits.index", all, 1, "u32"));
  graph.keep("logits", linear(graph, every, scope.weight("lm_head.weight")));
  const names = new Set(
    [...graph.inputs.values()].flatMap(({ rows }) => (rows instanceof Extent ? [rows.name] : [])),
  );
  const capacity = Object.fromEntries(Object.entries(CAPACITY).filter(([name]) => names.has(name)));
  return Plan.compile(device, graph, { label: "golden", capacity });
}

/** A summary of a gradient as make_goldens.py writes it: norm, sum, weighted sum, first 64 values. */
function summary(gradient: Float32Array): number[] {
  const norm = Math.sqrt(gradient.reduce((sum, g) => sum + g * g, 0));
  const sum = gradient.reduce((total, g) => total + g, 0);
  const mixed = gradient.reduce((total, g, i) => total + g * (((7919 * i) % 101) / 50 - 1), 0);
  return [norm, sum, mixed, ...gradient.subarray(0, 64)];
}

/** Single sequences by checkpoint. */
const CASES: Record<string, string[]> = {
  "omni/tiny-a": [...OMNI_GOLDENS],
  "omni/tiny-b": ["text", "av"],
  "vl/tiny-a": [
    "text",
    "image",
    "two-images",
    "video",
    "video-fps1",
    "video-fps05",
    "video-fraction",
    "image-and-video",
  ],
  "vl/tiny-b": ["text", "image-and-video", "video-fraction"],
  "qwen2-audio/tiny-a": [
    "text",
    "audio",
    "audio-odd",
    "audio-edges",
    "audio-shortest",
    "audio-full",
    "two-clips",
  ],
  "qwen2-audio/tiny-b": ["text", "long", "short-in-long"],
};

/** Batches that transformers ran left-padded in one pass. */
const BATCHES: Record<string, string[]> = {
  "omni/tiny-a": ["two-texts", "batch"],
  "vl/tiny-a": ["two-texts", "batch"],
  "qwen2-audio/tiny-a": ["two-texts", "batch"],
};

/** Every model with the kernels for this device, and one with those for a GPU. */
const RUNS: [title: string, model: string, options: DeviceOptions][] = [
  ...Object.keys(CASES).map((model): [string, string, DeviceOptions] => [model, model, {}]),
  ["omni/tiny-b with a GPU's kernels", "omni/tiny-b", AS_GPU],
];

for (const [title, model, options] of RUNS) {
  describe(`${title} equals transformers`, () => {
    let device: Device;
    let config: ModelConfig;
    let weights: ModelWeights;
    let plan: Plan;
    beforeAll(async () => {
      device = await openDevice({ tier: inject("tier"), ...options });
      ({ config, weights } = await loadGoldenModel(device, model, {
        trains: (name) => !/audio_bos_eos|embed_positions/.test(name),
      }));
      plan = await trainPlan(device, config, weights);
    });
    afterAll(() => device?.close());

    async function replay(feed: Feed): Promise<void> {
      device.submit((encoder) => weights.clearGradients(encoder));
      const { tokens } = feed.sizes as { tokens: number };
      plan.writeAll({
        ...feed.inputs,
        "logits.index": Uint32Array.from({ length: tokens }, (_, i) => i),
      });
      await plan.run({ ...feed.sizes, logitRows: tokens }, feed.scalars);
    }

    async function expectNear(name: string, rows: number, want: Float32Array): Promise<void> {
      const got = await plan.read(name, rows);
      // Cases of many tokens store the last rows only.
      expect(relativeL2(got.subarray(got.length - want.length), want), name).toBeLessThan(1e-5);
    }

    async function expectTowers(golden: GoldenCase, sizes: Record<string, number>): Promise<void> {
      const { cells = 0, audioFeatures = 0 } = sizes;
      const pictures: number[] = [];
      for (const kind of ["image", "video"]) {
        if (golden.has(`${kind}_embeds`)) pictures.push(...(await golden.floats(`${kind}_embeds`)));
      }
      if (pictures.length > 0) await expectNear("vision", cells, Float32Array.from(pictures));
      if (golden.has("audio_embeds")) {
        await expectNear("audio", audioFeatures, await golden.floats("audio_embeds"));
      }
    }

    async function expectLossAndGradients(golden: GoldenCase): Promise<void> {
      const [want] = await golden.floats("loss");
      const [loss] = await plan.read("terms", 1);
      expect(Math.abs(loss! / want! - 1), "loss").toBeLessThan(1e-5);
      let compared = 0;
      for (const { name: parameter, gradient } of weights.trained) {
        const got = await gradient!.download();
        const full = `grad.${parameter}`;
        const brief = `grad_summary.${parameter}`;
        if (golden.has(full)) {
          expect(relativeL2(got, await golden.floats(full)), full).toBeLessThan(1e-4);
        } else if (golden.has(brief)) {
          expectSummary(brief, got, await golden.floats(brief));
        } else {
          expect(Math.hypot(...got), `${parameter} has no gradient`).toBe(0);
          continue;
        }
        compared++;
      }
      expect(compared).toBeGreaterThan(10);
    }

    for (const name of CASES[model]!) {
      it(`${name}: towers, hidden states, logits, loss and all gradients`, async () => {
        const golden = await GoldenCase.open(`${model}-${name}`);
        const feed = await goldenFeed(golden, config);
        await replay(feed);
        const tokens = feed.sizes["tokens"]!;
        await expectTowers(golden, feed.sizes);
        const stored = (what: string) =>
          golden.has(what) ? what : what.replace(/^(\w+)/, "$1_tail");
        for (let layer = 0; layer < config.text.layers; layer++) {
          await expectNear(
            `hidden.${layer}`,
            tokens,
            await golden.floats(stored(`hidden.${layer}`)),
          );
        }
        await expectNear("logits", tokens, await golden.floats(stored("logits")));
        await expectLossAndGradients(golden);
      });
    }

    for (const name of BATCHES[model] ?? []) {
      it(`${name}: a padded batch is the same as trees packed without padding`, async () => {
        const golden = await GoldenCase.open(`${model}-${name}`);
        const { feed, lengths } = await goldenBatch(golden, config);
        await replay(feed);
        const logits = await plan.read("logits", feed.sizes["tokens"]!);
        let row = 0;
        for (const [i, length] of lengths.entries()) {
          const { vocabSize } = config.text;
          const got = logits.subarray(row * vocabSize, (row + length) * vocabSize);
          if (golden.has(`logits.${i}`)) {
            const error = relativeL2(got, await golden.floats(`logits.${i}`));
            expect(error, `logits of sequence ${i}`).toBeLessThan(1e-5);
          }
          row += length;
        }
        await expectLossAndGradients(golden);
      });
    }
  });
}

/** Compares a gradient with a summary: norm, two sums and the first values. */
function expectSummary(name: string, got: Float32Array, wanted: Float32Array): void {
  const mine = summary(got);
  const scale = wanted[0]! / Math.sqrt(got.length);
  // Sums cancel, so they are held against the norm; the values against their own size.
  for (let i = 0; i < 3; i++) {
    const error = Math.abs(mine[i]! - wanted[i]!) / (wanted[0]! * Math.sqrt(got.length));
    expect(error, `${name}[${i}]`).toBeLessThan(1e-4);
  }
  for (let i = 3; i < Math.min(wanted.length, got.length + 3); i++) {
    const error = Math.abs(mine[i]! - wanted[i]!) / (scale + Math.abs(wanted[i]!));
    expect(error, `${name}[${i}]`).toBeLessThan(1e-3);
  }
}
