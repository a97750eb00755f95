import { describe, expect, it } from "vitest";
import type { Sample } from "../../src/prompt/sample.ts";
import { Parity } from "../../src/policy/parity.ts";
import type { PolicyCompletion, PolicyTree } from "../../src/rollout/types.ts";

/** A tree of completions of some lengths, of a row with the given numbers of feature rows. */
function tree(row: string, lengths: number[], vision = 0, audio = 0): PolicyTree {
  const sample = {
    id: row,
    visionRows: new Uint32Array(vision),
    audioRows: new Uint32Array(audio),
  } as Sample;
  const completions = lengths.map((length) => ({
    ids: Array.from({ length }, (_, i) => 100 + i),
  })) as unknown as PolicyCompletion[];
  return { sample, completions };
}

/** Log-probabilities of -2 at rollout, and in training with differences at some places. */
function columns(count: number, differences: Record<number, number> = {}) {
  const old = Array<number>(count).fill(-2);
  return { old, logp: old.map((value, i) => value + (differences[i] ?? 0)) };
}

function failure(parity: Parity): string {
  try {
    parity.check();
  } catch (error) {
    expect(error).toMatchObject({ code: "rollout-mismatch" });
    return (error as Error).message;
  }
  return "";
}

describe("parity of rollout and training", () => {
  it("passes up to its limits: mean 1e-5, max 1e-3", () => {
    const parity = new Parity();
    parity.add([tree("a", [100])], columns(100, { 7: 0.99e-3 }));
    expect(failure(parity)).toBe("");
    const over = new Parity();
    over.add([tree("a", [1000])], columns(1000, { 7: 1.01e-3 }));
    expect(failure(over)).toContain("max 1.0e-3 (limit 0.001)");
    const many = new Parity();
    many.add([tree("a", [100])], columns(100, { 7: 0.6e-3, 8: -0.6e-3 }));
    expect(failure(many)).toContain("mean 1.2e-5 (limit 0.00001; text 1.2e-5)");
  });

  it("names the token that is furthest off, with its row, kind, completion and both numbers", () => {
    const parity = new Parity();
    parity.add(
      [tree("one", [4, 4]), tree("two", [3, 5], 2, 9), tree("three", [4], 0, 5)],
      columns(20, { 2: 0.01, 13: -0.5, 19: 0.3 }),
    );
    expect(failure(parity)).toContain(
      "worst at two (audio-video), completion 1, token 2 (id 102): -2.0000 at rollout, -2.5000 in training; one (text), completion 0 is off by 2.5e-3 a token (limit 0.0001).",
    );
    expect(failure(parity)).toMatch(/text 1\.3e-3, audio-video 6\.3e-2, audio 7\.5e-2\)/);
    expect(parity.metrics()).toMatchObject({ "sampling/sampling_logp_difference/max": 0.5 });
  });

  it("counts the completions of a tree that comes in parts", () => {
    const parity = new Parity();
    const whole = tree("a", [2, 2, 2]);
    const part = (from: number, to: number): PolicyTree => ({
      ...whole,
      completions: whole.completions.slice(from, to),
    });
    parity.add([part(0, 2)], columns(4));
    parity.add([part(2, 3)], columns(2, { 1: 0.2 }));
    expect(failure(parity)).toContain("worst at a (text), completion 2, token 1");
  });

  it("does not let the rows of one kind drown in those of another", () => {
    const parity = new Parity();
    // Over all tokens the mean is 4e-6; the eight of the sound are off by 5e-4 each.
    parity.add([tree("many", [992]), tree("few", [8], 0, 3)], {
      old: Array<number>(1000).fill(-1),
      logp: Array.from({ length: 1000 }, (_, i) => -1 + (i < 992 ? 0 : 5e-4)),
    });
    expect(parity.metrics()["sampling/sampling_logp_difference/mean"]).toBeLessThan(1e-5);
    expect(failure(parity)).toMatch(/text 0\.0e\+0, audio 5\.0e-4\).*worst at few \(audio\)/);
  });

  it("does not let one completion drown in the rest", () => {
    const off = (by: number): Parity => {
      const parity = new Parity();
      const differences = Object.fromEntries(Array.from({ length: 20 }, (_, i) => [500 + i, by]));
      parity.add([tree("a", [500]), tree("b", [20, 480])], columns(1000, differences));
      return parity;
    };
    expect(failure(off(0.9e-4))).toBe("");
    expect(failure(off(1.5e-4))).toContain(
      "; b (text), completion 0 is off by 1.5e-4 a token (limit 0.0001).",
    );
  });

  it.each([NaN, Infinity])("never passes %s", (value) => {
    const parity = new Parity();
    parity.add([tree("a", [4, 4])], columns(8, { 2: 0.5, 5: value, 7: 0.9 }));
    expect(failure(parity)).toContain("worst at a (text), completion 1, token 1");
  });
});
