import { readFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { CheckpointError } from "../../src/core/errors.ts";
import { Tokenizer } from "../../src/text/tokenizer.ts";

const golden = new URL("../golden/text/", import.meta.url);
const text = await readFile(new URL("tokenizer.json", golden), "utf8");
const tokenizer = Tokenizer.fromJson(text);
const { vocabSize, cases } = JSON.parse(
  await readFile(new URL("tokenizer-cases.json", golden), "utf8"),
) as { vocabSize: number; cases: [text: string | null, ids: number[], decoded: string][] };

describe("against the Rust library, on unicode, digits, contractions and special tokens", () => {
  it("encodes every string to the same ids", () => {
    const wrong = cases.filter(
      ([text, ids]) => text !== null && tokenizer.encode(text).join() !== ids.join(),
    );
    expect(wrong).toEqual([]);
  });

  it("decodes every list of ids to the same text", () => {
    const wrong = cases.filter(
      ([, ids, decoded]) => tokenizer.decode(ids, { skipSpecial: true }) !== decoded,
    );
    expect(wrong).toEqual([]);
  });

  it("has as many tokens", () => {
    expect(tokenizer.vocabSize).toBe(vocabSize);
  });
});

it("gives back the normalised text, special tokens too", () => {
  for (const [text] of cases) {
    if (text !== null) expect(tokenizer.decode(tokenizer.encode(text))).toBe(text.normalize("NFC"));
  }
});

it("never streams half a character, and streams what decode gives", () => {
  for (const [, ids] of cases) {
    const stream = tokenizer.stream();
    const pieces = ids.map((id) => stream.push(id));
    expect(pieces.join("") + stream.flush()).toBe(tokenizer.decode(ids));
  }
  const stream = tokenizer.stream();
  const ids = tokenizer.encode("\u{20000}");
  expect(ids.length).toBeGreaterThan(1);
  const pieces = ids.map((id) => stream.push(id));
  expect(pieces).toEqual([...ids.slice(1).map(() => ""), "\u{20000}"]);
  expect(stream.push(ids[0]!) + stream.flush()).toBe("\ufffd");
});

it("matches special tokens before it splits, and knows them by name", () => {
  const video = tokenizer.id("<|VIDEO|>");
  expect(tokenizer.specialIds.has(video)).toBe(true);
  expect(tokenizer.specialIds.has(tokenizer.id("<think>"))).toBe(false);
  expect(tokenizer.encode("a<|VIDEO|><|VIDEO|>a")).toEqual([
    ...tokenizer.encode("a"),
    video,
    video,
    ...tokenizer.encode("a"),
  ]);
  expect(tokenizer.find("<|nothing|>")).toBeUndefined();
  expect(() => tokenizer.id("<|nothing|>")).toThrow(/no token "<\|nothing\|>"/);
});

it("refuses files that are no byte-level BPE tokenizer", () => {
  expect(() => Tokenizer.fromJson("{")).toThrow(CheckpointError);
  const unigram = JSON.stringify({ ...JSON.parse(text), model: { type: "Unigram" } });
  expect(() => Tokenizer.fromJson(unigram, "{}", "x/tokenizer.json")).toThrow(
    /x\/tokenizer.json cannot be used: it is Unigram/,
  );
});
