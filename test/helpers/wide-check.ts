import { expect } from "vitest";
import type { Device, Tier } from "../../src/index.ts";
import { openDevice } from "../../src/gpu/device.ts";
import { Extent } from "../../src/graph/extent.ts";
import { Graph } from "../../src/graph/graph.ts";
import { linear } from "../../src/ops/linear.ts";
import { gatherRows } from "../../src/ops/rows.ts";
import { Plan } from "../../src/graph/plan/plan.ts";
import { packedDecoder, towers } from "../../src/network/decoder/packed-decoder.ts";
import { packedFeed, packTrees } from "../../src/network/decoder/packed.ts";
import { mergeFeeds } from "../../src/network/feed.ts";
import { loadModel } from "../../src/model/load.ts";
import type { Model } from "../../src/model/model.ts";
import type { Sample } from "../../src/prompt/sample.ts";
import { audioTokens } from "../../src/network/towers/audio-layout.ts";
import { Generator } from "../../src/rollout/generator.ts";
import { DEFAULT_SAMPLING } from "../../src/rollout/types.ts";
import { cropped } from "./golden.ts";
import { withWideCheckpoint, type WideName } from "./wide-checkpoint.ts";
import { openWideGolden, wideError, type WideGolden } from "./wide-golden.ts";

/** The measurements of a check at real widths: relative L2 by output. */
export type WideReport = Record<string, number>;

/**
 * Loads a checkpoint of real widths, heads and vocabulary, two layers a part, in sharded bf16, into
 * 16-bit storage, and holds towers, layers, logits and greedy ids against transformers in f32.
 */
export async function checkWide(name: WideName, tier: Tier): Promise<WideReport> {
  const golden = await openWideGolden(name);
  return withWideCheckpoint(name, async ({ folder }) => {
    const device = await openDevice({ tier });
    try {
      const model = await loadModel(device, folder, { storage: "f16s" });
      expect(model.weights.inexact, "bf16 values that f16s does not hold").toBe(0);
      const report = await compareOutputs(device, model, golden);
      const generator = new Generator(model, {
        eosIds: [model.config.text.vocabSize],
        padId: 0,
        placeholderIds: golden.suppressed,
        vocabSize: model.config.text.vocabSize,
      });
      const options = { ...DEFAULT_SAMPLING, temperature: 0, maxNewTokens: golden.greedy.length };
      const request = { sample: sampleOf(model, golden), generations: 1, draw: 0 };
      const [[completion] = []] = await generator.generate([request], options);
      expect(completion?.ids, "greedy ids").toEqual(golden.greedy);
      return report;
    } finally {
      device.close();
    }
  });
}

/** One forward pass: every output that the golden samples. */
async function compareOutputs(
  device: Device,
  model: Model,
  golden: WideGolden,
): Promise<WideReport> {
  const { config } = model;
  const graph = new Graph();
  const scope = model.scope(graph);
  const features = towers(scope, config);
  const hidden = packedDecoder(scope, config, features);
  for (const [name, rows] of Object.entries(features)) if (rows) graph.keep(name, rows);
  for (const [name, tensor] of graph.annotations) graph.keep(name, tensor);
  // Logits of the last two rows only, as the golden has them.
  const last = new Extent("last", 4 * config.text.vocabSize);
  const rows = gatherRows(graph, hidden, graph.input("last.index", last, 1, "u32"));
  graph.keep("logits", linear(graph, rows, scope.weight("lm_head.weight")));
  const sample = sampleOf(model, golden);
  const tokens = sample.inputIds.length;
  const packed = packTrees([{ prompt: sample, branches: [] }]);
  const feed = mergeFeeds(model.mediaFeed([sample]), packedFeed(config, packed));
  const wanted = new Set(graph.inputs.keys());
  const inputs = Object.fromEntries(Object.entries(feed.inputs).filter(([key]) => wanted.has(key)));
  const sizes = { ...feed.sizes, last: 2 };
  const plan = await Plan.compile(device, graph, { label: "wide", capacity: sizes });
  plan.writeAll({ ...inputs, "last.index": Uint32Array.of(tokens - 2, tokens - 1) });
  await plan.run(sizes, feed.scalars);
  const report: WideReport = {};
  for (const [name, want] of golden.outputs) {
    const got = await readOutput(plan, name, golden, sizes as Record<string, number>);
    report[name] = wideError(want, got);
  }
  console.log(golden.name, report);
  for (const [name, error] of Object.entries(report)) expect(error, name).toBeLessThan(1e-5);
  const logits = await plan.read("logits", 2);
  golden.top.forEach(({ ids }, row) => {
    const { vocabSize } = config.text;
    const values = logits.subarray(row * vocabSize, (row + 1) * vocabSize);
    const best = ids.map((id) => values[id]!);
    expect(best, `the best ${ids.length} of row ${row}`).toEqual([...best].sort((a, b) => b - a));
    expect(Math.max(...best)).toBe(values.reduce((a, b) => Math.max(a, b), -Infinity));
  });
  plan.destroy();
  return report;
}

/** Rows of an output under the golden's name: pictures and videos share the vision tower's rows. */
async function readOutput(
  plan: Plan,
  name: string,
  golden: WideGolden,
  sizes: Record<string, number>,
): Promise<Float32Array> {
  if (name === "audio_embeds") return plan.read("audio", sizes["audioFeatures"]!);
  if (name === "logits") return plan.read("logits", 2);
  if (name.startsWith("hidden.")) return plan.read(name, sizes["tokens"]!);
  const rows = (media: readonly { grid: readonly number[] }[]) =>
    media.reduce((sum, { grid: [t, h, w] }) => sum + (t! * h! * w!) / 4, 0);
  const features = await plan.read("vision", sizes["cells"]!);
  const width = features.length / sizes["cells"]!;
  const images = rows(golden.images);
  return name === "image_embeds"
    ? features.subarray(0, images * width)
    : features.subarray(images * width);
}

/** The golden's prompt as a sample; images come before videos. */
function sampleOf({ config }: Model, golden: WideGolden): Sample {
  const { inputIds: ids, positions, nextPosition: nextPos, clips } = golden;
  const { image, video, audio } = config.tokens;
  const rowsOf = (...wanted: (number | undefined)[]) =>
    Uint32Array.from(ids.keys()).filter((row) => wanted.includes(ids[row]!));
  const pictures = [...golden.images, ...golden.videos];
  const patches = new Float32Array(pictures.reduce((sum, { patches: p }) => sum + p.length, 0));
  let at = 0;
  for (const picture of pictures) {
    patches.set(picture.patches, at);
    at += picture.patches.length;
  }
  const mel = clips.map(({ mel: data, valid }) => ({
    data: cropped(data, config.audio!.melBins, config.audio!.columns(valid)),
    frames: valid,
  }));
  const entry = { file: golden.name, medium: 0, frames: 0, seconds: 0 };
  return {
    id: golden.name,
    inputIds: Uint32Array.from(ids),
    positions: Int32Array.from(positions),
    nextPos,
    visionRows: rowsOf(image, video),
    audioRows: rowsOf(audio),
    placeholders: [],
    patches,
    grids: pictures.map(({ grid }) => grid),
    mel,
    ledger: [
      ...pictures.map(({ grid: [t, h, w] }) => {
        const count = (t * h * w) / 4;
        return { ...entry, kind: "video" as const, featureRows: count, placeholders: count };
      }),
      ...mel.map(({ frames }) => {
        const count = audioTokens(frames);
        return { ...entry, kind: "audio" as const, featureRows: count, placeholders: count };
      }),
    ],
    warnings: [],
  };
}
