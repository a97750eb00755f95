import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { build } from "vite";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { demoAssets } from "../../scripts/demo-assets.ts";
import { ROOT } from "../../src/cli/package.ts";
import { clipFileName } from "../../src/datasets/tiny/dataset.ts";
import { prepareClips } from "../../src/datasets/tiny/node.ts";
import { haveBrowser, openBrowser, serve } from "../helpers/browser.ts";

/** Tells whether some of an element is in the window. */
function isInView(found: Element): boolean {
  const { top, bottom } = found.getBoundingClientRect();
  return bottom > 0 && top < innerHeight;
}

describe("the files of the demo page", () => {
  it("are of a whole model: adapters and other folders are refused with what to do", () => {
    const folder = mkdtempSync(join(tmpdir(), "aubade-adapters-"));
    expect(() => demoAssets({ checkpoint: folder })).toThrow(
      /holds no model: set AUBADE_DEMO_MODEL/,
    );
    writeFileSync(join(folder, "adapter_config.json"), "{}");
    expect(() => demoAssets({ checkpoint: folder })).toThrow(
      /holds adapters.*export .* --merge --out/,
    );
    rmSync(folder, { recursive: true });
  });
});

describe.skipIf(!haveBrowser())("the demo page", () => {
  let work = "";
  let clip = "";
  let server: Awaited<ReturnType<typeof serve>>;
  let browser: Browser;

  beforeAll(async () => {
    work = mkdtempSync(join(tmpdir(), "aubade-demo-"));
    const checkpoint = join(work, "checkpoint");
    const script = join(ROOT, "scripts/make-tiny-checkpoint.ts");
    execFileSync(process.execPath, ["--import", "tsx", script, checkpoint, "7"], { cwd: ROOT });
    clip = join(
      await prepareClips({ folder: join(work, "clips"), seed: 2, indices: [5] }),
      clipFileName(5),
    );
    process.env["AUBADE_DEMO_MODEL"] = checkpoint;
    await build({
      configFile: join(ROOT, "vite.config.ts"),
      logLevel: "error",
      build: { outDir: join(work, "site"), emptyOutDir: true },
    });
    server = await serve({ "": join(work, "site") });
    browser = await openBrowser({ webgpu: true });
  });
  afterAll(async () => {
    await browser?.close();
    server?.close();
    if (work !== "") rmSync(work, { recursive: true, force: true });
  });

  async function open(prepare?: (page: Page) => Promise<unknown>, where = browser): Promise<Page> {
    const page = await where.newPage();
    await prepare?.(page);
    await page.goto(server.url);
    return page;
  }
  const askable = (page: Page) =>
    page.waitForFunction(() => !document.querySelector<HTMLButtonElement>("#ask")!.disabled);
  const problem = async (page: Page) => {
    const alert = page.getByRole("alert");
    await alert.waitFor();
    return alert.innerText();
  };

  it("answers about an uploaded clip, word by word, then samples", async () => {
    const page = await open();
    await askable(page);
    expect(await page.locator("#adapter").innerText()).toMatch(/swiftshader.*tier T0.*software/i);
    await page.getByLabel("or a file of your own (or drop it anywhere)").setInputFiles(clip);
    await page.getByRole("textbox", { name: "Question" }).fill("Which sound is heard second?");
    for (const [letter, word] of Object.entries({ A: "horn", B: "bell", C: "hiss", D: "buzz" })) {
      await page.getByLabel(letter, { exact: true }).fill(word);
    }
    await page.getByLabel("and sample").selectOption("4");
    // Notes every text that the answer has on its way.
    await page.evaluate(() => {
      const seen: string[] = [];
      Object.assign(globalThis, { seen });
      const greedy = document.querySelector("#greedy")!;
      new MutationObserver(() => seen.push(greedy.textContent ?? "")).observe(greedy, {
        childList: true,
      });
    });
    await page.getByRole("textbox", { name: "Question" }).press("Enter");
    await page.getByText(/tokens in all/).waitFor();
    const seen = await page.evaluate(() => (globalThis as any).seen as string[]);
    const grown = seen.filter((text) => text !== "");
    expect(new Set(grown).size).toBeGreaterThan(2);
    expect(grown.every((text) => grown.at(-1)!.startsWith(text))).toBe(true);
    expect(await page.locator("#sampled li").count()).toBe(4);
    expect(await page.locator("#model").innerText()).toMatch(
      /^aubade-demo-\w+\/checkpoint: Qwen2\.5/,
    );
    // Nobody knows the answer to a question of one's own.
    expect(await page.locator("#sampled-title").innerText()).toBe(
      "Sampled: 4 draws at temperature 1.",
    );
    expect(await page.locator("#answers").evaluate(isInView)).toBe(true);
    expect(await page.locator(".verdict").count()).toBe(0);
    expect(await page.getByRole("status").innerText()).toMatch(/^Done/);
    await page.close();
  });

  it("judges answers about a sample, and stops when asked", async () => {
    const page = await open();
    await askable(page);
    await page.getByRole("radio", { name: "Clip 2" }).check();
    await page.getByRole("radio", { name: /sound/ }).first().check();
    expect(await page.getByRole("textbox", { name: "Question" }).inputValue()).toMatch(
      /^Which sound/,
    );
    await page.getByRole("button", { name: "Ask" }).click();
    await page.getByText(/tokens in all/).waitFor();
    expect(await page.locator(".verdict").count()).toBe(9);
    await page.getByRole("button", { name: "Ask" }).click();
    await page.getByRole("button", { name: "Stop" }).click();
    await askable(page);
    expect(await page.getByRole("status").innerText()).toMatch(/^(Stopped|Done)/);
    await page.close();
  });

  it("says that a file is no clip", async () => {
    const page = await open();
    await askable(page);
    const upload = page.getByLabel("or a file of your own (or drop it anywhere)");
    await upload.setInputFiles({ name: "a.mp4", mimeType: "video/mp4", buffer: Buffer.alloc(99) });
    await page.getByRole("button", { name: "Ask" }).click();
    expect(await problem(page)).toMatch(/cannot be read[^]*a\.mp4/);
    expect(await page.getByRole("alert").evaluate(isInView)).toBe(true);
    expect(await page.getByRole("status").innerText()).toMatch(
      /^No answer: The file cannot be read/,
    );
    await askable(page);
    expect(await page.locator("#answers").isVisible()).toBe(false);
    await page.close();
  });

  it("says that the weights are not there", async () => {
    const page = await open((opened) =>
      opened.route(/model\.safetensors/, (route) => route.fulfill({ status: 404 })),
    );
    expect(await problem(page)).toMatch(/trained weights are not here[^]*model\.safetensors/);
    await page.close();
  });

  it("says that WebCodecs is missing", async () => {
    const page = await open((opened) =>
      opened.addInitScript(() => Reflect.deleteProperty(globalThis, "VideoDecoder")),
    );
    expect(await problem(page)).toMatch(/cannot decode clips[^]*VideoDecoder/);
    await page.close();
  });

  it("says that the browser has no WebGPU", async () => {
    const page = await open((opened) =>
      opened.route(/worker-.*\.js/, async (route) => {
        const response = await route.fetch();
        const without = "Reflect.deleteProperty(WorkerNavigator.prototype, 'gpu');";
        await route.fulfill({ response, body: `${without}${await response.text()}` });
      }),
    );
    expect(await problem(page)).toMatch(/has no WebGPU[^]*Chrome/);
    expect(await page.getByRole("button", { name: "Ask" }).isDisabled()).toBe(true);
    await page.close();
  });

  it("says that no adapter is there", async () => {
    const plain = await openBrowser({ webgpu: false });
    const page = await open(undefined, plain);
    expect(await problem(page)).toMatch(/no adapter is|has no WebGPU/);
    expect(await page.getByRole("button", { name: "Ask" }).isDisabled()).toBe(true);
    await plain.close();
  });
});
