import { describe, expect, it } from "vitest";
import { philox, Random } from "../../src/core/random.ts";

describe("philox", () => {
  // Random123 (Salmon et al. 2011), tests/kat_vectors, philox4x32 with 10 rounds.
  it.each([
    ["zeros", [0, 0, 0, 0], [0, 0], [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]],
    [
      "ones",
      [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff],
      [0xffffffff, 0xffffffff],
      [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd],
    ],
    [
      "digits of pi",
      [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
      [0xa4093822, 0x299f31d0],
      [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
    ],
  ] as const)("gives the published words for %s", (_, counter, key, words) => {
    expect(philox(counter, key)).toEqual(words);
  });

  it("multiplies to 64 bits at every edge", () => {
    // One round's words are visible through a counter of one word under key 0; compare with BigInt.
    for (const word of [1, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xffffffff]) {
      let [c0, c1, c2, c3] = [BigInt(word), 0n, BigInt(word), 0n];
      let [k0, k1] = [0n, 0n];
      for (let round = 0; round < 10; round++) {
        const a = 0xd2511f53n * c0;
        const b = 0xcd9e8d57n * c2;
        [c0, c1, c2, c3] = [
          (b >> 32n) ^ c1 ^ k0,
          b & 0xffffffffn,
          (a >> 32n) ^ c3 ^ k1,
          a & 0xffffffffn,
        ];
        k0 = (k0 + 0x9e3779b9n) & 0xffffffffn;
        k1 = (k1 + 0xbb67ae85n) & 0xffffffffn;
      }
      expect(philox([word, 0, word, 0], [0, 0])).toEqual([c0, c1, c2, c3].map(Number));
    }
  });
});

describe("Random", () => {
  it("is the Philox stream of (seed, purpose, stream, substream)", () => {
    const random = new Random(7, "clip", 3, 5);
    const words = [...philox([0, 0, 3, 5], [7, 4]), ...philox([1, 0, 3, 5], [7, 4])];
    expect(Array.from({ length: 8 }, () => random.u32())).toEqual(words);
  });

  it("gives streams that do not depend on one another", () => {
    const alone = new Random(1, "data", 2);
    const other = new Random(1, "data", 3);
    const first = Array.from({ length: 10 }, () => alone.u32());
    const again = new Random(1, "data", 2);
    const mixed = Array.from({ length: 10 }, () => (other.u32(), again.u32()));
    expect(mixed).toEqual(first);
  });

  it("draws integers, uniforms, normals and permutations in range", () => {
    const random = new Random(11, "init");
    const counts = Array.from({ length: 7 }, () => 0);
    for (let i = 0; i < 7000; i++) counts[random.integer(7)]!++;
    // Chi-square with 6 degrees of freedom: 22.5 is exceeded once in a thousand.
    const chi = counts.reduce((sum, count) => sum + (count - 1000) ** 2 / 1000, 0);
    expect(chi).toBeLessThan(22.5);
    let mean = 0;
    let square = 0;
    for (let i = 0; i < 10_000; i++) {
      const value = random.normal(2, 3);
      mean += value / 10_000;
      square += (value - 2) ** 2 / 10_000;
      const flat = random.uniform(-1, 1);
      expect(flat >= -1 && flat < 1).toBe(true);
    }
    expect(Math.abs(mean - 2)).toBeLessThan(0.12);
    expect(Math.abs(square / 9 - 1)).toBeLessThan(0.06);
    expect(random.permutation(50).sort((a, b) => a - b)).toEqual([...Array(50).keys()]);
    expect(random.permutation(0)).toEqual([]);
  });
});
