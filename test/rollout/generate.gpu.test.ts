import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { ROOT } from "../../src/cli/package.ts";
import { clipFileName } from "../../src/datasets/tiny/dataset.ts";
import { prepareClips } from "../../src/datasets/tiny/node.ts";
import { openDevice, type Device } from "../../src/gpu/device.ts";
import { loadModel } from "../../src/model/load.ts";
import type { Model } from "../../src/model/model.ts";
import { Processor } from "../../src/model/processor.ts";
import { generate, loadMedia } from "../../src/rollout/generate.ts";
import type { Conversation, MediaReference } from "../../src/text/chat-template.ts";

describe("generate", () => {
  let work = "";
  let path = "";
  let device: Device;
  let model: Model;
  let processor: Processor;

  beforeAll(async () => {
    work = mkdtempSync(join(tmpdir(), "aubade-generate-"));
    const script = join(ROOT, "scripts/make-tiny-checkpoint.ts");
    execFileSync(process.execPath, ["--import", "tsx", script, join(work, "model"), "7"], {
      cwd: ROOT,
    });
    path = join(await prepareClips({ folder: work, seed: 2, indices: [0] }), clipFileName(0));
    device = await openDevice({ tier: inject("tier") });
    processor = await Processor.load(join(work, "model"));
    const progress: number[] = [];
    model = await loadModel(device, join(work, "model"), {
      onProgress: (done, total) => progress.push(done / total),
    });
    expect(progress.length).toBeGreaterThan(50);
    expect(progress.at(-1)).toBe(1);
    expect(model.weights.trained).toEqual([]);
  });
  afterAll(() => {
    device?.close();
    if (work !== "") rmSync(work, { recursive: true, force: true });
  });

  const about = (video: MediaReference): Conversation => [
    {
      role: "user",
      content: [
        { type: "video", video, fps: 4, min_pixels: 3136, use_audio_in_video: true },
        { type: "text", text: " Which colour is shown first ?" },
      ],
    },
  ];
  const short = { maxNewTokens: 9 };

  it("takes a path, bytes and a Blob alike, and media that are decoded already", async () => {
    const bytes = readFileSync(path);
    const [fromPath] = await generate(model, processor, { conversation: about(path) }, short);
    expect(fromPath!.ids.length).toBeGreaterThan(1);
    for (const data of [bytes, new Blob([bytes])]) {
      const conversation = about({ name: "clip.mp4", data });
      const [answer] = await generate(model, processor, { conversation }, short);
      expect(answer).toEqual(fromPath);
    }
    const conversation = about("nothing of this name.mp4");
    const media = await loadMedia(processor, about(path));
    const [answer] = await generate(model, processor, { conversation, media }, short);
    expect(answer).toEqual(fromPath);
  });

  it("tells of a medium that is given twice", async () => {
    const heard: string[] = [];
    processor.onWarning = ({ message }) => heard.push(message);
    const [turn] = about(path);
    const [video, text] = turn!.content as [object, object];
    const conversation = [{ role: "user", content: [video, video, text] }] as Conversation;
    await generate(model, processor, { conversation, id: "twice" }, short);
    processor.onWarning = undefined;
    expect(heard).toHaveLength(1);
    expect(heard[0]).toMatch(/^twice: .*mp4/);
  });

  it("streams the text so far, and reads nothing more back when nobody listens", async () => {
    const conversation = about(path);
    const media = await loadMedia(processor, conversation);
    const before = device.counters.readBacks;
    const quiet = await generate(model, processor, { conversation, media }, short);
    const quietReads = device.counters.readBacks - before;
    const seen: string[] = [];
    const heard = await generate(
      model,
      processor,
      { conversation, media },
      { ...short, stepsBetweenLooks: 1, onText: (text) => seen.push(text) },
    );
    expect(heard).toEqual(quiet);
    expect(seen.length).toBeGreaterThan(3);
    expect(seen.every((text) => seen.at(-1)!.startsWith(text))).toBe(true);
    // One look at the end: done flags, lengths, tokens, log-probabilities.
    expect(quietReads).toBe(4);
  });

  it("gives G different answers, the same ones for the same draw", async () => {
    const request = { conversation: about(path), id: "a" };
    const ask = (draw: number) =>
      generate(model, processor, request, { ...short, generations: 4, draw });
    const first = await ask(0);
    expect(first.length).toBe(4);
    expect(new Set(first.map(({ text }) => text)).size).toBeGreaterThan(1);
    expect(await ask(0)).toEqual(first);
    expect(await ask(1)).not.toEqual(first);
  });

  it("takes questions in turn", async () => {
    const conversation = about(path);
    const media = await loadMedia(processor, conversation);
    const ask = (maxNewTokens: number) =>
      generate(model, processor, { conversation, media }, { maxNewTokens });
    const apart = [await ask(5), await ask(9)];
    expect(await Promise.all([ask(5), ask(9)])).toEqual(apart);
  });

  it("ends where it is when aborted", async () => {
    const stop = new AbortController();
    const [answer] = await generate(
      model,
      processor,
      { conversation: about(path) },
      {
        ...{ maxNewTokens: 64, stepsBetweenLooks: 2, signal: stop.signal },
        onText: () => stop.abort(),
      },
    );
    expect(answer!.ids.length).toBeLessThanOrEqual(2);
    expect(answer!.finished).toBe(false);
  });

  it("refuses a prompt that leaves no room", async () => {
    const conversation = [{ role: "user", content: " colour".repeat(4200) }];
    await expect(generate(model, processor, { conversation }, short)).rejects.toMatchObject({
      code: "prompt-over-context",
    });
  });
});
