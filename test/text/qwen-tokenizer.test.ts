/**
 * The real tokenizer of Qwen2.5 and the one of Qwen2.5-Omni, whose special tokens have other names,
 * against the Rust library: 1,000 strings of all scripts (test/golden/text/make_qwen_strings.py).
 */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { Tokenizer } from "../../src/text/tokenizer.ts";
import { OMNI_NAMES, omniTokenizerText, qwenTokenizerText } from "./real-tokenizer.ts";

interface Case {
  text: string;
  /** Ids, joined with blanks; of the Omni tokenizer only where they differ. */
  vl: string;
  omni?: string;
  /** The text that the ids decode to where NFC depends on the version of Unicode. */
  whole?: string;
  /** The text without special tokens where it is not the whole. */
  vlPlain?: string;
  omniPlain?: string;
}

const golden = JSON.parse(
  await readFile(new URL("../golden/text/qwen-strings.json", import.meta.url), "utf8"),
) as { sha256: string; vocabSize: number[]; omni: object; cases: Case[] };

it("reads the file that the golden ids were made with", () => {
  expect(createHash("sha256").update(qwenTokenizerText).digest("hex")).toBe(golden.sha256);
  expect(golden.omni).toEqual(OMNI_NAMES);
  expect(golden.cases.length).toBe(1000);
});

describe.each([
  { family: "Qwen2.5-VL", text: qwenTokenizerText, of: (c: Case) => [c.vl, c.vlPlain] as const },
  {
    family: "Qwen2.5-Omni",
    text: omniTokenizerText(),
    of: (c: Case) => [c.omni ?? c.vl, c.omniPlain] as const,
  },
])("the tokenizer of $family", ({ family, text, of }) => {
  const tokenizer = Tokenizer.fromJson(text);
  const show = (value: string) => JSON.stringify(value).slice(0, 200);

  it("encodes 1,000 strings to the ids of the Rust library", () => {
    const wrong = golden.cases.flatMap((c) => {
      const ids = tokenizer.encode(c.text).join(" ");
      return ids === of(c)[0] ? [] : [{ text: show(c.text), got: ids, want: of(c)[0] }];
    });
    expect(wrong).toEqual([]);
  });

  it("decodes the ids to the same text, with and without special tokens", () => {
    const wrong = golden.cases.flatMap((c) => {
      const [ids, plain] = of(c);
      const whole = c.whole ?? c.text.normalize("NFC");
      const list = ids === "" ? [] : ids.split(" ").map(Number);
      const got = [tokenizer.decode(list), tokenizer.decode(list, { skipSpecial: true })];
      const want = [whole, plain ?? whole];
      return got.join("\0") === want.join("\0") ? [] : [{ got: got.map(show), want }];
    });
    expect(wrong).toEqual([]);
  });

  it("has as many tokens, and the special ones under their ids", () => {
    expect(tokenizer.vocabSize).toBe(golden.vocabSize[0]);
    const isOmni = family === "Qwen2.5-Omni";
    for (const [id, name] of Object.entries(OMNI_NAMES)) {
      expect(tokenizer.find(name)).toBe(isOmni ? Number(id) : undefined);
    }
    expect(tokenizer.id("<|im_end|>")).toBe(151_645);
    expect(tokenizer.specialIds.has(151_656)).toBe(true);
    expect(tokenizer.specialIds.has(tokenizer.id("<tool_call>"))).toBe(false);
  });
});
