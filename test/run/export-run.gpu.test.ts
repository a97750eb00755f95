import { mkdir, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { fromBf16, toBf16 } from "../../src/core/dtype.ts";
import { openCheckpoint } from "../../src/checkpoint/safetensors.ts";
import { train } from "../../src/run/train.ts";
import { allWeights } from "../helpers/grpo-trainer.ts";
import { recorded, TinyWorkplace } from "../helpers/tiny-run.ts";

describe("the end of a run", () => {
  const place = new TinyWorkplace();
  beforeAll(() => place.make());
  afterAll(() => place.remove());

  async function run(name: string, output: object, change: Record<string, object> = {}) {
    const runFolder = place.path(name);
    await mkdir(runFolder);
    const { onEvent, list } = recorded("evaluation");
    const config = place.config({
      ...{ device: { tier: inject("tier").toUpperCase() }, output, eval: { controls: ["muted"] } },
      ...change,
      train: { max_steps: 1, learning_rate: 1e-6, ...change["train"] },
    });
    let weights = new Map<string, Float32Array>();
    const result = await train(config, {
      ...{ onEvent, runFolder },
      onTrained: async (model) => {
        weights = await allWeights(model);
      },
    });
    return { runFolder, result, weights, list };
  }

  it("leaves the model in the asked type, and evaluates what it left", async () => {
    const { runFolder, result, weights, list } = await run("bf16", { export_dtype: "bf16" });
    const { exported } = result;
    const said = JSON.parse(await readFile(join(runFolder, "model/export.json"), "utf8")) as object;
    expect(exported).toEqual(said);
    expect(exported).toMatchObject({ dtype: "bf16", base: place.model, overflow: 0 });
    // At a learning rate of 1e-6 bf16 forgets nearly everything.
    const { changed, lost } = exported!.changes!;
    expect(changed).toBeGreaterThan(1000);
    expect(lost / changed).toBeGreaterThan(0.9);
    expect(list.at(-1)!.data).toMatchObject({ when: "after", control: "muted" });
    const checkpoint = await openCheckpoint(join(runFolder, "checkpoint-00001"));
    const values = await checkpoint.readF32("thinker.model.embed_tokens.weight");
    await checkpoint.close();
    const evaluated = weights.get("model.embed_tokens.weight")!;
    expect(evaluated).toEqual(values.map((value) => fromBf16(toBf16(value))));
  });

  it("leaves adapters as peft writes them, and none where none is wanted", async () => {
    const lora = { train: { lora: { r: 2, use_rslora: true } } };
    const adapters = await run("lora", { export_dtype: "f16" }, lora);
    expect(adapters.result.exported).toMatchObject({ dtype: "f32", changes: null });
    expect(adapters.result.after).not.toBeNull();
    const names = await readdir(join(adapters.runFolder, "model"));
    expect(names).toContain("adapter_model.safetensors");
    expect(names).not.toContain("model.safetensors");
    const none = await run("none", { export_dtype: null });
    expect(none.result.exported).toBeNull();
    expect(none.result.after).not.toBeNull();
    expect(await readdir(none.runFolder)).not.toContain("model");
  });
});
