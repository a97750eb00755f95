import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import type { RunConfig } from "../../src/config/schema.ts";
import { train } from "../../src/run/train.ts";
import { recorded, TinyWorkplace } from "../helpers/tiny-run.ts";
import { logRows } from "../helpers/run-files.ts";

describe("supervised fine-tuning on rows of one's own", () => {
  const place = new TinyWorkplace();
  beforeAll(async () => {
    await place.make();
    const lines = [5, 20, 9, 14, 3, 11].map((count, i) => ({
      id: `row ${i}`,
      prompt: [{ role: "user", content: Array(count).fill("what").join(" ") }],
      ...(i % 2 === 0
        ? { answer: "A" }
        : { answer: "B", options: ["red", "blue"], note: "second" }),
    }));
    const write = (name: string, rows: object[]) =>
      writeFile(place.path(name), rows.map((row) => JSON.stringify(row)).join("\n"));
    await write("rows.jsonl", lines);
    await write(
      "held-out.jsonl",
      lines.slice(0, 3).map((row, i) => ({ ...row, id: `h ${i}` })),
    );
    await write("wrong.jsonl", [{ id: "no answer", prompt: "what" }, ...lines]);
  });
  afterAll(() => place.remove());

  const config = (change: Record<string, object | string | null> = {}): RunConfig =>
    place.config({
      device: { tier: inject("tier").toUpperCase() },
      task: "sft",
      data: { name: "jsonl", path: place.path("rows.jsonl") },
      eval: null,
      ...change,
      train: {
        ...{ max_steps: null, num_train_epochs: 4, prompts_per_step: 3, save_steps: 0 },
        ...{ tune_mm_vision: false, tune_mm_audio: false, tune_mm_mlp: false },
        ...(change["train"] as object | undefined),
      },
    });

  async function losses(change: Record<string, object | string | null>): Promise<number[]> {
    const { onEvent, list } = recorded("step");
    await train(config(change), { onEvent });
    return list.map(({ data }) => (data as { metrics: { loss: number } }).metrics.loss);
  }

  it("learns the answers, whichever way the step is packed", async () => {
    const whole = await losses({});
    expect(whole).toHaveLength(8);
    expect(whole.at(-1)!).toBeLessThan(0.5 * whole[0]!);
    const packed = await losses({ train: { max_tokens_per_pass: 91 } });
    packed.forEach((loss, step) => {
      // The first step sees the same weights; AdamW spreads what rounding does to later ones.
      const most = step === 0 ? 1e-6 : 1e-4;
      expect(Math.abs(loss / whole[step]! - 1), `step ${step}`).toBeLessThan(most);
    });
  });

  it("takes the loss over the whole conversation where that is asked for", async () => {
    const all = await losses({ sft: { assistant_only_loss: false }, train: { max_steps: 1 } });
    const own = await losses({ train: { max_steps: 1 } });
    expect(all[0]).not.toBeCloseTo(own[0]!, 3);
  });

  it("measures the held-out loss, keeps the best by it, and trains adapters", async () => {
    const folder = place.path("run");
    const validated = config({
      sft: { eval_data: { name: "jsonl", path: place.path("held-out.jsonl") } },
      train: { eval_steps: 2, lora: { r: 4 }, save_steps: 2, learning_rate: 1e-2 },
      output: { keep_best: "eval_loss", greater_is_better: false },
    });
    const result = await train(validated, { runFolder: folder });
    expect(result.exported).not.toBeNull();
    const rows = await logRows(join(folder, "metrics.jsonl"));
    const measured = rows.filter((row) => row["eval_loss"] !== undefined);
    expect(measured.map((row) => row["step"])).toEqual([2, 4, 6, 8]);
    const values = measured.map((row) => row["eval_loss"] as number);
    expect(values.at(-1)!).toBeLessThan(values[0]!);
    const adapter = await readFile(join(folder, "model", "adapter_config.json"), "utf8");
    expect(JSON.parse(adapter)).toMatchObject({ r: 4 });
  });

  it("names a row without an answer before it trains", async () => {
    const { onEvent, list } = recorded("step");
    const wrong = config({ data: { name: "jsonl", path: place.path("wrong.jsonl") } });
    await expect(train(wrong, { onEvent })).rejects.toThrow(
      /wrong\.jsonl:1: sft\.completion wants the field "answer", of which the row has none/,
    );
    expect(list).toEqual([]);
  });

  it("takes rows of a program", async () => {
    const { onEvent, list } = recorded("step");
    const data = [
      {
        messages: [
          { role: "user", content: "what" },
          { role: "assistant", content: "A" },
        ],
      },
      { prompt: "which", answer: "B" },
    ];
    await train(config({ train: { max_steps: 1, prompts_per_step: 2 } }), { data, onEvent });
    expect(list).toHaveLength(1);
  });
});
