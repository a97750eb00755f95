import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { openDevice, type Device } from "../../src/gpu/device.ts";
import { differentiate } from "../../src/graph/differentiate.ts";
import { Graph } from "../../src/graph/graph.ts";
import { logProb } from "../../src/graph/ops/head.ts";
import { nllLoss } from "../../src/graph/ops/loss.ts";
import { columnSum } from "../../src/graph/ops/reduce.ts";
import { Plan } from "../../src/graph/plan.ts";
import type { ModelConfig } from "../../src/models/config.ts";
import {
  lossExtent,
  lossRows,
  packedDecoder,
  towers,
} from "../../src/models/decoder/packed-decoder.ts";
import type { ModelWeights } from "../../src/models/weights.ts";
import { Scope } from "../../src/nn/scope.ts";
import { GoldenCase, goldenFeed, loadGoldenModel, relativeL2 } from "../helpers/golden.ts";

const CAPACITY = {
  tokens: 200,
  tokenEnds: 201,
  buckets: 160,
  bucketEnds: 161,
  lossRows: 32,
  cells: 60,
  frames: 300,
  audioRows: 160,
  audioFeatures: 80,
};

/** The whole thinker with its loss and every gradient, as one plan. */
async function trainPlan(
  device: Device,
  config: ModelConfig,
  weights: ModelWeights,
): Promise<Plan> {
  const graph = new Graph();
  const scope = new Scope(graph, weights);
  const features = towers(scope, config);
  const hidden = packedDecoder(scope, config, features);
  const { rows, target } = lossRows(graph, config, hidden);
  const out = logProb(graph, rows, scope.weight("lm_head.weight"), target);
  const weight = graph.input("loss.weight", lossExtent(config), 1);
  const loss = nllLoss(graph, out, weight);
  graph.keep("vision", features.vision!);
  graph.keep("audio", features.audio!);
  for (const [name, tensor] of graph.annotations) graph.keep(name, tensor);
  graph.keep("loss", columnSum(graph, loss.terms));
  differentiate(graph, [[out, loss.gradient]]);
  return Plan.compile(device, graph, { label: "golden", capacity: CAPACITY });
}

/** A summary of a gradient as make_goldens.py writes it: norm, sum, weighted sum, first 64 values. */
function summary(gradient: Float32Array): number[] {
  const norm = Math.sqrt(gradient.reduce((sum, g) => sum + g * g, 0));
  const sum = gradient.reduce((total, g) => total + g, 0);
  const mixed = gradient.reduce((total, g, i) => total + g * (((7919 * i) % 101) / 50 - 1), 0);
  return [norm, sum, mixed, ...gradient.subarray(0, 64)];
}

const CASES: Record<string, string[]> = {
  "tiny-a": [
    "text",
    "image",
    "two-images",
    "video",
    "audio",
    "audio-edges",
    "audio-and-video",
    "av",
    "av-slow",
    "av-fast",
    "mixed",
  ],
  "tiny-b": ["text", "av"],
};

for (const [model, cases] of Object.entries(CASES)) {
  describe(`${model} equals transformers`, () => {
    let device: Device;
    let config: ModelConfig;
    let weights: ModelWeights;
    let plan: Plan;
    beforeAll(async () => {
      device = await openDevice({ tier: inject("tier") });
      ({ config, weights } = await loadGoldenModel(device, model, {
        trains: (name) => !name.includes("audio_bos_eos"),
      }));
      plan = await trainPlan(device, config, weights);
    });
    afterAll(() => device?.close());

    for (const name of cases) {
      it(`${name}: towers, hidden states, loss and all gradients`, async () => {
        const golden = await GoldenCase.open(`${model}-${name}`);
        const feed = await goldenFeed(golden, config);
        device.submit((encoder) => weights.clearGradients(encoder));
        plan.writeAll(feed.inputs);
        await plan.run(feed.sizes, feed.scalars);
        const { cells, audioFeatures, tokens } = feed.sizes as Record<string, number>;
        for (const kind of ["image", "video"]) {
          if (!golden.has(`${kind}_embeds`)) continue;
          const got = await plan.read("vision", cells);
          expect(relativeL2(got, await golden.floats(`${kind}_embeds`)), kind).toBeLessThan(1e-5);
        }
        if (golden.has("audio_embeds")) {
          const got = await plan.read("audio", audioFeatures);
          expect(relativeL2(got, await golden.floats("audio_embeds")), "audio").toBeLessThan(1e-5);
        }
        for (let layer = 0; layer < config.text.layers; layer++) {
          const got = await plan.read(`hidden.${layer}`, tokens);
          const want = await golden.floats(`hidden.${layer}`);
          expect(relativeL2(got, want), `hidden ${layer}`).toBeLessThan(1e-5);
        }
        const [want] = await golden.floats("loss");
        const [loss] = await plan.read("loss", 1);
        expect(Math.abs(loss! / want! - 1), "loss").toBeLessThan(1e-5);
        let compared = 0;
        for (const { name: parameter, gradient } of weights.trained) {
          const got = await gradient!.download();
          const full = `grad.${parameter}`;
          const brief = `grad_summary.${parameter}`;
          if (golden.has(full)) {
            expect(relativeL2(got, await golden.floats(full)), full).toBeLessThan(1e-4);
          } else if (golden.has(brief)) {
            const wanted = await golden.floats(brief);
            const mine = summary(got);
            // Sums cancel, so they are held against the norm; the values against their own size.
            for (let i = 0; i < 3; i++) {
              const error = Math.abs(mine[i]! - wanted[i]!) / (wanted[0]! * Math.sqrt(got.length));
              expect(error, `${brief}[${i}]`).toBeLessThan(1e-4);
            }
            const scale = wanted[0]! / Math.sqrt(got.length);
            for (let i = 3; i < Math.min(wanted.length, got.length + 3); i++) {
              const error = Math.abs(mine[i]! - wanted[i]!) / (scale + Math.abs(wanted[i]!));
              expect(error, `${brief}[${i}]`).toBeLessThan(1e-3);
            }
          } else {
            expect(Math.hypot(...got), `${parameter} has no gradient`).toBe(0);
            continue;
          }
          compared++;
        }
        expect(compared).toBeGreaterThan(10);
      });
    }
  });
}
