import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser } from "playwright-core";
import { createServer, type ViteDevServer } from "vite";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { bundle } from "../../scripts/build.ts";
import { ROOT } from "../../src/cli/package.ts";
import { haveBrowser, openBrowser } from "../helpers/browser.ts";

// A project as `npm create vite` makes it, with aubade among its packages. Its server answers with the
// page itself wherever it has no file, such as the chat template that the model lacks.
describe.skipIf(!haveBrowser())("examples/save-from-page in a default Vite project", () => {
  let project = "";
  let server: ViteDevServer;
  let browser: Browser;

  beforeAll(async () => {
    project = mkdtempSync(join(tmpdir(), "aubade-example-"));
    cpSync(join(ROOT, "examples/save-from-page"), project, { recursive: true });
    cpSync(join(ROOT, "assets/tiny"), join(project, "public/model"), { recursive: true });
    const packages = join(project, "node_modules");
    mkdirSync(join(packages, "aubade"), { recursive: true });
    for (const name of readdirSync(join(ROOT, "node_modules"))) {
      if (!name.startsWith("."))
        symlinkSync(join(ROOT, "node_modules", name), join(packages, name));
    }
    cpSync(join(ROOT, "package.json"), join(packages, "aubade/package.json"));
    await bundle("web", join(packages, "aubade/dist/web"));
    server = await createServer({
      ...{ root: project, configFile: false, logLevel: "error" },
      server: { host: "127.0.0.1" },
    });
    await server.listen();
    browser = await openBrowser({ webgpu: true });
  });
  afterAll(async () => {
    await browser?.close();
    await server?.close();
    if (project !== "") rmSync(project, { recursive: true, force: true });
  });

  it("trains a step and saves adapters that PEFT's form describes", async () => {
    const page = await browser.newPage();
    await page.goto(server.resolvedUrls!.local[0]!);
    await page.getByRole("button").click();
    const status = page.getByRole("status");
    await page.waitForFunction(
      () => !/^(|loading|step .*)$/.test(document.querySelector("[role=status]")!.textContent!),
      undefined,
      { timeout: 200_000 },
    );
    expect(await status.innerText()).toBe("saved");
    const links = page.getByRole("link");
    const names = (await links.allInnerTexts()).map((text) => text.split(",")[0]);
    expect(names).toEqual(
      expect.arrayContaining(["adapter_config.json", "adapter_model.safetensors", "export.json"]),
    );
    const bytesOf = (name: string) =>
      page.evaluate(async (wanted) => {
        const list = [...document.querySelectorAll("a")];
        const { href } = list.find(({ download }) => download === wanted)!;
        return Array.from(new Uint8Array(await (await fetch(href)).arrayBuffer()));
      }, name);
    const config = JSON.parse(
      Buffer.from(await bytesOf("adapter_config.json")).toString(),
    ) as Record<string, unknown>;
    expect(config).toMatchObject({ peft_type: "LORA", r: 4, lora_alpha: 32 });
    const bytes = Buffer.from(await bytesOf("adapter_model.safetensors"));
    const length = Number(bytes.readBigUInt64LE(0));
    const header = JSON.parse(bytes.subarray(8, 8 + length).toString()) as Record<
      string,
      { data_offsets: [number, number] }
    >;
    delete header["__metadata__"];
    const ends = Object.values(header).map(({ data_offsets: [, end] }) => end);
    expect(ends.length).toBeGreaterThan(10);
    expect(8 + length + Math.max(...ends)).toBe(bytes.length);
    // A factor B begins at zero: a step moves it.
    const moved = Object.entries(header).filter(
      ([
        name,
        {
          data_offsets: [from, to],
        },
      ]) => {
        return (
          /lora_B/.test(name) && bytes.subarray(8 + length + from, 8 + length + to).some(Boolean)
        );
      },
    );
    expect(moved.length).toBeGreaterThan(10);
  });
});
