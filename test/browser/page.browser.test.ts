import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { build } from "vite";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { inlineShaders } from "../../scripts/build.ts";
import { ROOT } from "../../src/cli/package.ts";
import { clipFileName } from "../../src/datasets/tiny/dataset.ts";
import { prepareClips } from "../../src/datasets/tiny/node.ts";
import { haveBrowser, openBrowser, serve } from "../helpers/browser.ts";
import * as subject from "./subject.ts";

const clipFile = (name: string): string => join(ROOT, "test/golden/media/clips", name);

type Call<Name extends keyof typeof subject> = (typeof subject)[Name] extends (
  ...args: infer Args
) => Promise<infer Result>
  ? { args: Args; result: Result }
  : never;

describe.skipIf(!haveBrowser())("a page does what Node does", () => {
  let work = "";
  let clips = "";
  let clip = "";
  let server: Awaited<ReturnType<typeof serve>>;
  let browser: Browser;
  let page: Page;
  const checkpoint = () => join(work, "checkpoint");

  beforeAll(async () => {
    work = mkdtempSync(join(tmpdir(), "aubade-page-"));
    const script = join(ROOT, "scripts/make-tiny-checkpoint.ts");
    execFileSync(process.execPath, ["--import", "tsx", script, checkpoint(), "7"], { cwd: ROOT });
    clips = join(work, "clips");
    const folder = await prepareClips({ folder: clips, seed: subject.CLIP_SEED, indices: [0, 1] });
    await prepareClips({ folder: clips, seed: 2, indices: [0, 1] });
    clip = join(folder, clipFileName(0));
    await build({
      ...{ root: ROOT, configFile: false, publicDir: false, logLevel: "error" },
      plugins: [inlineShaders()],
      build: {
        ...{ target: "es2023", outDir: join(work, "page"), minify: false },
        lib: { entry: join(ROOT, "test/browser/page.ts"), formats: ["es"], fileName: () => "p.js" },
        rolldownOptions: { output: { codeSplitting: false } },
      },
    });
    writeFileSync(
      join(work, "page/index.html"),
      '<!doctype html><input id="upload" type="file"><script type="module" src="p.js"></script>',
    );
    server = await serve({ "": join(work, "page"), checkpoint: checkpoint(), clips });
    browser = await openBrowser({ webgpu: true });
    page = await browser.newPage();
    page.on("pageerror", (error) => console.log(`the page says: ${error.message}`));
    await page.goto(server.url);
    await page.waitForFunction(() => "subject" in globalThis);
  });
  afterAll(async () => {
    await browser?.close();
    server?.close();
    if (work !== "") rmSync(work, { recursive: true, force: true });
  });

  /** Calls a function of the subject in the page; the file comes by way of the upload field. */
  async function inPage<Name extends "planes" | "pictures" | "waveform">(name: Name, file: string) {
    await page.setInputFiles("#upload", file);
    return page.evaluate(
      (called) =>
        (globalThis as any).subject[called]((globalThis as any).uploaded()) as Promise<any>,
      name,
    ) as Promise<Call<Name>["result"]>;
  }
  const bytes = (file: string) => ({ name: basename(file), data: readFileSync(file) });

  const videos = ["24.webm", "turned.mp4", "film.mp4"].map(clipFile);
  const sounds = ["voice.flac", "film.mp4"].map(clipFile);
  const lossySounds = ["16000.mp3", "aac.m4a", "he.m4a", "opus.webm", "vorbis.ogg"].map(clipFile);

  it("gets the same planes from the decoder", async () => {
    for (const file of [clip, ...videos]) {
      const here = await subject.planes(bytes(file));
      expect(here.hashes.length, file).toBeGreaterThan(2);
      expect(await inPage("planes", file), file).toEqual(here);
    }
  });

  it("makes the same RGB frames", async () => {
    for (const file of [clip, ...videos, clipFile("width-7.webm")]) {
      const here = await subject.pictures(bytes(file));
      expect(await inPage("pictures", file), file).toEqual(here);
    }
  });

  it("hears the same waveform", async () => {
    for (const file of [clip, ...sounds]) {
      const here = await subject.waveform(bytes(file));
      expect(await inPage("waveform", file), file).toEqual(here);
    }
    // Decoders of lossy sound round differently: some of the page's are of whole numbers.
    for (const file of lossySounds) {
      const here = await subject.waveform(bytes(file));
      const there = await inPage("waveform", file);
      expect(there.samples, file).toBe(here.samples);
      there.head.forEach((v, i) => expect(Math.abs(v - here.head[i]!), file).toBeLessThan(1e-4));
    }
  });

  it("says the same greedy tokens, streamed on the way", async () => {
    const here = await subject.greedy(checkpoint(), bytes(clip));
    await page.setInputFiles("#upload", clip);
    const there = (await page.evaluate(
      (folder) => (globalThis as any).subject.greedy(folder, (globalThis as any).uploaded()),
      `${server.url}/checkpoint`,
    )) as typeof here;
    const close = here.margins.findIndex((margin) => margin < 1e-3);
    const until = close < 0 ? here.ids.length : close;
    console.log(
      close < 0
        ? `all margins of the top two are at least 1e-3 (least ${Math.min(...here.margins)})`
        : `the margin of the top two is ${here.margins[close]} at token ${close}`,
    );
    expect(until).toBeGreaterThan(0);
    expect(there.ids.slice(0, until)).toEqual(here.ids.slice(0, until));
    expect(there.streamed.length).toBeGreaterThan(2);
    expect(there.text.startsWith(there.streamed[0]!)).toBe(true);
    here.logProbs.slice(0, until).forEach((value, i) => {
      expect(Math.abs(value - there.logProbs[i]!)).toBeLessThan(1e-4);
    });
  });

  it("takes the same GRPO steps on the same rollout: losses within 1e-4", async () => {
    const folder = await prepareClips({ folder: clips, seed: subject.CLIP_SEED, indices: [0, 1] });
    const here = await subject.grpoStep(checkpoint(), folder);
    const there = (await page.evaluate(
      ([model, data, rollout]) => (globalThis as any).subject.grpoStep(model, data, rollout),
      [
        `${server.url}/checkpoint`,
        `${server.url}/clips/${basename(folder)}`,
        here.rollout,
      ] as const,
    )) as typeof here;
    const relative = (name: string) => Math.abs(there.metrics[name]! / here.metrics[name]! - 1);
    console.log(
      `loss ${here.metrics["loss"]} in Node, ${there.metrics["loss"]} in the page ` +
        `(relative ${relative("loss").toExponential(1)}); gradient norm ` +
        `${relative("grad_norm").toExponential(1)}, entropy ${relative("entropy").toExponential(1)}`,
    );
    expect(Math.abs(here.metrics["loss"]!)).toBeGreaterThan(1e-3);
    for (const name of ["loss", "grad_norm", "entropy"]) {
      expect(relative(name), name).toBeLessThan(1e-4);
    }
  });

  it("trains by the public function", async () => {
    const there = (await page.evaluate(
      ([model, data]) => (globalThis as any).subject.trainOnce(model, data),
      [`${server.url}/checkpoint`, `${server.url}/clips`] as const,
    )) as Call<"trainOnce">["result"];
    const here = await subject.trainOnce(checkpoint(), clips);
    expect(there.steps).toBe(1);
    expect(there.kinds).toEqual(expect.arrayContaining(["device", "evaluation", "step", "end"]));
    expect(there.trained).toBeGreaterThan(10);
    expect(there.metrics["rewards/id-sum/mean"]).toBeGreaterThan(0);
    expect(there.before).toEqual(here.before);
    const mean = "rewards/id-sum/mean";
    console.log(`mean reward ${here.metrics[mean]} in Node, ${there.metrics[mean]} in the page`);
  });
});
