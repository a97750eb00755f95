import { writeFile } from "node:fs/promises";
import { afterAll, beforeAll, expect, inject, it } from "vitest";
import { evaluate } from "../../src/run/evaluate.ts";
import { recorded, TinyWorkplace } from "../helpers/tiny-run.ts";

const place = new TinyWorkplace();
beforeAll(() => place.make());
afterAll(() => place.remove());

/** Four rows: one of which the sound is missing, one that the rule leaves out. */
const MODULE = `
const rows = ["one", "two", "three"].map((word) => ({ id: word, prompt: word, answer: "A" }));
const lost = {
  id: "lost",
  prompt: [{ role: "user", content: [{ type: "audio", audio: "lost.wav" }, { type: "text", text: "x" }] }],
  answer: "A",
};
export default {
  open: () => [...rows, lost],
  scorer: { score: () => ({ overall: 1 }), categories: (row) => [row.id === "one" ? "first" : "other"] },
  official: {
    name: "their-rule",
    score(text, row) {
      if (text === undefined) return 0;
      return row.id === "two" ? null : 1;
    },
  },
};`;

it("tells the authors' rule beside the score, with its own denominator", async () => {
  const module = place.path("theirs.mjs");
  await writeFile(module, MODULE);
  const config = place.config({
    device: { tier: inject("tier").toUpperCase() },
    eval: { name: "module", module, as: "theirs", controls: ["text_only"] },
  });
  const { onEvent, list } = recorded("answer");
  const { benchmarks } = await evaluate(config, { onEvent });
  const { questions, failed, scores, controls } = benchmarks["theirs"]!;
  // As text alone no question lacks its sound.
  expect(controls.text_only).toMatchObject({ overall: 1, "their-rule": 1 });
  expect([questions, failed]).toEqual([4, 1]);
  // Ours: of all four; theirs: the two that it calls right, of the three that it counts.
  expect(scores).toMatchObject({ overall: 3 / 4, first: 1, other: 2 / 3 });
  expect(scores["their-rule"]).toBeCloseTo(2 / 3, 12);
  expect(scores["their-rule_counted"]).toBe(3 / 4);
  const lost = list.find(({ data }) => (data as { failed?: boolean }).failed === true);
  expect(lost?.data).toMatchObject({ sample: "lost", text: "", correct: false, score: 0 });
  expect(lost?.data).toMatchObject({ categories: ["other"] });
  const told = list.map(({ data }) => data as Record<string, unknown>);
  expect(told.map((data) => [data["sample"], data["their-rule"]])).toEqual([
    ["one", 1],
    ["two", null],
    ["three", 1],
    ["lost", 0],
    ...["one", "two", "three", "lost"].map((id) => [id, id === "two" ? null : 1]),
  ]);
});

it("refuses a rule without a name or a score", async () => {
  const module = place.path("wrong.mjs");
  await writeFile(
    module,
    "export default { open: () => [{ prompt: 'x' }], official: { name: 'x' } };",
  );
  const config = place.config({ eval: { name: "module", module, as: "wrong" } });
  await expect(evaluate(config)).rejects.toThrow(
    /wrong\.mjs has an official rule without name or score/,
  );
});

it("measures pass@k and maj@n of several answers to each question", async () => {
  const config = place.config({
    device: { tier: inject("tier").toUpperCase() },
    eval: {
      ...{ name: "tiny", questions: 3, folder: place.path("clips") },
      decoding: { n: 4, temperature: 1 },
    },
  });
  const { onEvent, list } = recorded("answer");
  const { benchmarks } = await evaluate(config, { onEvent });
  expect(list).toHaveLength(12);
  const { scores } = benchmarks["tiny"]!;
  const answers = list.map(({ data }) => data as { sample: string; text: string; score: number });
  const mean = answers.reduce((sum, { score }) => sum + score, 0) / 12;
  expect(scores.overall).toBeCloseTo(mean, 12);
  expect(scores["pass@1"]).toBeCloseTo(mean, 12);
  expect(scores["pass@4"]).toBeGreaterThanOrEqual(scores["pass@2"]!);
  expect(scores["maj@4"]).toBeLessThanOrEqual(scores["pass@4"]!);
  expect(new Set(answers.map(({ text }) => text)).size).toBeGreaterThan(1);
});
