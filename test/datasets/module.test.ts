import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { DataContext } from "../../src/data/dataset.ts";
import { ofRows } from "../../src/data/rows.ts";
import { openData } from "../../src/datasets/open.ts";
import { dataSchema } from "../../src/datasets/schema.ts";

describe("data sets of modules", () => {
  let folder: string;
  const context: DataContext = { split: "train", questions: null };
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "module-"));
  });
  afterAll(() => rm(folder, { recursive: true }));

  const open = async (name: string, code: string, options: object = {}) => {
    await writeFile(join(folder, name), code);
    const section = dataSchema.parse({ name: "module", module: join(folder, name), options });
    return openData(section, context);
  };

  it("give rows by their options, media beside the module, and a scorer", async () => {
    const { set, scorer } = await open(
      "sums.mjs",
      `export default {
        open: ({ count }) => Array.from({ length: count }, (_, i) => ({
          question: i + " + 1", options: ["x", "y"], answer: "A", level: i,
          media: [{ type: "image", image: "p.png" }],
        })),
        scorer: { score: ({ text }) => ({ overall: text === "A" ? 1 : 0 }) },
      };`,
      { count: 3 },
    );
    expect(set.length).toBe(3);
    expect(set.row(2)).toMatchObject({ question: "2 + 1", columns: { level: 2 } });
    expect(set.row(0).mediaNames).toBe(join(folder, "p.png"));
    const said = { text: "A", ids: [], finished: true, index: 0, draw: 0 };
    expect(await scorer!.score(said, set.row(0))).toEqual({ overall: 1 });
  });

  it("may make their rows one by one; each is checked", async () => {
    const { set } = await open(
      "made.mjs",
      `const row = (index) => ({ id: "r" + index, answer: "7", conversation:
          [{ role: index === 1 ? "assistant" : "user", content: index === 2 ? "<video>" : "How?" }] });
       export const data = { open: () => ({ length: 3, digest: "v1", row }) };`,
    );
    expect(set.digest).toBe("v1");
    expect(set.row(0)).toMatchObject({ id: "r0", kind: "all", mediaNames: "" });
    expect(() => set.row(1)).toThrow("row 1: the prompt ends with an answer");
    expect(() => set.row(2)).toThrow("row 2: the prompt has 1 place for video");
  });

  it.each([
    ["none.mjs", "export const other = 1;", "data-module-export"],
    ["shape.mjs", "export default { rows: [] };", "data-module-shape"],
    ["scorer.mjs", "export default { open: () => [], scorer: {} };", "data-module-shape"],
    ["set.mjs", "export default { open: () => ({ length: 0 }) };", "data-module-shape"],
    [
      "throws.mjs",
      "export default { open() { throw new Error('no key'); } };",
      "data-module-threw",
    ],
    ["row.mjs", "export default { open: () => [{ question: '' }] };", "bad-row"],
    ["broken.mjs", "export default {", "data-module-failed"],
  ])("name what is wrong: %s", async (name, code, want) => {
    await expect(open(name, code)).rejects.toMatchObject({ code: want });
  });

  it("are files that configurations name", async () => {
    for (const [module, code] of [
      [join(folder, "nowhere.mjs"), "data-module-missing"],
      ["data:text/javascript,1", "data-module-url"],
    ]) {
      const section = dataSchema.parse({ name: "module", module });
      await expect(openData(section, context)).rejects.toMatchObject({ code });
    }
  });

  it("rows in memory may hold media as bytes", async () => {
    const data = Uint8Array.of(1, 2, 3);
    const part = { type: "image", image: { name: "made.png", data } };
    const content = [part, { type: "text", text: "What?" }];
    const rows = [{ prompt: [{ role: "user", content }], answer: "A" }];
    const set = await ofRows(rows, "mine");
    expect(set.row(0)).toMatchObject({ id: "mine[0]", mediaNames: "made.png" });
    expect(set.row(0).conversation[0]!.content[0]).toEqual(part);
    expect(set.digest).toBe((await ofRows(rows, "mine")).digest);
    expect(set.digest).not.toBe((await ofRows([{ ...rows[0]!, answer: "B" }], "mine")).digest);
    data[0] = 9;
    expect(set.digest).not.toBe((await ofRows(rows, "mine")).digest);
  });
});
