/*
 * Trains with parts of the program's own: its rows, its reward, its device and its model.
 *
 * A run makes by itself whatever is not handed in. What is handed in stays open afterwards: here the
 * trained model answers a question before the device closes.
 *
 *   node eval.js configs/tiny.yaml eval.questions=8 --out answers.jsonl   # makes the clips
 *   node aubade.js node --import tsx examples/own-parts.ts
 */
import { defineReward, generate, loadModel, openDevice, Processor, train } from "aubade";

const COLOURS = ["red", "green", "blue", "yellow"];
const ask = (clip: string) => [
  {
    role: "user" as const,
    content: [
      { type: "video" as const, video: clip, fps: 4, min_pixels: 3136, use_audio_in_video: true },
      { type: "text" as const, text: " Which colour is shown first ?\nA red\nB blue" },
    ],
  },
];
const clips = [0, 1].map((index) => `.cache/clips/tiny-v1-seed2/0000${index}.mp4`);

// Any key of a row reaches the reward as a column.
const rows = clips.map((clip) => ({ conversation: ask(clip), answer: "A", wanted: COLOURS }));
const colour = defineReward("colour", ({ text }, { columns }) => {
  const wanted = columns?.["wanted"] as string[];
  return wanted.some((word) => text.includes(word)) ? 1 : 0;
});

const device = await openDevice();
const model = await loadModel(device, "assets/tiny", { train: { tune_mm_llm: true } });
const result = await train(
  {
    model: { path: "assets/tiny" },
    rollout: { max_completion_length: 9 },
    train: { max_steps: 1, prompts_per_step: 2, num_generations: 4, learning_rate: 1e-4 },
    eval: null,
  },
  { device, model, data: rows, rewards: [{ reward: colour, weight: 1 }] },
);
console.log(`${result.steps} step in ${result.seconds.toFixed(1)} s`);

const processor = await Processor.load("assets/tiny");
const [answer] = await generate(model, processor, { conversation: ask(clips[0]!) });
console.log(answer!.text);
device.close();
