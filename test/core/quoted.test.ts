import { describe, expect, it } from "vitest";
import { printable, quoted, shown } from "../../src/core/quoted.ts";
import { filesUnder, textOf } from "../helpers/source-tree.ts";

const ESCAPES = "a\u001b]0;title\u0007\r\nb\u202ec\u2028";

describe("a value in a message", () => {
  it("shows what a terminal would obey", () => {
    expect(quoted(ESCAPES)).toBe(String.raw`"a\u001b]0;title\u0007\r\nb\u202ec\u2028"`);
    expect(shown(ESCAPES)).toBe(String.raw`a\u001b]0;title\u0007\u000d\u000ab\u202ec\u2028`);
    expect(quoted({ key: "\u009b31m" })).toBe(String.raw`{"key":"\u009b31m"}`);
    expect(printable("two\nlines\tand \u001b[2J")).toBe("two\nlines\tand \\u001b[2J");
  });

  it("is short, whatever it is, and a text has both its quotes", () => {
    expect(quoted("x".repeat(100_000))).toBe(`"${"x".repeat(197)}..."`);
    expect(quoted("x".repeat(70), 60)).toBe(`"${"x".repeat(57)}..."`);
    expect(quoted(Array(1000).fill(7), 20)).toBe("[7,7,7,7,7,7,7,7,...");
    expect(shown("y".repeat(300))).toHaveLength(200);
  });

  it("is said in words where JSON has none", () => {
    const circle: unknown[] = [];
    circle.push(circle);
    expect([quoted(undefined), quoted(Number.NaN), quoted(circle), quoted(10n)]).toEqual([
      ...["undefined", "null", "object", "bigint"],
    ]);
  });
});

it("messages quote by the one function: no error is made of JSON.stringify", () => {
  const wrong = filesUnder("src", ".ts")
    .filter((file) => file !== "src/core/quoted.ts")
    .flatMap((file) => {
      const made = textOf(file).match(/new \w*Error\((?:[^;]|;(?!\n))*?;\n/g) ?? [];
      return made.some((text) => text.includes("JSON.stringify")) ? [file] : [];
    });
  expect(wrong).toEqual([]);
});
