/**
 * Failures of others by which a completion is trained with what belongs to another: judge scores that
 * change nothing (F12), the reward of another row's type (F13), answers tiled in another order than
 * completions (F14), batches with and without media (F19), media copied for every completion (F20).
 */
import { writeFile } from "node:fs/promises";
import { afterAll, beforeAll, expect, inject, it, vi } from "vitest";
import { Events } from "../../src/core/events.ts";
import type { RolloutRecord } from "../../src/core/run-events.ts";
import { openDataset } from "../../src/datasets/tiny/open.ts";
import { Model } from "../../src/model/model.ts";
import { defineReward } from "../../src/reward/reward.ts";
import { train } from "../../src/run/train.ts";
import { tinyData, TinyWorkplace } from "../helpers/tiny-run.ts";

const place = new TinyWorkplace();
let clip: string;
beforeAll(async () => {
  await place.make();
  const data = tinyData(place.config());
  const set = await openDataset("train", data, [0], place.path("clips"), new Events());
  clip = set.row(0).mediaNames;
});
afterAll(async () => {
  vi.restoreAllMocks();
  await place.remove();
});

const GROUP = 4;
/** The reward of a row of each type: another function of the ids for each. */
const BY_TYPE: Record<string, (ids: readonly number[], answer: string) => number> = {
  letters: (ids, answer) => (ids[0]! + answer.charCodeAt(0)) % 7,
  numbers: (ids, answer) => (ids.at(-1)! * Number(answer)) % 5,
  words: (ids) => ids.length / 8,
};
const judged = (ids: readonly number[], id: string) =>
  (ids.reduce((a, b) => a + b) % 9) + id.length;

const byType = defineReward("by-type-of-row", ({ ids }, row) =>
  BY_TYPE[(row as unknown as { problem_type: string }).problem_type]!(ids, row.answer),
);
// Slower for the first rows than for the last, as judges are.
const judge = defineReward("slow-judge", async ({ ids, index }, row) => {
  const { id } = row as unknown as { id: string };
  await new Promise((done) => setTimeout(done, 10 - 2 * index));
  return judged(ids, id);
});

type Rollout = RolloutRecord & { reward: number; rewards: Record<string, number> };

it("every completion has the rewards of its own row, and the advantage that follows", async () => {
  const rows = [
    { id: "t", problem_type: "letters", answer: "B", media: [] },
    { id: "sound", problem_type: "numbers", answer: "3", media: [{ type: "audio", audio: clip }] },
    {
      id: "pictures-and-sound",
      problem_type: "words",
      answer: "x",
      media: [{ type: "video", video: clip, min_pixels: 3136, use_audio_in_video: true }],
    },
  ];
  const path = place.path("rows.jsonl");
  const lines = rows.map(({ media, ...row }) => {
    const content = [...media, { type: "text", text: "Which ?" }];
    return `${JSON.stringify({ ...row, prompt: [{ role: "user", content }] })}\n`;
  });
  await writeFile(path, lines.join(""));
  const config = place.config({
    model: { init: "random" },
    data: { name: "jsonl", path },
    rewards: [{ name: "format", weight: 1 }],
    rollout: { max_completion_length: 8 },
    train: { max_steps: 2, prompts_per_step: 3, num_generations: GROUP, scale_rewards: "none" },
    eval: null,
    output: { export_dtype: null },
    device: { tier: inject("tier").toUpperCase() },
  });
  const fed = vi.spyOn(Model.prototype, "mediaFeed");
  const rollouts: Rollout[] = [];
  await train(config, {
    onEvent({ kind, data }) {
      if (kind === "rollout") rollouts.push(data as Rollout);
    },
    rewards: [
      { reward: byType, weight: 0.3 },
      { reward: judge, weight: 0.7 },
    ],
  });
  expect(rollouts).toHaveLength(2 * 3 * GROUP);
  for (let start = 0; start < rollouts.length; start += GROUP) {
    const group = rollouts.slice(start, start + GROUP);
    const row = rows.find(({ id }) => id === group[0]!.sample)!;
    expect(group.map(({ sample }) => sample)).toEqual(Array(GROUP).fill(row.id));
    const totals = group.map(({ ids }) => {
      const own = BY_TYPE[row.problem_type]!(ids, row.answer);
      return 0.3 * own + 0.7 * judged(ids, row.id);
    });
    const mean = totals.reduce((sum, total) => sum + total, 0) / GROUP;
    group.forEach(({ completion, reward, rewards, advantage, answer }, i) => {
      expect({ completion, answer }).toEqual({ completion: i, answer: row.answer });
      expect(rewards["slow-judge"]).toBe(judged(group[i]!.ids, row.id));
      expect(reward).toBeCloseTo(totals[i]!, 10);
      // The judge is in the advantage: without its part the number is another one.
      expect(advantage).toBeCloseTo(totals[i]! - mean, 10);
    });
    expect(new Set(totals).size).toBeGreaterThan(1);
  }
  // Media go through the towers once for a group, not once for a completion, and not again to train.
  expect(fed.mock.calls.map(([samples]) => samples.length)).toEqual([3, 3]);
});
