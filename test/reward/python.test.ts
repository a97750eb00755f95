import { expect, test } from "vitest";
import { readFloat, roundHundredths, splitWords, strip } from "../../src/text/python.ts";

test("rounding is Python's round(x, 2)", () => {
  // python3 -c "print([round(x, 2) for x in (...)])"
  const cases: [number, number][] = [
    ...([[0.125, 0.12], [0.375, 0.38], [0.625, 0.62], [0.875, 0.88], [-0.125, -0.12]] as const), // prettier-ignore
    ...([[2.675, 2.67], [1.005, 1], [0.505, 0.51], [0.495, 0.49], [1e22, 1e22]] as const), // prettier-ignore
    ...([
      [1000000.125, 1000000.12],
      [44332981388818.625, 44332981388818.62],
      [-200000000000000.375, -200000000000000.38],
      [3.14159, 3.14],
      [-2.5, -2.5],
      [0, 0],
    ] as const),
  ].map(([value, rounded]) => [value, rounded]);
  for (const [value, rounded] of cases) expect(roundHundredths(value), `${value}`).toBe(rounded);
});

test("numbers are Python's float() but for NaN, infinities and other scripts", () => {
  const numbers = { " 1_000.5\n": 1000.5, "1.": 1, ".5": 0.5, "-1E-2": -0.01, "+007": 7 };
  for (const [text, value] of Object.entries(numbers)) expect(readFloat(text)).toBe(value);
  const none = ["", ".", "e5", "1__0", "_1", "1_", "1e", "0x10", "nan", "inf", "1e999", "\uff11"];
  for (const text of none) expect(readFloat(text), text).toBe(undefined);
});

test("white space is Python's", () => {
  expect(strip("\x1c\x85\u00a0\u3000 a \u2028")).toBe("a");
  expect(strip("\ufeffa\u200b")).toBe("\ufeffa\u200b");
  expect(splitWords(" a\u00a0b\n\nc ")).toEqual(["a", "b", "c"]);
  expect(splitWords("a b c", 2)).toEqual(["a", "b"]);
});
