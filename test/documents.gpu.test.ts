import { execFileSync } from "node:child_process";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { blocksOf, Clone, DOCUMENTS } from "./helpers/documents.ts";
import { filesUnder } from "./helpers/source-tree.ts";

/** Programs that no test starts: servers, other programs, what needs the network. */
const BY_HAND =
  /^(git clone|npm (ci|test|run [\w:]+)|AUBADE_DEMO_MODEL=\S+ npm run demo|tensorboard|pip|python|hf) /;

describe("the documents", () => {
  let clone: Clone;
  beforeAll(() => {
    clone = new Clone();
    execFileSync("npm", ["run", "build"], { cwd: clone.root, stdio: "ignore" });
  }, 240_000);
  afterAll(() => clone.remove());

  it.each(DOCUMENTS)("%s names the language of every block", (document) => {
    expect(blocksOf(document).filter(({ language }) => language === "")).toEqual([]);
  });

  it("leave to the reader's hand only what no test can start", () => {
    const commands = DOCUMENTS.flatMap(blocksOf)
      .filter(({ when, language }) => when === "by-hand" && language === "sh")
      .flatMap(({ text }) => text.trim().split("\n"));
    expect(commands.filter((line) => !BY_HAND.test(`${line} `))).toEqual([]);
  });

  const cases = DOCUMENTS.flatMap(blocksOf).filter(
    ({ language, when, file }) =>
      when === "always" && (["sh", "ts"].includes(language) || file !== undefined),
  );
  it.each(cases)(
    "$place does as printed",
    async (block) => {
      await clone.run(block);
    },
    240_000,
  );

  it.each(filesUnder("examples", ".ts"))("%s compiles", (program) => {
    expect(clone.compile(program)).toBe("");
  });

  // After README, whose commands make the clips that they name. A page has a test in test/browser.
  it.each(filesUnder("examples", ".ts").filter((path) => !path.includes("page/")))(
    "%s runs",
    async (program) => {
      const output = await clone.shell(`node aubade.js node --import tsx ${program}`);
      expect(output).toMatch(/step/);
    },
    240_000,
  );
});
