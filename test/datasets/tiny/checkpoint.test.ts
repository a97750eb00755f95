import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { Random } from "../../../src/core/random.ts";
import { clipContents } from "../../../src/datasets/tiny/clip.ts";
import { TinyDataset } from "../../../src/datasets/tiny/dataset.ts";
import { makeQuestion } from "../../../src/datasets/tiny/questions.ts";
import { completionIds, questionIds } from "../../../src/datasets/tiny/sft.ts";
import { tinyIds } from "../../../src/datasets/tiny/words.ts";
import { parseModelConfig } from "../../../src/families/registry.ts";
import { initialWeights } from "../../../src/checkpoint/init.ts";
import { ChatTemplate, findChatTemplate } from "../../../src/text/chat-template.ts";
import { Tokenizer } from "../../../src/text/tokenizer.ts";
import { clipPlaceholders, clipPromptIds, completionText } from "../../helpers/tiny-prompt.ts";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const read = (name: string): string => readFileSync(join(root, "assets/tiny", name), "utf8");
const golden = JSON.parse(readFileSync(join(root, "test/golden/tiny/tiny.json"), "utf8")) as {
  tokens: { text: string; ids: number[] }[];
  prompt: { text: string; ids: number[]; idsOfFile: number[] };
};
const tokenizer = Tokenizer.fromJson(read("tokenizer.json"), read("tokenizer_config.json"));
const template = new ChatTemplate(
  findChatTemplate({ tokenizerConfig: read("tokenizer_config.json") })!,
);
const ids = tinyIds((text) => tokenizer.encode(text));
const config = parseModelConfig(read("config.json"));

describe("the tiny tokenizer", () => {
  test("gives the ids of the Rust library on 200 strings", () => {
    expect(golden.tokens).toHaveLength(200);
    for (const { text, ids: expected } of golden.tokens) {
      expect(tokenizer.encode(text), JSON.stringify(text)).toEqual(expected);
    }
  });

  test("gives any text back", () => {
    for (const { text } of golden.tokens) {
      expect(tokenizer.decode(tokenizer.encode(text))).toBe(text.normalize("NFC"));
    }
  });

  test("names the same token as config.json does", () => {
    const { tokens } = config;
    expect(tokens.audio).toBe(ids.tags.audio);
    expect(tokens.video).toBe(ids.tags.video);
    expect(tokens.audioStart).toBe(ids.tags.audioBos);
    expect(tokens.audioEnd).toBe(ids.tags.audioEos);
    expect(tokens.visionStart).toBe(ids.tags.visionBos);
    expect(tokens.visionEnd).toBe(ids.tags.visionEos);
    expect(tokens.eos).toBe(ids.tags.imEnd);
    expect([tokens.pad]).toEqual(tokenizer.encode("<|endoftext|>"));
    expect([tokens.image]).toEqual(tokenizer.encode("<|IMAGE|>"));
    expect(tokenizer.vocabSize).toBeLessThanOrEqual(config.text.vocabSize);
  });

  test("keeps the answer's tags in decoded text, and no other marker", () => {
    const completion = completionIds(
      ids,
      makeQuestion(clipContents(1, 0), "both", new Random(1, "data")),
    );
    const text = tokenizer.decode(completion.ids, { skipSpecial: true });
    expect(text).toMatch(/^<think>( \w+){3}<\/think><answer>[ABCD]<\/answer>$/);
  });
});

describe("the prompt", () => {
  test("is rendered as transformers renders it", () => {
    const conversation = [
      {
        role: "user",
        content: [
          { type: "video" as const, video: "clip.mp4" },
          {
            type: "text" as const,
            text: " Which colour goes with hiss ?\nA red\nB blue\nC white\nD green",
          },
        ],
      },
    ];
    expect(template.render(conversation)).toBe(golden.prompt.text);
  });

  test("is 96 tokens, the same for the clip in memory and for its shorter file", () => {
    const media = clipPlaceholders(ids);
    const [before, after] = golden.prompt.text.split("<|VIDEO|>") as [string, string];
    const expanded = [
      ...tokenizer.encode(before),
      ids.tags.audioBos,
      ...media,
      ids.tags.audioEos,
      ...tokenizer.encode(after),
    ];
    expect(expanded).toHaveLength(96);
    expect(expanded).toEqual(golden.prompt.ids);
    expect(golden.prompt.idsOfFile).toEqual(golden.prompt.ids);
    expect(golden.prompt.ids.slice(0, 73)).toEqual(clipPromptIds(ids, media));
  });

  test("holds the ids that the supervised branches hold, for every row", () => {
    const data = new TinyDataset({ split: "held-out", clips: 60, folder: "clips" });
    for (let index = 0; index < data.length; index++) {
      const row = data.row(index);
      const text = template.render(row.conversation);
      const tail = tokenizer.encode(text.split("<|vision_eos|>")[1]!);
      expect(tail).toHaveLength(23);
      const asked = makeQuestion(clipContents(2, index), row.kind, new Random(9, "data"));
      const question = { ...asked, options: row.options, words: row.question.split(" ") };
      expect(tail).toEqual(questionIds(ids, question));
    }
  });

  test("is answered with the ids of the completion's text", () => {
    const random = new Random(2, "data");
    for (const kind of ["see", "hear", "both", "both2"] as const) {
      const question = makeQuestion(clipContents(1, 1), kind, random);
      const text = `${completionText(question)}<|im_end|>`;
      expect(tokenizer.encode(text)).toEqual(completionIds(ids, question).ids);
    }
  });
});

describe("initialWeights", () => {
  const weights = initialWeights(config, 1);

  test("has the parameters of the tiny task, with 384 rows and the unused audio marks", () => {
    let count = 0;
    for (const { shape, data } of weights.values()) {
      expect(data).toHaveLength(shape.reduce((product, length) => product * length, 1));
      count += data.length;
    }
    expect(count).toBe(389088 + 2 * 256 * 64 + 2 * 64);
    expect(new Set(weights.keys())).toEqual(new Set(config.tensors.keys()));
  });

  test("has the deviations of the experiment", () => {
    const expected: [name: string, deviation: number][] = [
      ["model.embed_tokens.weight", 0.5],
      ["lm_head.weight", 0.02],
      ["model.layers.2.self_attn.q_proj.weight", 1 / 8],
      ["model.layers.2.self_attn.o_proj.weight", 1 / 8 / Math.sqrt(8)],
      ["model.layers.2.mlp.down_proj.weight", 1 / Math.sqrt(192 * 8)],
      ["visual.patch_embed.proj.weight", 1 / Math.sqrt(1176)],
      ["visual.blocks.1.mlp.down_proj.weight", 1 / Math.sqrt(96)],
      ["audio_tower.conv1.weight", 3 / Math.sqrt(3 * 128)],
      ["audio_tower.conv2.weight", 2 / Math.sqrt(3 * 48)],
      ["audio_tower.layers.0.self_attn.out_proj.weight", 1 / Math.sqrt(48)],
    ];
    for (const [name, deviation] of expected) {
      const { data } = weights.get(name)!;
      const square = data.reduce((sum, value) => sum + value * value, 0) / data.length;
      // The variance of n normal draws deviates by sqrt(2 / n).
      expect(Math.abs(square / deviation ** 2 - 1), name).toBeLessThan(
        4 * Math.sqrt(2 / data.length),
      );
    }
  });

  test("starts norms at one, biases at zero, and follows the seed", () => {
    for (const [name, { shape, data }] of weights) {
      if (shape.length > 1) continue;
      expect(data.every((value) => value === (name.endsWith("bias") ? 0 : 1))).toBe(true);
    }
    const name = "model.embed_tokens.weight";
    expect(initialWeights(config, 1).get(name)).toEqual(weights.get(name));
    expect(initialWeights(config, 2).get(name)).not.toEqual(weights.get(name));
  });
});

test("scripts/make-tiny-checkpoint.ts writes the files that are there, byte for byte", () => {
  const folder = mkdtempSync(join(tmpdir(), "tiny-"));
  try {
    const tsx = join(root, "node_modules/tsx/dist/cli.mjs");
    execFileSync(process.execPath, [tsx, "scripts/make-tiny-checkpoint.ts", folder], { cwd: root });
    const names = readdirSync(folder);
    expect(names).toHaveLength(6);
    for (const name of names) {
      expect(readFileSync(join(folder, name), "utf8") === read(name), name).toBe(true);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
}, 30_000);
