import { expect, it } from "vitest";
import { z } from "zod";
import type { DataContext, RegisteredData } from "../../src/data/dataset.ts";
import { openData } from "../../src/datasets/open.ts";
import { DATA_SETS } from "../../src/datasets/registry.ts";
import { namedDataSchema } from "../../src/datasets/schema.ts";
import { benchmarkSchema } from "../../src/eval/schema.ts";
import { SUMS } from "./sums/entry.ts";

const registry = { ...DATA_SETS, sums: SUMS } satisfies Record<string, RegisteredData>;
const data = namedDataSchema("settings", { check_rows: z.boolean().default(true) }, registry);

it("a new data set is a folder and one line: its settings exist for it alone", () => {
  expect(data.parse({ name: "sums", terms: 3 })).toEqual({
    ...{ name: "sums", terms: 3, rows: 10 },
    check_rows: true,
  });
  expect(data.safeParse({ name: "sums", seed: 3 }).success).toBe(false);
  expect(data.safeParse({ name: "tiny", terms: 3 }).success).toBe(false);
  const asked = benchmarkSchema(registry).parse({ name: "sums", as: "adding", questions: 4 });
  expect(asked).toMatchObject({ name: "sums", as: "adding", questions: 4, terms: 2 });
});

it("it opens with its rows, and as a benchmark with its scorer and categories", async () => {
  const context: DataContext = { split: "held-out", questions: 4 };
  const { set, scorer } = await openData(data.parse({ name: "sums", rows: 4 }), context, registry);
  const row = set.row(3);
  expect([set.length, row.question, row.answer]).toEqual([4, "3 + 4 =", "7"]);
  const said = (text: string) => ({ text, ids: [], finished: true, index: 0, draw: 0 });
  expect(await scorer?.score(said("It is 7"), row)).toEqual({ overall: 1, number: 1 });
  expect(await scorer?.score(said("It is 8"), row)).toEqual({ overall: 0, number: 1 });
  expect(scorer?.categories?.(row)).toEqual(["odd"]);
});
