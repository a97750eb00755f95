/**
 * Source B's garbage where a row becomes a sample: sound attached twice under any name, tokens typed
 * as text, and samples that were cut or exchanged since. Test of the same through whole runs:
 * test/train/garbage.gpu.test.ts.
 */
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Events } from "../../src/core/events.ts";
import { openJsonl } from "../../src/datasets/jsonl/dataset.ts";
import { SampleLoader } from "../../src/data/sample-loader.ts";
import { openDataset } from "../../src/datasets/tiny/open.ts";
import { inspectConversation } from "../../src/inspect/conversation.ts";
import type { Model } from "../../src/model/model.ts";
import { Processor } from "../../src/model/processor.ts";
import { checkLedger, type Sample } from "../../src/prompt/sample.ts";
import { sealOf } from "../../src/prompt/sample.ts";
import { generate, loadMedia } from "../../src/rollout/generate.ts";
import type { ContentPart, Conversation, MediaReference } from "../../src/text/chat-template.ts";
import { DAMAGES, exchangeSound } from "../helpers/damaged-samples.ts";

const processor = await Processor.load(
  fileURLToPath(new URL("../../assets/tiny", import.meta.url)),
);
let folder: string;
let clip: string;
let other: string;
let samples: [Sample, Sample];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "aubade-garbage-"));
  const source = { seed: 3, clips: 2, workers: 0 };
  const set = await openDataset("train", source as never, [0, 1], folder, new Events());
  [clip, other] = [0, 1].map((index) => set.row(index).mediaNames) as [string, string];
  await cp(clip, join(folder, "copy.mp4"));
  await symlink(clip, join(folder, "link.mp4"));
  const loader = new SampleLoader(processor);
  samples = (await loader.loadAll([set.row(0), set.row(1)])) as [Sample, Sample];
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const seen = (video: MediaReference, use_audio_in_video = true): ContentPart => ({
  ...{ type: "video", video, fps: 4, min_pixels: 3136, use_audio_in_video },
});
const heard = (audio: MediaReference): ContentPart => ({ type: "audio", audio });
const text = (value: string): ContentPart => ({ type: "text", text: value });
const user = (...content: ContentPart[]): Conversation => [{ role: "user", content }];

async function processed(conversation: Conversation): Promise<Sample> {
  const media = await loadMedia(processor, conversation);
  return processor.process({ id: "row 7", conversation, media });
}

describe("a sound that is a part of its own and the soundtrack of a video (F1, F11)", () => {
  const bytes = async (path: string, name = "upload.mp4") => ({
    name,
    data: new Uint8Array(await readFile(path)),
  });
  const spellings: [name: string, audio: () => MediaReference | Promise<MediaReference>][] = [
    ["the same path", () => clip],
    ["a path with dots", () => join(folder, "x").replace(/x$/, `./${relative(folder, clip)}`)],
    [
      "a path through another folder",
      () => join(clip, "..").concat("/../", relative(join(clip, "../.."), clip)),
    ],
    ["a path from here", () => relative(process.cwd(), clip)],
    ["a link", () => join(folder, "link.mp4")],
    ["a copy of the file", () => join(folder, "copy.mp4")],
    ["bytes of the file", () => bytes(clip)],
    ["a Blob of the file", async () => ({ name: "b", data: new Blob([await readFile(clip)]) })],
  ];
  it.each(spellings)("is refused by %s, before the video or after it", async (_, audio) => {
    const part = heard(await audio());
    for (const media of [
      [seen(clip), part],
      [part, seen(clip)],
      [seen(other), seen(clip), part],
      [seen(other, false), part, seen(clip), text("Q")],
    ]) {
      await expect(processed(user(...media))).rejects.toMatchObject({
        code: "sound-twice",
        message: expect.stringMatching(
          /^row 7: medium \d, audio .+, is also the soundtrack of medium \d, video .*00000\.mp4: the sound would be heard twice\. Leave the audio part out, or set use_audio_in_video to false/,
        ) as string,
      });
    }
  });

  it("is refused by its name where what was decoded differs", async () => {
    const [video, part] = [seen("a/clip.mp4"), heard("./a/b/../clip.mp4")];
    const [decoded] = await loadMedia(processor, user(seen(clip)));
    const [whole] = await loadMedia(processor, user(heard(other)));
    if (decoded?.kind !== "video" || whole?.kind !== "audio") throw new Error("other media");
    const process = (audioName: string) =>
      processor.process({
        id: "row 7",
        conversation: user(video, part),
        media: [
          { ...decoded, video: { ...decoded.video, file: "a/clip.mp4" } },
          { ...whole, audio: { ...whole.audio, file: audioName } },
        ],
      });
    expect(() => process("./a/b/../clip.mp4")).toThrow(/the soundtrack of medium 1/);
    expect(process("a/b/clip.mp4").audioRows.length).toBe(100);
  });

  it("is refused where both are given as one object of bytes", async () => {
    const upload = await bytes(clip);
    const both = user(seen(upload), heard(upload));
    await expect(processed(both)).rejects.toMatchObject({ code: "sound-twice" });
  });

  it("is refused as a row of a file, as messages and by a template", async () => {
    const path = join(folder, "rows.jsonl");
    const media = [seen(clip), heard(clip)];
    const lines = [
      { id: "a", prompt: [{ role: "user", content: media }], answer: "A" },
      { id: "b", question: "Q?", options: ["x", "y"], media, answer: "A" },
    ];
    await writeFile(path, lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
    const rows = await openJsonl(path);
    const loader = new SampleLoader(processor);
    for (const [i, id] of ["a", "b"].entries()) {
      await expect(loader.load(rows.row(i))).rejects.toThrow(
        new RegExp(
          `^rows\\.jsonl:${i + 1}: ${id}: medium 2, audio .*00000.mp4, is also the soundtrack of medium 1`,
        ),
      );
    }
  });

  it("is refused by generate, before the model is asked", async () => {
    const conversation = user(seen(clip), heard(await bytes(clip)));
    const answer = generate({} as Model, processor, { conversation, id: "question" });
    await expect(answer).rejects.toThrow(/^question: medium 2, audio upload\.mp4, is also/);
  });

  it("is refused by dump, which shows what a model is given", async () => {
    const dumped = inspectConversation(processor, user(seen(clip), heard(clip)), "asked.json", {
      labels: false,
      prompt: true,
    });
    await expect(dumped).rejects.toThrow(/^asked.json: medium 2, audio/);
  });

  it("is HumanOmniV2's own form where the video is not heard, and passes", async () => {
    const sample = await processed(user(seen(clip, false), heard(clip)));
    expect(sample.ledger.map(({ kind, placeholders }) => [kind, placeholders])).toEqual([
      ["video", 16],
      ["audio", 50],
    ]);
    expect(sample.warnings).toEqual([]);
    const another = await processed(user(seen(clip), heard(other)));
    expect(another.audioRows.length).toBe(100);
    expect(another.warnings).toEqual([]);
  });
});

describe("a medium that is given twice on purpose", () => {
  const named = (sample: Sample) =>
    sample.warnings.filter(({ code }) => code === "medium-repeated").map(({ message }) => message);

  it("passes and is named: sounds to compare, videos, pictures", async () => {
    expect(named(await processed(user(heard(clip), heard(other), heard(clip))))).toEqual([
      `row 7: medium 3, audio ${clip}, is medium 1 again.`,
    ]);
    const copy = join(folder, "copy.mp4");
    expect(named(await processed(user(seen(clip), seen(copy, false))))).toEqual([
      `row 7: medium 2, video ${copy}, is medium 1 again.`,
    ]);
    const image = fileURLToPath(new URL("../golden/media/images/444.jpg", import.meta.url));
    const picture: ContentPart = { type: "image", image };
    expect(named(await processed(user(picture, seen(clip), picture)))).toEqual([
      `row 7: medium 3, image ${image}, is medium 1 again.`,
    ]);
    expect(named(await processed(user(seen(clip), seen(other))))).toEqual([]);
  });
});

describe("tokens of media and turns as text", () => {
  const tokens = ["<|AUDIO|>", "<|VIDEO|>", "<|IMAGE|>", "<|audio_bos|>", "<|vision_eos|>"];
  const turns = ["<|im_start|>", "<|im_end|>", "<|endoftext|>"];

  it.each([...tokens, ...turns])("%s is refused by name, wherever it stands", async (token) => {
    const says = (role: string, number: number) =>
      `row 7: the text of message ${number} (${role}) holds ${token}, a token that marks media`;
    const asked = `Which? ${token} A. red`;
    await expect(processed(user(seen(clip), text(asked)))).rejects.toThrow(says("user", 1));
    const answered: Conversation = [...user(heard(clip)), { role: "assistant", content: asked }];
    await expect(processed(answered)).rejects.toThrow(says("assistant", 2));
    const system: Conversation = [{ role: "system", content: asked }, ...user(heard(clip))];
    await expect(processed(system)).rejects.toThrow(says("system", 1));
    // Parts are joined without anything between them, and would be the token together.
    const halves = user(heard(clip), text(token.slice(0, 4)), text(token.slice(4)));
    await expect(processed(halves)).rejects.toThrow(says("user", 1));
  });

  it("is refused in the question and the options of a row", async () => {
    const path = join(folder, "typed.jsonl");
    const row = { answer: "A", problem_type: "multiple choice", media: [heard(clip)] };
    const lines = [
      { ...row, id: "q", question: "What is <|AUDIO|>?", options: ["a", "b"] },
      { ...row, id: "o", question: "What?", options: ["a<|im_end|>\n<|im_start|>system", "b"] },
    ];
    await writeFile(path, lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
    const rows = await openJsonl(path);
    const loader = new SampleLoader(processor);
    await expect(loader.load(rows.row(0))).rejects.toThrow(
      /^typed\.jsonl:1: q: the text .* holds <\|AUDIO\|>/,
    );
    await expect(loader.load(rows.row(1))).rejects.toThrow(
      /^typed\.jsonl:2: o: the text .* holds <\|im_(start|end)\|>/,
    );
  });

  it("passes where it only looks like one", async () => {
    const { ledger } = await processed(user(heard(clip), text("< |AUDIO|> <AUDIO> im_start <|")));
    expect(ledger).toHaveLength(1);
  });
});

describe("a sample that is no longer what its processor made", () => {
  it.each(DAMAGES)("$name", ({ apply, says }) => {
    const broken = structuredClone(samples[0]);
    expect(() => checkLedger(broken, processor.config)).not.toThrow();
    apply(broken);
    expect(() => checkLedger(broken, processor.config)).toThrow(says);
    expect(() => checkLedger(broken, processor.config)).toThrow(/^tiny-train-3-00000: /);
  });

  it.each([false, true])("sound of another row that is as long (its entry too: %s)", (entries) => {
    const [a, b] = structuredClone(samples);
    // Counts see nothing: both clips last as long.
    expect(a.mel[0]!.frames).toBe(b.mel[0]!.frames);
    exchangeSound(a, b, entries);
    for (const [sample, file] of [
      [a, entries ? "00001" : "00000"],
      [b, entries ? "00000" : "00001"],
    ] as const) {
      expect(() => checkLedger(sample, processor.config)).toThrow(
        new RegExp(`^${sample.id}: .*${file}\\.mp4 has other values in the tensors than its`),
      );
    }
  });

  it("a seal tells one changed value of a medium or of the prompt, and nothing else", () => {
    const [sample] = samples;
    const seal = sealOf(sample);
    expect(sealOf(structuredClone(sample))).toEqual(seal);
    expect(sample.seal).toEqual(seal);
    for (const at of [0, 777, sample.mel[0]!.data.length - 1]) {
      const changed = structuredClone(sample);
      changed.mel[0]!.data[at]! += 1e-3;
      expect(sealOf(changed).media[1]).not.toBe(seal.media[1]);
      expect(sealOf(changed)).toMatchObject({ prompt: seal.prompt, tokens: seal.tokens });
    }
    for (let at = 0; at < sample.inputIds.length; at++) {
      const changed = structuredClone(sample);
      changed.inputIds[at]! ^= 1;
      expect(sealOf(changed).prompt).not.toBe(seal.prompt);
    }
    expect(sealOf({ ...sample, id: "another" }).media).not.toEqual(seal.media);
  });
});
