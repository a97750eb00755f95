import { mkdir, readdir, writeFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { train } from "../../src/run/train.ts";
import { recorded, TinyWorkplace } from "../helpers/tiny-run.ts";

describe("law 2: what does not fit is named with its numbers before any step", () => {
  const place = new TinyWorkplace();
  beforeAll(() => place.make());
  afterAll(() => place.remove());

  it.each([
    [
      "a completion larger than a pass",
      { train: { max_tokens_per_pass: 60 } },
      "prompt-over-budget",
      /^tiny\S*: the prompt has \d+ tokens but 56 are allowed \(\d+ text, .*\)\. Set train\.max_tokens_per_pass to at least \d+ \(prompt \d+ and 4 of a completion\)/,
    ],
    [
      "a completion alone larger than a pass",
      { train: { max_tokens_per_pass: 4 } },
      "completion-over-budget",
      /a completion alone takes 4 tokens of a pass; train\.max_tokens_per_pass is 4\. Lower/,
    ],
    [
      "a completion beyond the context",
      { rollout: { max_completion_length: 4090 } },
      "prompt-over-context",
      /tiny\S* ends at position \d+; with 4090 new tokens it passes the model's 4096\. Set rollout/,
    ],
    [
      "a clip with its answers larger than a pass",
      { task: "sft", train: { max_tokens_per_pass: 120 } },
      "group-over-budget",
      /tiny\S* takes \d+ tokens with what it answers; train\.max_tokens_per_pass is 120\. Set/,
    ],
  ])("%s", async (_name, change, code, message) => {
    const { onEvent, list } = recorded("step", "checkpoint");
    const config = place.config({ ...change, device: { tier: inject("tier").toUpperCase() } });
    const failed = train(config, { onEvent });
    await expect(failed).rejects.toMatchObject({ code });
    await expect(failed).rejects.toThrow(message);
    expect(list).toEqual([]);
  });

  describe("rows of one's own", () => {
    const words = (count: number) => Array(count).fill("what").join(" ");
    /** Four rows, of which the second and the fourth have prompts of over 90 tokens. */
    const lines = [3, 80, 5, 90].map((count, i) => ({
      ...{ id: `row ${i}`, answer: "A" },
      prompt: [{ role: "user", content: words(count) }],
    }));

    async function run(
      data: object,
      more: object[] = [],
      settings: object = {},
      runFolder?: string,
    ) {
      const path = place.path("rows.jsonl");
      await writeFile(path, [...lines, ...more].map((line) => JSON.stringify(line)).join("\n"));
      const recording = recorded("step", "rollout", "rows_over_budget", "rows_unreadable");
      const config = place.config({
        device: { tier: inject("tier").toUpperCase() },
        data: { name: "jsonl", path, ...data },
        eval: null,
        train: {
          ...{ max_tokens_per_pass: 60, max_steps: 3, prompts_per_step: 1 },
          ...{ shuffle_dataset: false },
          ...settings,
        },
      });
      const { onEvent, list } = recording;
      return {
        done: train(config, { onEvent, ...(runFolder !== undefined && { runFolder }) }),
        list,
      };
    }

    it("that do not fit are all named, with their numbers and what would fit", async () => {
      const { done, list } = await run({});
      await expect(done).rejects.toMatchObject({ name: "DataError", code: "rows-over-budget" });
      await expect(done).rejects.toThrow(
        /^2 of 4 rows do not fit\. rows\.jsonl:2: row 1: the prompt has (\d+) tokens but 56 .* rows\.jsonl:4: row 3: the prompt has .*\. Set train\.max_tokens_per_pass to at least \d+ for all of them\. Or set data\.over_budget to leave_out/,
      );
      expect(list).toEqual([]);
    });

    it("that do not fit are left out where that is asked for, told once and counted", async () => {
      const { done, list } = await run({ over_budget: "leave_out" });
      await done;
      const of = (kind: string) => list.filter((event) => event.kind === kind).map((e) => e.data);
      expect(of("rows_over_budget")).toEqual([
        {
          checked: 4,
          rows: ["row 1", "row 3"].map((row) => ({
            row,
            message: expect.stringContaining(`${row}: the prompt has`) as string,
          })),
        },
      ]);
      const counts = of("step").map(
        ({ metrics }) => (metrics as Record<string, number>)["data/rows_over_budget"],
      );
      expect(counts).toEqual([0, 1, 1]);
      expect(of("rollout").map(({ sample }) => sample)).toEqual(
        ["row 0", "row 0", "row 2", "row 2", "row 0", "row 0"], // two completions each
      );
    });

    const broken = (audio: string) => ({
      answer: "A",
      prompt: [{ role: "user", content: [{ type: "audio", audio }] }],
    });

    it("that cannot be read end the run before its first step", async () => {
      const rows = [broken("nowhere.wav")];
      const { done, list } = await run({ over_budget: "leave_out" }, rows, { max_steps: 5 });
      await expect(done).rejects.toThrow(/nowhere\.wav/);
      expect(list).toEqual([]);
    });

    it("that cannot be read are all named with their rows and where was looked", async () => {
      const { done, list } = await run({}, [broken("a.wav"), broken("b.wav")], { max_steps: 6 });
      const at = (name: string) => place.path(name).replaceAll(".", "\\.");
      await expect(done).rejects.toThrow(
        new RegExp(
          `^2 of 6 rows cannot be read\\. rows\\.jsonl:5: ${at("a.wav")} cannot be opened.*` +
            `rows\\.jsonl:6: ${at("b.wav")} cannot be opened.*set data\\.unreadable to leave_out`,
        ),
      );
      expect(list).toEqual([]);
    });

    it.each([true, false])(
      "that cannot be read are left out where that is asked for, checked before: %s",
      async (check_rows) => {
        const short = { max_tokens_per_pass: 400, max_steps: 5, prompts_per_step: 1 };
        const data = { unreadable: "leave_out", check_rows };
        const { done, list } = await run(data, [broken("a.wav")], short);
        await done;
        const steps = list.filter((event) => event.kind === "step").map((event) => event.data);
        const counts = steps.map(
          ({ metrics }) => (metrics as Record<string, number>)["data/rows_unreadable"],
        );
        expect(counts).toEqual([0, 0, 0, 0, 1]);
        expect(list.filter(({ kind }) => kind === "rows_unreadable")).toHaveLength(
          check_rows ? 1 : 0,
        );
      },
    );

    it("that cannot be read at their turn leave a checkpoint of the steps before", async () => {
      const short = { max_tokens_per_pass: 400, max_steps: 5, prompts_per_step: 1, save_steps: 50 };
      const runFolder = place.path("cut");
      await mkdir(runFolder);
      const { done } = await run({ check_rows: false }, [broken("a.wav")], short, runFolder);
      await expect(done).rejects.toMatchObject({ code: "media-missing" });
      const files = await readdir(runFolder);
      expect(files.filter((name) => name.startsWith("checkpoint"))).toEqual(["checkpoint-00004"]);
    });

    it("of which only the first is checked end the run when their turn comes", async () => {
      const { done, list } = await run({ check_rows: false });
      await expect(done).rejects.toMatchObject({ code: "prompt-over-budget" });
      expect(list.filter(({ kind }) => kind === "step")).toHaveLength(1);
    });

    it("that all do not fit are no data set, whatever is asked for", async () => {
      const { done } = await run({ over_budget: "leave_out" }, [], { max_tokens_per_pass: 8 });
      await expect(done).rejects.toThrow(/^4 of 4 rows do not fit/);
    });
  });
});
