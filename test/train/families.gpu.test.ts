import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { ModelWeights } from "../../src/checkpoint/weights.ts";
import { train } from "../../src/run/train.ts";

const golden = (path: string) => fileURLToPath(new URL(`../golden/${path}`, import.meta.url));
const assets = (name: string) =>
  fileURLToPath(new URL(`../../assets/tiny/${name}`, import.meta.url));

/** The names in another family of the tiny tokenizer's tokens. */
const SPELLINGS: Record<string, Record<string, string>> = {
  vl: {
    "<|IMAGE|>": "<|image_pad|>",
    "<|VIDEO|>": "<|video_pad|>",
    "<|vision_bos|>": "<|vision_start|>",
    "<|vision_eos|>": "<|vision_end|>",
  },
  "qwen2-audio": {},
};

/** Two seconds of a tone as a wav file: mono, 16 bits, 16 kHz. */
function tone(hz: number): Buffer {
  const samples = 32000;
  const file = Buffer.alloc(44 + 2 * samples);
  file.write("RIFF", 0);
  file.writeUInt32LE(36 + 2 * samples, 4);
  file.write("WAVEfmt ", 8);
  [16, 0x10001, 16000, 32000, 0x100002].forEach((word, i) => file.writeUInt32LE(word, 16 + 4 * i));
  file.write("data", 36);
  file.writeUInt32LE(2 * samples, 40);
  for (let i = 0; i < samples; i++) {
    file.writeInt16LE(Math.round(8000 * Math.sin((2 * Math.PI * hz * i) / 16000)), 44 + 2 * i);
  }
  return file;
}

describe("GRPO on a user's own rows, with every family", () => {
  let root: string;
  beforeAll(async () => (root = await mkdtemp(join(tmpdir(), "families-"))));
  afterAll(() => rm(root, { recursive: true, force: true }));

  /** A checkpoint folder without weights: a golden's shapes with the tiny tokenizer's vocabulary. */
  async function folderOf(family: string, change: (config: any, id: any) => void): Promise<string> {
    const folder = join(root, family);
    await mkdir(folder);
    let text = await readFile(assets("tokenizer.json"), "utf8");
    for (const [from, to] of Object.entries(SPELLINGS[family]!)) text = text.replaceAll(from, to);
    await writeFile(join(folder, "tokenizer.json"), text);
    const added: { id: number; content: string }[] = JSON.parse(text).added_tokens;
    const id = (token: string) => added.find(({ content }) => content === token)!.id;
    const config = JSON.parse(await readFile(golden(`${family}/tiny-a/config.json`), "utf8"));
    change(config, id);
    await writeFile(join(folder, "config.json"), JSON.stringify(config));
    return folder;
  }

  async function trainOn(model: string, prompts: object[][]) {
    const path = join(model, "rows.jsonl");
    const lines = prompts.map((content, i) =>
      JSON.stringify({ prompt: [{ role: "user", content }], answer: "A", problem_type: `t${i}` }),
    );
    await writeFile(path, `${lines.join("\n")}\n`);
    const steps: Record<string, number>[] = [];
    const rollouts: Record<string, unknown>[] = [];
    let changed = 0;
    const result = await train(
      {
        model: { path: model, init: "random" },
        device: { tier: inject("tier").toUpperCase() as "T0" },
        data: { name: "jsonl", path },
        eval: null,
        rollout: { max_completion_length: 6 },
        rewards: [{ name: "random", weight: 1 }],
        train: {
          max_steps: 2,
          prompts_per_step: prompts.length,
          shuffle_dataset: false,
          num_generations: 4,
          learning_rate: 1e-3,
        },
      },
      {
        onEvent: ({ kind, data }) => {
          if (kind === "step") steps.push(data.metrics);
          if (kind === "rollout") rollouts.push({ ...data });
        },
        onTrained: async ({ weights }) => {
          for (const parameter of weights.trained) {
            const values = await ModelWeights.read(parameter);
            if (values.some((value) => !Number.isFinite(value))) throw new Error(parameter.name);
            changed++;
          }
        },
      },
    );
    return { result, steps, rollouts, changed };
  }

  it("Qwen2.5-VL: a picture, two pictures and text in one step", async () => {
    const model = await folderOf("vl", (config, id) => {
      Object.assign(config, {
        vocab_size: 384,
        image_token_id: id("<|image_pad|>"),
        video_token_id: id("<|video_pad|>"),
        vision_start_token_id: id("<|vision_start|>"),
        vision_end_token_id: id("<|vision_end|>"),
        pad_token_id: id("<|endoftext|>"),
        eos_token_id: id("<|im_end|>"),
      });
    });
    const picture = (name: string) => ({ type: "image", image: golden(`media/images/${name}`) });
    const text = { type: "text", text: "what ?" };
    const { result, steps, rollouts, changed } = await trainOn(model, [
      [picture("444.jpg"), text],
      [picture("420.jpg"), picture("blend.png"), text],
      [text],
    ]);
    expect([result.steps, result.before, result.after]).toEqual([2, null, null]);
    expect(steps).toHaveLength(2);
    for (const metrics of steps) {
      expect(metrics["sampling/sampling_logp_difference/max"]).toBeLessThan(1e-3);
      expect(metrics["token_mult_prob_error/vision"]).toBeCloseTo(1, 4);
      expect(metrics["token_mult_prob_error/text"]).toBeCloseTo(1, 4);
      expect(metrics["grad_norm"]).toBeGreaterThan(0);
    }
    const lines = rollouts.map(({ sample }) => String(sample).split(":").at(-1));
    expect(lines.join("")).toBe("111122223333".repeat(2));
    expect(changed).toBeGreaterThan(20);
  });

  it("Qwen2-Audio: a sound, two sounds and text in one step", async () => {
    const model = await folderOf("qwen2-audio", (config, id) => {
      Object.assign(config, { audio_token_index: id("<|AUDIO|>") });
      Object.assign(config.text_config, {
        vocab_size: 384,
        pad_token_id: id("<|endoftext|>"),
        eos_token_id: id("<|im_end|>"),
      });
      Object.assign(config.audio_config, { num_mel_bins: 128, max_source_positions: 1500 });
    });
    await writeFile(join(model, "low.wav"), tone(220));
    await writeFile(join(model, "high.wav"), tone(1760));
    const sound = (audio: string) => ({ type: "audio", audio });
    const text = { type: "text", text: "what ?" };
    const { steps, rollouts } = await trainOn(model, [
      [sound("low.wav"), text],
      [sound("low.wav"), sound("high.wav"), text],
      [text],
    ]);
    expect(steps).toHaveLength(2);
    for (const metrics of steps) {
      expect(metrics["sampling/sampling_logp_difference/max"]).toBeLessThan(1e-3);
      expect(metrics["token_mult_prob_error/audio"]).toBeCloseTo(1, 4);
      expect(metrics["grad_norm"]).toBeGreaterThan(0);
    }
    // Paths in the file are relative to it, and records name the media.
    expect(rollouts.some(({ media }) => String(media).endsWith("high.wav"))).toBe(true);
  });
});
