import { describe, expect, test } from "vitest";
import { lettered, OPTION_LETTERS, unlettered } from "../../src/text/option-letters.ts";

describe("options", () => {
  test.each([
    [["A. Urgent", "B. Calm"], undefined, ["Urgent", "Calm"]],
    [["A.first", "B.second"], undefined, ["first", "second"]],
    [["(A) x", "(B) y"], undefined, ["x", "y"]],
    [["A: x", " B) y"], undefined, ["x", "y"]],
    [["A cat", "Bees"], ["A. A cat", "B. Bees"], undefined],
    [["A. D. Roe", "Someone"], ["A. A. D. Roe", "B. Someone"], undefined],
    [["B. x", "A. y"], ["A. B. x", "B. A. y"], undefined],
    [[], undefined, undefined],
  ])("%j", (options, withLetters, without) => {
    expect(lettered(options)).toEqual(withLetters ?? options);
    expect(unlettered(options)).toEqual(without ?? options);
  });

  test("reach to Z", () => {
    const options = Array.from(OPTION_LETTERS, (letter) => `${letter}. ${letter}`);
    expect(lettered(options)).toEqual(options);
    expect(unlettered(options)).toEqual(OPTION_LETTERS.split(""));
  });
});
