import { mkdtemp, rm, writeFile, readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  afterAll,
  afterEach,
  beforeAll,
  beforeEach,
  describe,
  expect,
  inject,
  it,
  vi,
} from "vitest";
import { readBytes } from "#io";
import { main } from "../../../src/cli/commands/dump.ts";
import { bytesSource } from "../../../src/io/byte-source.ts";
import { openSafetensors, type TensorStore } from "../../../src/checkpoint/safetensors.ts";
import { parseModelConfig } from "../../../src/families/registry.ts";
import { clipFileName } from "../../../src/datasets/tiny/dataset.ts";
import { prepareClips } from "../../../src/datasets/tiny/node.ts";
import { GoldenCase, relativeL2 } from "../../helpers/golden.ts";
import { goldenInputs, tensorBytes } from "../../helpers/prepared-inputs.ts";

const pathOf = (name: string) => fileURLToPath(new URL(`../../../${name}`, import.meta.url));

let folder: string;
let out: string;
let printed: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "aubade-dump-"));
  out = join(folder, "out.safetensors");
});
beforeEach(() => {
  printed = "";
  vi.spyOn(process.stdout, "write").mockImplementation((text) => {
    printed += String(text);
    return true;
  });
  vi.spyOn(process.stderr, "write").mockImplementation(() => true);
});
afterEach(() => vi.restoreAllMocks());
afterAll(() => rm(folder, { recursive: true, force: true }));

async function dump(...argv: string[]): Promise<TensorStore> {
  const where = ["--out", out, "--overwrite", "--tier", inject("tier")];
  expect(await main([...argv, ...where])).toBe(0);
  return openSafetensors(bytesSource(await readBytes(out)), out);
}

async function dumpGolden(model: string, name: string, ...argv: string[]) {
  const text = new TextDecoder().decode(
    await readBytes(pathOf(`test/golden/${model}/config.json`)),
  );
  const golden = await GoldenCase.open(`${model}-${name}`);
  const config = parseModelConfig(text);
  const inputs = join(folder, "inputs.safetensors");
  await writeFile(inputs, tensorBytes(await goldenInputs(golden, config)));
  const file = await dump("--model", pathOf(`test/golden/${model}`), "--inputs", inputs, ...argv);
  return { golden, config, file };
}

const integers = async (file: TensorStore, name: string) =>
  [...new BigInt64Array((await file.read(name)).buffer)].map(Number);

describe("aubade dump", () => {
  it.each([
    ["omni/tiny-a", "av"],
    ["vl/tiny-a", "image-and-video"],
    ["qwen2-audio/tiny-a", "two-clips"],
  ])("%s %s: every tensor of transformers", async (model, name) => {
    const { golden, config, file } = await dumpGolden(model, name, "--grads");
    const near = async (mine: string, theirs: string, limit: number) => {
      const distance = relativeL2(await file.readF32(mine), await golden.floats(theirs));
      expect(distance, mine).toBeLessThan(limit);
    };
    for (const kind of ["image", "video", "audio"]) {
      expect(file.tensors.has(`${kind}_embeds`), kind).toBe(golden.has(`${kind}_embeds`));
      if (golden.has(`${kind}_embeds`)) await near(`${kind}_embeds`, `${kind}_embeds`, 1e-5);
    }
    const { layers, hiddenSize } = config.text;
    for (let i = 0; i + 1 < layers; i++) await near(`hidden_states.${i + 1}`, `hidden.${i}`, 1e-5);
    const length = (await golden.integers("input_ids")).length;
    for (const i of [0, layers]) {
      expect(file.tensors.get(`hidden_states.${i}`)!.shape).toEqual([1, length, hiddenSize]);
    }
    await near("logits", "logits", 1e-5);
    await near("loss", "loss", 1e-5);
    let compared = 0;
    for (const stored of file.tensors.keys()) {
      if (!stored.startsWith("grad.")) continue;
      const theirs = `grad.${stored.slice(5).replace(/^language_model\./, "")}`;
      const summed = theirs.replace("grad.", "grad_summary.");
      expect(golden.has(theirs) || golden.has(summed), stored).toBe(true);
      if (golden.has(theirs)) await near(stored, theirs, 1e-4);
      compared++;
    }
    expect(compared).toBeGreaterThan(60);
    const unused = JSON.parse(file.metadata["without_gradient"]!) as string[];
    const fixed = { "omni/tiny-a": "audio_bos_eos_token", "qwen2-audio/tiny-a": "embed_positions" };
    const frozen = (fixed as Record<string, string>)[model];
    expect(unused).toEqual(frozen === undefined ? [] : [`audio_tower.${frozen}.weight`]);
    const positions = await golden.integers("position_ids");
    const mine = await integers(file, "position_ids");
    expect(mine).toEqual([...positions].slice(0, mine.length));
  });

  it("a batch: each row alone, zeros and ones at padding, gradients of the joint mean", async () => {
    const { golden, config, file } = await dumpGolden("vl/tiny-a", "batch", "--grads");
    const [rows, length, vocabulary] = file.tensors.get("logits")!.shape as [
      number,
      number,
      number,
    ];
    expect([rows, vocabulary]).toEqual([4, config.text.vocabSize]);
    const logits = await file.readF32("logits");
    const positions = await integers(file, "position_ids");
    for (let row = 0; row < rows; row++) {
      const want = await golden.floats(`logits.${row}`);
      const end = (row + 1) * length * vocabulary;
      expect(relativeL2(logits.subarray(end - want.length, end), want)).toBeLessThan(1e-5);
      const padding = logits.subarray(row * length * vocabulary, end - want.length);
      expect(padding.every((value) => value === 0)).toBe(true);
      const pads = padding.length / vocabulary;
      expect(positions.slice(row * length, row * length + pads)).toEqual(Array(pads).fill(1));
    }
    const [want] = await golden.floats("loss");
    expect((await file.readF32("loss"))[0]! / want! - 1).toBeCloseTo(0, 5);
    const name = "grad.model.layers.0.input_layernorm.weight";
    expect(relativeL2(await file.readF32(name), await golden.floats(name))).toBeLessThan(1e-4);
  });

  it("generates transformers' greedy ids up to the end token", async () => {
    const greedy = await GoldenCase.open("vl/tiny-a-greedy");
    const prompt = await greedy.integers("text.input_ids");
    const inputs = join(folder, "prompt.safetensors");
    const ids = { shape: [1, prompt.length], values: prompt };
    await writeFile(inputs, tensorBytes({ input_ids: ids }));
    const model = pathOf("test/golden/vl/tiny-a");
    const file = await dump("--model", model, "--inputs", inputs, "--generate", "8");
    const want = [...(await greedy.integers("text.tokens"))].slice(0, 8);
    const end = want.indexOf(142);
    expect(await integers(file, "generated_ids")).toEqual(want.slice(0, end < 0 ? 8 : end + 1));
    expect(file.tensors.has("loss")).toBe(false);
  });

  it("a conversation over a clip: the answer is labelled, its prompt continued", async () => {
    const clips = await prepareClips({ folder, seed: 7, indices: [0] });
    const clip = join(clips, clipFileName(0));
    const conversation = join(folder, "conversation.json");
    const messages = [
      { role: "user", content: [{ type: "video", video: clip, use_audio_in_video: true }] },
      { role: "assistant", content: " red" },
    ];
    await writeFile(conversation, JSON.stringify({ messages }));
    const file = await dump(
      ...["--model", pathOf("assets/tiny"), "--conversation", conversation],
      ...["--grads", "--generate", "3"],
    );
    const ids = await integers(file, "input_ids");
    const labels = await integers(file, "labels");
    const [prompt] = JSON.parse(file.metadata["prompt_length"]!) as number[];
    const said = labels.filter((label) => label !== -100);
    // The answer's words and the token that closes it, 361; the newline after it is not learnt.
    expect(said).toEqual(ids.slice(prompt!, -1));
    expect(said.at(-1)).toBe(361);
    expect(file.tensors.get("input_features")!.shape).toEqual([1, 128, 30000]);
    expect(file.tensors.has("grad.thinker.audio_tower.proj.weight")).toBe(true);
    // Tokens that generation never takes are named: media, rows of the vocabulary without a token.
    const tokenizer = JSON.parse(await readFile(pathOf("assets/tiny/tokenizer.json"), "utf8")) as {
      model: { vocab: object };
      added_tokens: { id: number; content: string }[];
    };
    const suppressed = JSON.parse(file.metadata["suppressed"]!) as { ids: number[]; from: number };
    const added = tokenizer.added_tokens.map(({ id }) => id);
    expect(suppressed.from).toBe(
      Math.max(...(Object.values(tokenizer.model.vocab) as number[]), ...added) + 1,
    );
    for (const { id, content } of tokenizer.added_tokens) {
      if (/^<\|(AUDIO|VIDEO|IMAGE)\|>$/.test(content)) expect(suppressed.ids).toContain(id);
    }
    expect((await integers(file, "generated_ids")).length).toBeGreaterThan(0);
    expect(printed).toMatch(/^hidden_states\.4 +\[1, \d+, 64\] +\d\.\d{6}e[+-]\d+$/m);
    const [{ ledger }] = JSON.parse(file.metadata["ledger"]!) as [{ ledger: { kind: string }[] }];
    expect(ledger.map(({ kind }) => kind)).toEqual(["video", "audio"]);
  });

  it("says what it cannot do", async () => {
    const conversation = join(folder, "open.json");
    await writeFile(conversation, JSON.stringify([{ role: "user", content: "Hello" }]));
    const tiny = ["--model", pathOf("assets/tiny")];
    const argv = [...tiny, "--conversation", conversation];
    await expect(dump(...argv, "--grads")).rejects.toThrow("no assistant message");
    await expect(dump(...tiny)).rejects.toThrow("either --conversation or --inputs");
    await expect(dump(...argv, "--generate", "0")).rejects.toThrow("no number of tokens");
    const mine = join(folder, "mine.safetensors");
    await writeFile(mine, "mine");
    const onto = [
      "--model",
      pathOf("test/golden/omni/tiny-a"),
      "--conversation",
      "x.json",
      "--out",
    ];
    const refused = { code: "file-exists" };
    await expect(main([...onto, mine])).rejects.toMatchObject(refused);
    await expect(main([...onto, mine, "--overwrite"])).rejects.toThrow("is there and is no dump");
    const beside = join(pathOf("test/golden/omni/tiny-a"), "model.safetensors");
    await expect(main([...onto, beside, "--overwrite"])).rejects.toMatchObject({
      code: "same-folder",
    });
    await expect(main(["--out", "x"])).rejects.toThrow("required option '--model <folder>'");
    await writeFile(conversation, "{");
    await expect(dump(...argv)).rejects.toThrow("is no JSON");
  });
});
