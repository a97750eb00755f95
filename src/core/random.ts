/**
 * Counter-based random numbers: Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as
 * easy as 1, 2, 3", table 2 and section 5). A number is a pure function of its key and counter, so
 * it does not depend on batch composition, order or resume. `shaders/lib/philox.wgsl` is the twin.
 */

const M0 = 0xd2511f53;
const M1 = 0xcd9e8d57;
const W0 = 0x9e3779b9;
const W1 = 0xbb67ae85;

function mulHi(a: number, b: number): number {
  const aLo = a & 0xffff;
  const aHi = a >>> 16;
  const bLo = b & 0xffff;
  const bHi = b >>> 16;
  const mid = aHi * bLo + Math.floor((aLo * bLo) / 65536);
  const mid2 = aLo * bHi + (mid % 65536);
  return (aHi * bHi + Math.floor(mid / 65536) + Math.floor(mid2 / 65536)) >>> 0;
}

/**
 * Encrypts one 128-bit counter under a 64-bit key with ten Philox rounds.
 *
 * @returns four independent u32 words.
 */
export function philox(
  counter: readonly [number, number, number, number],
  key: readonly [number, number],
): [number, number, number, number] {
  let [c0, c1, c2, c3] = counter;
  let [k0, k1] = key;
  for (let round = 0; round < 10; round++) {
    const hi0 = mulHi(M0, c0);
    const lo0 = Math.imul(M0, c0) >>> 0;
    const hi1 = mulHi(M1, c2);
    const lo1 = Math.imul(M1, c2) >>> 0;
    c0 = (hi1 ^ c1 ^ k0) >>> 0;
    c1 = lo1;
    c2 = (hi0 ^ c3 ^ k1) >>> 0;
    c3 = lo0;
    k0 = (k0 + W0) >>> 0;
    k1 = (k1 + W1) >>> 0;
  }
  return [c0 >>> 0, c1 >>> 0, c2 >>> 0, c3 >>> 0];
}

/** The purposes of random numbers; each purpose is a stream of its own. */
export const PURPOSES = { sampling: 1, data: 2, init: 3, clip: 4, question: 5, order: 6 } as const;

/** The name of a purpose. */
type Purpose = keyof typeof PURPOSES;

/**
 * A stream of random numbers for host-side choices (clips, question order, initialisation).
 *
 * The n-th number depends only on (seed, purpose, stream, index), never on other streams.
 */
export class Random {
  readonly #key: [number, number];
  readonly #stream: [number, number];
  #block = 0;
  #words: number[] = [];
  #spare: number | undefined;

  constructor(seed: number, purpose: Purpose, stream = 0, substream = 0) {
    this.#key = [seed >>> 0, PURPOSES[purpose]];
    this.#stream = [stream >>> 0, substream >>> 0];
  }

  /** The next 32 random bits. */
  u32(): number {
    if (this.#words.length === 0) {
      const counter: [number, number, number, number] = [
        this.#block >>> 0,
        Math.floor(this.#block / 0x100000000),
        ...this.#stream,
      ];
      this.#words = philox(counter, this.#key).reverse();
      this.#block++;
    }
    return this.#words.pop()!;
  }

  /** A float64 uniform in [low, high), with 32 random bits. */
  uniform(low = 0, high = 1): number {
    return low + (high - low) * (this.u32() / 0x100000000);
  }

  /** An integer uniform in [0, count). */
  integer(count: number): number {
    const limit = 0x100000000 - (0x100000000 % count);
    let word = this.u32();
    while (word >= limit) word = this.u32();
    return word % count;
  }

  /** A normal deviate (Box and Muller 1958), both values of a pair used in turn. */
  normal(mean = 0, deviation = 1): number {
    if (this.#spare !== undefined) {
      const value = this.#spare;
      this.#spare = undefined;
      return mean + deviation * value;
    }
    const radius = Math.sqrt(-2 * Math.log((this.u32() + 1) / 0x100000001));
    const angle = 2 * Math.PI * this.uniform();
    this.#spare = radius * Math.sin(angle);
    return mean + deviation * radius * Math.cos(angle);
  }

  /** A random permutation of 0 .. count-1 (Fisher and Yates). */
  permutation(count: number): number[] {
    const order = Array.from({ length: count }, (_, index) => index);
    for (let last = count - 1; last > 0; last--) {
      const pick = this.integer(last + 1);
      [order[last], order[pick]] = [order[pick]!, order[last]!];
    }
    return order;
  }
}

/**
 * Returns a 32-bit FNV-1a hash of a text's UTF-8 bytes: how names become part of a random key.
 *
 * Source: Fowler, Noll and Vo, draft-eastlake-fnv.
 */
export function hash32(text: string): number {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) {
    hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  }
  return hash;
}
