/*
 * GRPO as a loop of the program's own, out of the steps that `train` is made of: roll out, reward,
 * advantages, gradients, update; at the end the model is saved.
 *
 * What `train` has besides: checkpoints and resume, logs, the run's health, evaluation, and the
 * comparison of rollout and training before the first update, which here is a line of its own.
 *
 *   node eval.js configs/tiny.yaml eval.questions=8 --out answers.jsonl   # makes the clips
 *   node aubade.js node --import tsx examples/own-loop.ts
 */
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  AdamW,
  computeAdvantages,
  DEFAULT_SAMPLING,
  defineReward,
  Generator,
  loadModel,
  LOSS_DEFAULTS,
  ofRows,
  openDevice,
  policyTrees,
  PolicyUpdater,
  Processor,
  RewardScorer,
  rollOut,
  SampleLoader,
  saveModel,
  tokenFacts,
} from "aubade";

const MODEL = "assets/tiny";
const STEPS = 2;
const GROUP = 4;

const device = await openDevice();
const processor = await Processor.load(MODEL);
// Adapters train on frozen weights; without `lora` the weights themselves do.
const model = await loadModel(device, MODEL, {
  train: { tune_mm_llm: true },
  lora: { r: 4, lora_alpha: 8 },
});

const video = { type: "video", fps: 4, min_pixels: 3136, use_audio_in_video: true };
const rows = await ofRows(
  [0, 1].map((index) => ({
    question: " Which colour is shown first ?",
    options: ["red", "blue"],
    answer: "red",
    media: [{ ...video, video: `.cache/clips/tiny-v1-seed2/0000${index}.mp4` }],
  })),
);
const batch = Array.from({ length: rows.length }, (_, index) => rows.row(index));

const short = defineReward("short", ({ ids }) => 1 / ids.length);
const sampling = { ...DEFAULT_SAMPLING, maxNewTokens: 9, seed: 42 };
const source = new Generator(model, tokenFacts(processor));
const rollouts = {
  ...{ processor, source, sampling, generations: GROUP },
  loader: new SampleLoader(processor),
  scorer: new RewardScorer([{ reward: short, weight: 1 }]),
};
const updater = new PolicyUpdater({
  ...{ model, rollouts: source, maxCompletionLength: sampling.maxNewTokens },
});
const optimizer = await AdamW.create(device, model.weights.trained, { max_grad_norm: 1 });

for (let step = 1; step <= STEPS; step++) {
  const groups = await rollOut(rollouts, batch, { step, draw: step });
  const rewards = groups.flatMap(({ scores }) => scores.map(({ total }) => total ?? NaN));
  const { advantages } = computeAdvantages(rewards, GROUP, "group");
  const trees = policyTrees(groups, { advantages });

  const sampled = groups.flatMap(({ completions }) => completions.map(({ logProbs }) => logProbs));
  const trained = await updater.logProbs(trees);
  const apart = trained.flatMap((list, i) => list.map((one, t) => Math.abs(one - sampled[i]![t]!)));
  if (Math.max(...apart) > 1e-3) throw new Error("Rollout and training disagree.");

  await updater.accumulate(trees, { ...LOSS_DEFAULTS, loss_type: "grpo" });
  await optimizer.update(1e-4);
  const norm = await optimizer.gradientNorm();
  const mean = rewards.reduce((sum, one) => sum + one, 0) / rewards.length;
  console.log(`step ${step}: reward ${mean.toFixed(3)}, gradient ${norm.toFixed(4)}`);
}

const folder = join(await mkdtemp(join(tmpdir(), "aubade-own-loop-")), "adapters");
const { files } = await saveModel(model, folder, { base: MODEL });
console.log(`${folder}: ${files.join(", ")}`);
device.close();
