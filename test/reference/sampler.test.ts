import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { type SampleOptions, sampleParams } from "../../src/kernels/sample.ts";
import { fixedExp } from "../../src/reference/fixed-exp.ts";
import { sampleScores, sampleSupport } from "../../src/reference/sampler.ts";
import { randomF32 } from "../helpers/random-data.ts";

interface Support {
  options: SampleOptions;
  logits: number[];
  present: number[];
  kept: number[];
  logp: number[];
}

// Made by test/golden/sampler/make_support.py with transformers' logits processors.
const SUPPORT = JSON.parse(
  readFileSync(new URL("../golden/sampler/support.json", import.meta.url), "utf8"),
) as { cases: Support[] };

describe("fixed_exp", () => {
  it("is exp to 8e-8 or half a unit in 2^-30", () => {
    const ds = [0, 1e-9, ...randomF32(20_000, 1, 0, 25), 20.7, 20.8, 23.999, 24, 1e30];
    for (const d of ds) {
      const exact = Math.exp(-d) * 2 ** 30;
      expect(Math.abs(fixedExp(d) - exact), `d = ${d}`).toBeLessThanOrEqual(exact * 8e-8 + 0.501);
    }
    expect(fixedExp(0)).toBe(2 ** 30);
  });

  it("never rises with d", () => {
    let before = Infinity;
    for (let d = 0; d < 25; d += 1 / 1024) {
      expect(fixedExp(d)).toBeLessThanOrEqual(before);
      before = fixedExp(d);
    }
  });
});

describe("the float64 sampler", () => {
  const scores = Float32Array.of(1, 4, 3, 4, -2, 2);
  const tokens = (limits: Partial<Parameters<typeof sampleSupport>[1]>) =>
    sampleSupport(scores, { greedy: false, topK: 0, topP: 0, minWeight: 0, ...limits }).map(
      ({ token }) => token,
    );

  it("has the support that transformers' processors leave", () => {
    expect(tokens({})).toEqual([0, 1, 2, 3, 4, 5]);
    expect(tokens({ topK: 3 })).toEqual([1, 2, 3]);
    expect(tokens({ topK: 1 })).toEqual([1, 3]); // ties of the k-th stay
    expect(tokens({ greedy: true })).toEqual([1, 3]);
    // Probabilities: 4 -> .3913 twice, 3 -> .1440, 2 -> .0530.
    expect(tokens({ topP: 0.5 * 2 ** 32 })).toEqual([1, 3]);
    expect(tokens({ topP: Math.round(0.78 * 2 ** 32) })).toEqual([1, 3]);
    expect(tokens({ topP: Math.round(0.79 * 2 ** 32) })).toEqual([1, 2, 3]);
    expect(tokens({ topP: Math.round(0.95 * 2 ** 32) })).toEqual([1, 2, 3, 5]);
    // Among the top three, 4 has .845 together, so a topP of 0.9 keeps them all.
    expect(tokens({ topK: 3, topP: Math.round(0.9 * 2 ** 32) })).toEqual([1, 2, 3]);
    expect(tokens({ minWeight: Math.ceil(0.3 * 2 ** 30) })).toEqual([1, 2, 3]);
    expect(tokens({ minWeight: Math.ceil(0.4 * 2 ** 30) })).toEqual([1, 3]);
  });
});

describe("against transformers", () => {
  SUPPORT.cases.forEach(({ options, logits, present, kept, logp }, i) => {
    it(`keeps the same tokens with the same probabilities, case ${i}`, () => {
      const numbers = sampleParams(options);
      const scores = sampleScores(
        Float32Array.from(logits),
        () => false,
        (token) => present.includes(token),
        { ...numbers, factor: numbers.invTemperature },
      );
      const support = sampleSupport(scores, { ...numbers, greedy: false });
      // Tokens of a weight that rounds to 0 in 2^-30 are never drawn; the golden has none.
      expect(support.map(({ token }) => token)).toEqual(kept);
      const total = support.reduce((sum, { weight }) => sum + weight, 0);
      support.forEach(({ weight }, j) => {
        expect(Math.abs(weight / total - Math.exp(logp[j]!))).toBeLessThan(1e-6);
      });
    });
  });
});
