import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { build } from "vite";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { loadImage } from "../../src/media/load.ts";
import { haveBrowser, openBrowser, serve } from "../helpers/browser.ts";

const PICTURES = "test/golden/media/images";

describe.skipIf(!haveBrowser())("picture files in a page", () => {
  let work = "";
  let server: Awaited<ReturnType<typeof serve>>;
  let browser: Browser;
  let page: Page;

  beforeAll(async () => {
    work = mkdtempSync(join(tmpdir(), "aubade-pictures-"));
    await build({
      ...{ configFile: false, publicDir: false, logLevel: "error" },
      build: {
        ...{ target: "es2023", outDir: work, minify: false },
        lib: { entry: "test/browser/picture-page.ts", formats: ["es"], fileName: () => "p.js" },
        rolldownOptions: { output: { codeSplitting: false } },
      },
    });
    writeFileSync(join(work, "index.html"), '<script type="module" src="p.js"></script>');
    writeFileSync(join(work, "bad.jpg"), "\xff\xd8\xffno picture", "latin1");
    server = await serve({ "": work, pictures: PICTURES });
    browser = await openBrowser({ webgpu: false });
    page = await browser.newPage();
    await page.goto(server.url);
    await page.waitForFunction(() => "picture" in globalThis);
  });
  afterAll(async () => {
    await browser?.close();
    server?.close();
    if (work !== "") rmSync(work, { recursive: true, force: true });
  });

  const inPage = (url: string) =>
    page.evaluate(
      (of) =>
        (globalThis as any).picture(of) as Promise<{ size: number[]; rgb: number[] } | string>,
      url,
    );

  it("are the same RGB as in Node", async () => {
    const files = readdirSync(PICTURES).filter((name) => !/^grey-16|tiff$/.test(name));
    expect(files.length).toBeGreaterThan(30);
    const worst: Record<string, number | string> = {};
    for (const file of files) {
      const { width, height, rgb } = await loadImage(join(PICTURES, file));
      const there = await inPage(`pictures/${file}`);
      if (typeof there === "string") worst[file] = there;
      else {
        expect(there.size, file).toEqual([width, height]);
        const most = rgb.reduce((most, v, i) => Math.max(most, Math.abs(v - there.rgb[i]!)), 0);
        if (most > 0) worst[file] = most;
      }
    }
    // Chromium turns ink to light with another rounding than Pillow, and enlarges the halved colours
    // of AVIF in another way than libheif (docs/media.md); all else is equal.
    const avif = { "420.avif": 8, "444.avif": 1, "alpha.avif": 20 };
    expect(worst).toEqual({ "cmyk.jpg": 1, ...avif });
  });

  it("in TIFF are refused by that name: no browser has a decoder", async () => {
    for (const file of readdirSync(PICTURES).filter((name) => name.endsWith(".tiff"))) {
      expect(await inPage(`pictures/${file}`), file).toMatch(/^media-/);
    }
  });

  it("fail by the same names", async () => {
    expect(await inPage("bad.jpg")).toBe("media-corrupt");
    expect(await inPage("gone.jpg")).toBe("media-missing");
    expect(await inPage("index.html")).toBe("media-unreadable");
    expect(await inPage("pictures/grey-16.png")).toBe("media-pixel-format");
  });
});
