import { describe, expect, it } from "vitest";
import { csvOf, markdownOf, tableOf, textOf } from "../../src/eval/table.ts";

const RESULT = {
  "daily-omni": {
    questions: 15,
    failed: 1,
    scores: { overall: 0.4, "30s": 0.5, 'a, "b" | c': 1 },
    controls: { text_only: { overall: 0.25 } },
  },
};
const table = tableOf(RESULT);

describe("the table of an evaluation", () => {
  it("has a row for each score and a column for each control that was asked", () => {
    expect(table).toEqual([
      ["benchmark", "score", "percent", "text alone"],
      ["daily-omni", "overall", "40.0", "25.0"],
      ["daily-omni", "30s", "50.0", ""],
      ["daily-omni", 'a, "b" | c', "100.0", ""],
      ["daily-omni", "questions", "15", ""],
      ["daily-omni", "failed", "1", ""],
    ]);
  });

  it("is written as Markdown, CSV and aligned text", () => {
    expect(markdownOf(table).split("\n").slice(0, 3)).toEqual([
      "| benchmark | score | percent | text alone |",
      "| --- | --- | --: | --: |",
      "| daily-omni | overall | 40.0 | 25.0 |",
    ]);
    expect(markdownOf(table)).toContain('| a, "b" \\| c |');
    expect(csvOf(table)).toContain('daily-omni,"a, ""b"" | c",100.0,\r\n');
    expect(textOf(table).split("\n")[1]).toBe("daily-omni  overall        40.0        25.0");
  });
});
