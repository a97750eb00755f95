import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, inject, it, vi } from "vitest";
import type { RunEvents } from "../../src/core/run-events.ts";
import type { HubOptions } from "../../src/io/hub/options.ts";
import { loadModel } from "../../src/model/load.ts";
import { Processor } from "../../src/model/processor.ts";
import { evaluate } from "../../src/run/evaluate.ts";
import { train } from "../../src/run/train.ts";
import { useDevice } from "../helpers/device.ts";
import { type HubServer, startHub } from "../helpers/hub-server.ts";
import { recorded, TinyWorkplace } from "../helpers/tiny-run.ts";

const NAME = "org/tiny";
const COMMIT = "0123456789abcdef0123456789abcdef01234567";

describe("a model that is named as on the Hub", () => {
  const device = useDevice();
  const place = new TinyWorkplace();
  const cache = mkdtempSync(join(tmpdir(), "aubade-hub-model-"));
  let hub: HubServer;

  async function filesOf(folder: string): Promise<HubServer["models"][number]["files"]> {
    const files: HubServer["models"][number]["files"] = {};
    for (const name of await readdir(folder)) {
      const lfs = name.endsWith(".safetensors");
      files[name] = { content: readFileSync(join(folder, name)), lfs };
    }
    return files;
  }

  beforeAll(async () => {
    await place.make();
    const files = await filesOf(place.model);
    hub = await startHub([{ name: NAME, commit: COMMIT, branches: { main: COMMIT }, files }]);
    for (const name of Object.keys(process.env)) if (/^HF_|^HUGG/.test(name)) vi.stubEnv(name, "");
    vi.stubEnv("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1");
    vi.stubEnv("HF_ENDPOINT", hub.endpoint);
    vi.stubEnv("HF_HUB_CACHE", join(cache, "run"));
  });
  afterEach(() => void (hub.requests.length = 0));
  afterAll(async () => {
    vi.unstubAllEnvs();
    await hub.close();
    await place.remove();
    rmSync(cache, { recursive: true });
  });

  const weightDownloads = () =>
    hub.downloads().filter(({ host, range }) => host === "cdn" && !range?.startsWith("bytes=0-0"));

  it("is downloaded once for the model and its processor, and loads in either storage", async () => {
    const options: HubOptions = { cacheFolder: join(cache, "library") };
    const model = await loadModel(device(), NAME, { hub: options, storage: "f16s" });
    const processor = await Processor.load(NAME, options);
    expect(processor.tokenizer.vocabSize).toBeGreaterThan(300);
    expect(weightDownloads()).toHaveLength(1);
    const types = model.weights.distinct.map(({ value }) => value.type);
    expect(new Set(types)).toEqual(new Set(["f16s", "f32"]));
    expect(model.weights.inexact).toBeGreaterThan(0);
    model.weights.destroy();
    const again = await loadModel(device(), NAME, { hub: { ...options, offline: true } });
    expect(again.weights.inexact).toBe(0);
    again.weights.destroy();
    expect(weightDownloads()).toHaveLength(1);
  });

  it("trains: the run reports the download and what was loaded; adapters name the Hub's model", async () => {
    const { onEvent, list } = recorded("progress", "model");
    const config = place.config({
      model: { path: NAME, revision: COMMIT, storage: "f16s" },
      train: { lora: { r: 2 }, max_steps: 1, save_steps: 1 },
      eval: { questions: 1 },
      device: { tier: inject("tier").toUpperCase() },
    });
    const runFolder = place.path("run");
    await train(config, { onEvent, runFolder });
    const seen = (what: string) =>
      list
        .map(({ data }) => data as RunEvents["progress"])
        .filter((progress) => progress.what === what);
    const bytes = readFileSync(join(place.model, "model.safetensors")).length;
    expect(seen("downloading").at(-1)!.done).toBeGreaterThan(bytes);
    expect(seen("downloading").at(-1)).toMatchObject({
      unit: "B",
      done: seen("downloading").at(-1)!.total,
    });
    expect(seen("loading")[0]).toMatchObject({ done: 0, unit: "B" });
    const { done, total } = seen("loading").at(-1)!;
    expect(done).toBe(total);
    expect(list.find(({ kind }) => kind === "model")!.data).toMatchObject({ storage: "f16s" });
    const text = await readFile(join(runFolder, "model", "adapter_config.json"), "utf8");
    expect(JSON.parse(text)).toMatchObject({ base_model_name_or_path: NAME, revision: COMMIT });

    // The adapters find their base in the cache, and can be published without its files.
    const files = await filesOf(join(runFolder, "model"));
    hub.models.push({
      ...{ name: "org/adapter", commit: COMMIT, branches: { main: COMMIT } },
      files: Object.fromEntries(
        Object.entries(files).filter(([name]) => name.startsWith("adapter")),
      ),
    });
    const model = await loadModel(device(), "org/adapter", { storage: "f16s" });
    const other = await loadModel(device(), NAME, { adapter: "org/adapter" });
    expect(model.weights.adapters.size).toBeGreaterThan(0);
    expect([...other.weights.adapters.keys()]).toEqual([...model.weights.adapters.keys()]);
    for (const { weights } of [model, other]) weights.destroy();
    expect((await Processor.load("org/adapter")).padId).toBeGreaterThan(0);
  });

  it("is evaluated", async () => {
    const { onEvent, list } = recorded("model");
    const config = place.config({
      model: { path: NAME },
      eval: { questions: 2 },
      device: { tier: inject("tier").toUpperCase() },
    });
    const { benchmarks } = await evaluate(config, { onEvent });
    expect(benchmarks["tiny"]!.questions).toBe(2);
    expect(list).toHaveLength(1);
  });
});
