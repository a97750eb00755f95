/* The work that Node and a page both do, for a test that compares the two. Results are plain data. */
import { VideoSampleSink } from "mediabunny";
import { Events } from "../../src/core/events.ts";
import { SampleLoader } from "../../src/data/sample-loader.ts";
import { TinyDataset } from "../../src/datasets/tiny/dataset.ts";
import { runSchema, type RunInput } from "../../src/config/schema.ts";
import { openDevice } from "../../src/gpu/device.ts";
import { Extent } from "../../src/graph/extent.ts";
import { Graph } from "../../src/graph/graph.ts";
import { GrowingPlan } from "../../src/graph/plan/growing-plan.ts";
import { linear } from "../../src/ops/linear.ts";
import { gatherRows } from "../../src/ops/rows.ts";
import { generate, loadMedia, train } from "../../src/index.ts";
import { decodeAudio } from "../../src/media/decode-audio.ts";
import { decodeVideo } from "../../src/media/decode-video.ts";
import { requireDecoder, withMedia } from "../../src/media/open.ts";
import type { MediaSource } from "../../src/media/types.ts";
import { mergeFeeds } from "../../src/network/feed.ts";
import { loadModel } from "../../src/model/load.ts";
import { lossRows, packedDecoder, towers } from "../../src/network/decoder/packed-decoder.ts";
import { completionBranch } from "../../src/network/decoder/packed.ts";
import { Processor } from "../../src/model/processor.ts";
import { defineReward } from "../../src/reward/reward.ts";
import { Generator } from "../../src/rollout/generator.ts";
import { tokenFacts } from "../../src/rollout/token-facts.ts";
import type { Rollout } from "../../src/rollout/types.ts";
import type { RolloutSource } from "../../src/rollout/source.ts";
import type { Conversation } from "../../src/text/chat-template.ts";
import { AdamW } from "../../src/train/optimizer.ts";
import { GrpoTask } from "../../src/train/grpo.ts";

/** Seed of the clips that the training steps use. */
export const CLIP_SEED = 3;
/** Tokens of every completion. */
export const TOKENS = 9;

async function digest(bytes: Uint8Array): Promise<string> {
  const hash = await crypto.subtle.digest("SHA-256", new Uint8Array(bytes));
  return Array.from(new Uint8Array(hash).subarray(0, 8), (byte) =>
    byte.toString(16).padStart(2, "0"),
  ).join("");
}

/** Rows of all planes without padding: the decoder chooses the strides. */
function tight(data: Uint8Array, planes: PlaneLayout[], width: number, height: number): Uint8Array {
  const half = { width: Math.ceil(width / 2), height: Math.ceil(height / 2) };
  const parts = planes.flatMap(({ offset, stride }, i) => {
    const size = i === 0 ? { width, height } : half;
    return Array.from({ length: size.height }, (_, y) =>
      data.subarray(offset + y * stride, offset + y * stride + size.width),
    );
  });
  const result = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    result.set(part, at);
    at += part.length;
  }
  return result;
}

/** Decodes a file's first second of pictures, as the decoder hands them over. */
export async function planes(source: MediaSource): Promise<{ format: string; hashes: string[] }> {
  return withMedia(source, {}, async (input) => {
    const [track] = await input.getVideoTracks();
    await requireDecoder(track!, "the file");
    const sink = new VideoSampleSink(track!, { hardwareAcceleration: "prefer-software" });
    const hashes: string[] = [];
    let format = "";
    for await (const sample of sink.samples(0, 1)) {
      const data = new Uint8Array(sample.allocationSize());
      const layout = await sample.copyTo(data);
      const { width, height } = sample.visibleRect;
      format = String(sample.format);
      hashes.push(await digest(tight(data, layout, width, height)));
      sample.close();
    }
    return { format, hashes };
  });
}

/** RGB of chosen frames of a file, as the models see them. */
export async function pictures(source: MediaSource): Promise<string[]> {
  const choose = ({ totalFrames }: { totalFrames: number }) => [
    ...new Set([0, 1, Math.floor(totalFrames / 2), totalFrames - 1]),
  ];
  const { frames, width, height } = await decodeVideo(source, choose);
  const size = `${width}x${height}`;
  return Promise.all(frames.map(async ({ rgb }) => `${size} ${await digest(rgb)}`));
}

/** The waveform of a file, as the models hear it. */
export async function waveform(
  source: MediaSource,
): Promise<{ samples: number; hash: string; head: number[] }> {
  const { samples } = await decodeAudio(source);
  const bytes = new Uint8Array(samples.buffer, samples.byteOffset, samples.byteLength);
  return {
    samples: samples.length,
    hash: await digest(bytes),
    head: [...samples.slice(4000, 4004)],
  };
}

function aboutClip(video: MediaSource): Conversation {
  const text = " Which colour is shown first ?\nA red\nB green\nC blue\nD white";
  const part = { type: "video" as const, video, fps: 4, min_pixels: 3136 };
  return [
    {
      role: "user",
      content: [
        { ...part, use_audio_in_video: true },
        { type: "text", text },
      ],
    },
  ];
}

/** Greedy tokens of a clip at T0, what was streamed, and per token the margin of the top two. */
export async function greedy(folder: string, clip: MediaSource) {
  const device = await openDevice({ tier: "t0" });
  const model = await loadModel(device, folder);
  const processor = await Processor.load(folder);
  const conversation = aboutClip(clip);
  const media = await loadMedia(processor, conversation);
  const streamed: string[] = [];
  const [answer] = await generate(
    model,
    processor,
    { conversation, media },
    { maxNewTokens: TOKENS, stepsBetweenLooks: 2, onText: (text) => streamed.push(text) },
  );
  const { ids, text, logProbs } = answer!;
  const sample = processor.process({ id: "clip", conversation, media });
  const plan = new GrowingPlan(device, "margins", () => {
    const graph = new Graph();
    const scope = model.scope(graph);
    const hidden = packedDecoder(scope, model.config, towers(scope, model.config));
    const { rows } = lossRows(graph, model.config, hidden);
    const wide = new Extent("wide", 4 * model.config.text.vocabSize);
    const whole = gatherRows(graph, rows, graph.input("wide.index", wide, 1, "u32"));
    graph.keep("logits", linear(graph, whole, scope.weight("lm_head.weight")));
    return graph;
  });
  const trees = [{ prompt: sample, branches: [completionBranch(ids)] }];
  const wide = {
    inputs: { "wide.index": Uint32Array.from(ids.keys()) },
    sizes: { wide: ids.length },
    scalars: {},
  };
  const feed = mergeFeeds(model.mediaFeed([sample]), model.treeFeed(trees), wide);
  const replayed = await plan.run(feed);
  const logits = await replayed.read("logits", ids.length);
  const width = logits.length / ids.length;
  const { placeholderIds, vocabSize } = tokenFacts(processor);
  const margins = ids.map((_, row) => {
    const values = [...logits.subarray(row * width, row * width + vocabSize)];
    for (const id of placeholderIds) values[id] = -Infinity;
    const [first, second] = values.sort((a, b) => b - a);
    return first! - second!;
  });
  device.close();
  return { ids, text, logProbs, margins, streamed };
}

/** A reward that random weights can earn, so that advantages are not all 0. */
const idReward = defineReward(
  "id-sum",
  ({ ids }) => ids.reduce((sum, id) => sum + (id % 7), 0) / 50,
);

/**
 * Two optimizer steps on one rollout at T0, towers included.
 *
 * @param rollout completions to train on; sampled here when left out.
 */
export async function grpoStep(
  folder: string,
  clips: string,
  rollout?: Rollout[][],
): Promise<{ rollout: Rollout[][]; metrics: Record<string, number> }> {
  const device = await openDevice({ tier: "t0" });
  const config = runSchema.parse({
    model: { path: folder },
    rollout: { max_completion_length: TOKENS },
    train: {
      ...{ num_generations: 4, num_iterations: 2, learning_rate: 1e-3, epsilon: 1 },
      ...{ tune_mm_vision: true, tune_mm_audio: true, tune_mm_mlp: true },
    },
  });
  const model = await loadModel(device, folder, { train: config.train });
  const processor = await Processor.load(folder);
  const generator = new Generator(model, tokenFacts(processor));
  let used: Rollout[][] = [];
  const source: RolloutSource = {
    generate: async (...args) => (used = rollout ?? unequal(await generator.generate(...args))),
    destroy: () => generator.destroy(),
  };
  const data = new TinyDataset({ split: "train", clips: 2, folder: clips, seed: CLIP_SEED });
  const task = new GrpoTask({
    ...{ model, processor, source },
    loader: new SampleLoader(processor),
    optimizer: await AdamW.create(device, model.weights.trained, config.train),
    rewards: [{ reward: idReward, weight: 1 }],
    ...{ train: config.train, totalSteps: 2, rollout: config.rollout, events: new Events() },
    feed: {
      from: (_place, count) => ({
        ...{ rows: [0, 1].slice(0, count).map((i) => data.row(i)), end: count },
        indices: [0, 1].slice(0, count),
        leftOut: { over_budget: 0, unreadable: 0 },
      }),
      ahead: () => [],
    },
    learningRate: () => 1e-3,
  });
  const start = { step: 0, draw: 0, samplesConsumed: 0, entropyControl: null };
  const { metrics } = await task.step(start);
  device.close();
  return { rollout: used, metrics };
}

/** Cuts completions to different lengths, so that the loss is not 0 by symmetry. */
function unequal(groups: Rollout[][]): Rollout[][] {
  return groups.map((group) =>
    group.map((completion, i) => {
      const length = Math.max(2, completion.ids.length - 2 * i);
      const cut = (values: number[]) => values.slice(0, length);
      return {
        ids: cut(completion.ids),
        finished: completion.finished && length === completion.ids.length,
        logProbs: cut(completion.logProbs),
        samplingLogProbs: cut(completion.samplingLogProbs),
        entropies: cut(completion.entropies),
        bannedMass: cut(completion.bannedMass),
      };
    }),
  );
}

/** One step of the public `train`, with a reward of the program's own. */
export async function trainOnce(folder: string, clips: string) {
  const config: RunInput = {
    model: { path: folder },
    data: { folder: clips, seed: CLIP_SEED, clips: 2 },
    rollout: { max_completion_length: TOKENS },
    train: { max_steps: 1, prompts_per_step: 2, num_generations: 4, learning_rate: 1e-4 },
    eval: { name: "tiny", folder: clips, questions: 2 },
    device: { tier: "T0" },
  };
  const kinds: string[] = [];
  const metrics: Record<string, number> = {};
  let trained = 0;
  const result = await train(config, {
    rewards: [{ reward: idReward, weight: 1 }],
    onEvent: ({ kind, data }) => {
      kinds.push(kind);
      if (kind === "step") Object.assign(metrics, data.metrics);
    },
    onTrained: (model) => {
      trained = model.weights.trained.length;
    },
  });
  return {
    steps: result.steps,
    before: result.before,
    after: result.after,
    kinds,
    metrics,
    trained,
  };
}
