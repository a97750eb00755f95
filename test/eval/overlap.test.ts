import { expect, it } from "vitest";
import { parseRows } from "../../src/data/forms/parse-rows.ts";
import type { Benchmark } from "../../src/eval/held-out.ts";
import { sharedRows } from "../../src/eval/overlap.ts";

const set = (file: string, rows: object[]) =>
  parseRows(
    rows.map((value, i) => ({ value, place: `${file}:${i + 1}` })),
    { template: "default", folder: "clips" },
    { name: file, digest: file },
  );
const benchmark = (name: string, rows: object[]): Benchmark => {
  const asked = set("asked.jsonl", rows);
  return { name, rows: rows.map((_, i) => asked.row(i)) } as unknown as Benchmark;
};
const row = (text: string, image: string, more: object = {}) => {
  const content = [
    { type: "image", image },
    { type: "text", text },
  ];
  return { prompt: [{ role: "user", content }], answer: "B", ...more };
};

it("questions that are training rows are counted, by prompt with media or by id", () => {
  const trained = set("rows.jsonl", [row("Which?", "a.png"), row("What?", "b.png", { id: "q7" })]);
  const other = benchmark("other", [row("Which?", "c.png"), row("How?", "a.png")]);
  const same = benchmark("same", [
    row("How?", "a.png"),
    row("Which?", "a.png"),
    row("Who?", "z.png", { id: "q7" }),
  ]);
  expect(sharedRows(trained, [other, same])).toEqual([
    "2 of 3 questions of same are rows of the training data (the first: asked.jsonl:2): its scores are no measure of new questions.",
  ]);
});
