import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { ChatTemplate } from "../../src/text/chat-template.ts";
import { parseConversation } from "../../src/text/conversation.ts";
import { Tokenizer } from "../../src/text/tokenizer.ts";

const TURN = [{ role: "user", content: "hello" }];
const render = (text: string) => new ChatTemplate(text, "x/chat_template.jinja").render(TURN);

test.each([
  ["a range of a billion", "{% for i in range(1000000000) %}x{% endfor %}", "entries in a list"],
  [
    "ranges in ranges",
    "{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}",
    "steps",
  ],
  [
    "a list that doubles",
    "{% set n = namespace(l=[1]) %}{% for i in range(60) %}{% set n.l = n.l + n.l %}{% endfor %}",
    "entries in a list",
  ],
  [
    "a text that doubles",
    "{% set n = namespace(t='x') %}{% for i in range(60) %}{% set n.t = n.t ~ n.t %}{% endfor %}",
    "characters in a text",
  ],
  [
    "a long list that is sorted again and again",
    "{% set l = range(90000) %}{% for i in range(90000) %}{% set m = l | sort %}{% endfor %}",
    "steps",
  ],
])("a template with %s ends with an error that names it", (_, text, what) => {
  expect(() => render(text)).toThrow(
    new RegExp(`x/chat_template.jinja refuses the conversation: it makes more than \\d+ ${what}`),
  );
});

test("a template without an end of macros, or of 100 MB, ends too", () => {
  expect(() => render("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}")).toThrow(
    "x/chat_template.jinja refuses the conversation",
  );
  const long = "x".repeat(100_000_000);
  expect(() => new ChatTemplate(long, "x.jinja")).toThrow(
    "x.jinja cannot be parsed: it has 100000000 characters; at most 1048576 are read.",
  );
});

test("what templates may name stays what it was, and long conversations pass", () => {
  expect(render("{% for i in range(1, 8, 3) %}{{ i }}{% endfor %}{{ none is none }}")).toBe(
    "147true",
  );
  expect(render("{{ strftime_now('%Y') }}")).toMatch(/^20\d\d$/);
  expect(() => render("{{ raise_exception('no') }}")).toThrow("conversation: no.");
  const turns = Array.from({ length: 5000 }, () => TURN[0]!);
  const text = "{% for m in messages %}{{ m.role ~ ': ' ~ m['content'] }}{% endfor %}";
  expect(new ChatTemplate(text).render(turns)).toHaveLength(5000 * 11);
});

const tiny = readFileSync("assets/tiny/tokenizer.json", "utf8");
const changed = (change: (file: any) => void) => {
  const file: unknown = JSON.parse(tiny);
  change(file);
  return () => Tokenizer.fromJson(JSON.stringify(file), "{}", "x/tokenizer.json");
};

test.each([
  ["an id of 1e8", (f: any) => (f.model.vocab["zz"] = 1e8), "the id 100000000; ids are 0 to"],
  ["an id of 2^31", (f: any) => (f.added_tokens[0].id = 2 ** 31), "the id 2147483648"],
  ["an id that is a text", (f: any) => (f.model.vocab["zz"] = "7"), 'the id "7"'],
  ["a negative id", (f: any) => (f.model.vocab["zz"] = -1), "the id -1"],
  ["no added tokens", (f: any) => (f.added_tokens = 3), "it has no added_tokens"],
  ["merges of numbers", (f: any) => (f.model.merges = [7]), "merges are no list of pairs"],
  [
    "a pattern that takes for ever",
    (f: any) => (f.pre_tokenizer.pretokenizers[0].pattern.Regex = "(?:a|a)+$|(?:a+)+b"),
    'its pattern "(?:a|a)+$|(?:a+)+b" is none of',
  ],
  [
    "such a pattern elsewhere",
    (f: any) => (f.normalizer = { type: "Replace", pattern: { Regex: "(a+)+b" }, content: "" }),
    'its pattern "(a+)+b"',
  ],
])("a tokenizer with %s is refused by name", (_, change, text) => {
  expect(changed(change)).toThrow(
    expect.objectContaining({
      code: "bad-tokenizer",
      message: expect.stringContaining(text) as string,
    }),
  );
  expect(changed(change)).toThrow("x/tokenizer.json cannot be used: ");
});

test("a row's objects with strange keys are errors of the row", () => {
  for (const type of [{ toString: 1 }, "constructor", "__proto__", null, []]) {
    const row = [{ role: "user", content: [{ type, text: "x" }] }];
    expect(() => parseConversation(row, "r")).toThrow(
      expect.objectContaining({ code: "bad-conversation" }),
    );
  }
});
