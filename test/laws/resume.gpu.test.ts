import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import type { RunConfig } from "../../src/config/schema.ts";
import type { RunEvent } from "../../src/core/run-events.ts";
import { train } from "../../src/run/train.ts";
import { logRows, runFiles } from "../helpers/run-files.ts";
import { TinyWorkplace } from "../helpers/tiny-run.ts";

/** A stage of supervised training on two clips. */

const place = new TinyWorkplace();

/** A moment of a run: the first event of a kind at a step. */
type Moment = [kind: "step" | "evaluation", step: number];

/** Runs that differ in what they keep from step to step. */
const RUNS: Record<
  string,
  { steps: number; stops: Moment[]; change: Record<string, object | string> }
> = {
  "GRPO of the decoder": {
    steps: 6,
    // Before the evaluation of a step, which is then made up for, and just after one.
    stops: [
      ["step", 3],
      ["evaluation", 3],
      ["step", 5],
    ],
    change: {
      train: {
        ...{ logging_steps: 4, num_iterations: 2, eval_steps: 3 },
        ...{ use_adaptive_entropy: true, entropy_target: 10 },
      },
    },
  },
  "GRPO of adapters against their base, towers in f16s": {
    steps: 3,
    stops: [["step", 1]],
    change: { model: { storage: "f16s" }, train: { max_steps: 3, lora: { r: 4 }, beta: 0.1 } },
  },
  "GRPO against a reference on the host that moves": {
    steps: 4,
    stops: [
      ["step", 1],
      ["step", 3],
    ],
    change: {
      train: {
        ...{ max_steps: 4, save_steps: 1, beta: 0.1, ref_model_offload: true },
        ...{ sync_ref_model: true, ref_model_sync_steps: 2 },
      },
    },
  },
  "supervised training with a held-out loss": {
    steps: 4,
    stops: [["step", 2]],
    change: {
      task: "sft",
      train: {
        ...{ tune_mm_vision: true, tune_mm_audio: true, tune_mm_mlp: true, save_steps: 3 },
        ...{ max_steps: 4, eval_steps: 2, learning_rate: 1e-3, lr_scheduler_type: "cosine" },
      },
      data: {
        lessons: {
          ...{ alignment: { steps: 1 }, text_only: { sequences: 4 } },
          teacher: { forget: 0.5 },
        },
      },
      sft: { eval_data: { name: "tiny", seed: 9, clips: 4, folder: place.path("clips") } },
    },
  },
};

describe("law 9: a run that was stopped and resumed equals one that was not", () => {
  beforeAll(() => place.make());
  afterAll(() => place.remove());

  /** A run, stopped at a moment as by Ctrl-C. */
  async function run(config: RunConfig, runFolder: string, stopAt?: Moment, resume = false) {
    const interrupt = new AbortController();
    const onEvent = ({ kind, data }: RunEvent) => {
      if (kind !== "step" && kind !== "evaluation") return;
      if (kind === stopAt?.[0] && data.step === stopAt[1]) interrupt.abort();
    };
    await train(config, { runFolder, resume, onEvent, signal: interrupt.signal });
  }

  it.each(Object.entries(RUNS))("%s", async (name, { steps, stops, change }) => {
    const tier = inject("tier").toUpperCase();
    const config = place.config({ device: { tier }, ...change });
    const id = name.replaceAll(/\W+/g, "-");
    const [whole, parts] = [place.path(`${id}-whole`), place.path(`${id}-parts`)];
    await run(config, whole);
    for (const [i, stop] of [...stops, undefined].entries()) {
      await run(config, parts, stop, i > 0);
      if (stop !== undefined) expect(await readdir(parts)).not.toContain("model");
    }
    const [want, got] = [await runFiles(whole, steps), await runFiles(parts, steps)];
    for (const [file, content] of want) expect(got.get(file), file).toEqual(content);
    expect([...got.keys()]).toEqual([...want.keys()]);
    await expectTraining(config, whole);
  });

  /** A run in which nothing moves would pass for any reason. */
  async function expectTraining(config: RunConfig, folder: string): Promise<void> {
    const rows = await logRows(join(folder, "metrics.jsonl"));
    const norms = rows.map((row) => row["grad_norm"]).filter((norm) => norm !== undefined);
    expect(norms.length).toBeGreaterThan(0);
    expect(Math.max(...(norms as number[]))).toBeGreaterThan(0);
    if (config.task === "sft") return;
    const rollouts = await readFile(join(folder, "rollouts.jsonl"), "utf8");
    const lengths = rollouts
      .trimEnd()
      .split("\n")
      .map((line) => (JSON.parse(line) as { ids: number[] }).ids.length);
    expect(new Set(lengths).size).toBeGreaterThan(1);
  }
});
