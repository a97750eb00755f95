import { readFileSync } from "node:fs";

interface Rule {
  match: string;
  /** Mean of the values; 0 when left out. */
  offset?: number;
  /** Standard deviation. */
  sigma?: number;
  /** Standard deviation times the square root of the values per row, instead of sigma. */
  gain?: number;
}

/** `test/golden/wide/recipe.json`: what the wide checkpoints change, and the spread of each tensor. */
export interface WideRecipe {
  /** Layers of each part. */
  layers: number;
  /** Per checkpoint, the keys of the released config.json that get other values. */
  overrides: Record<string, Record<string, unknown>>;
  /** The first rule whose expression is found in a tensor's name. */
  rules: Rule[];
}

/** The recipe that the Python script and this code share. */
export const WIDE_RECIPE = JSON.parse(
  readFileSync(new URL("../golden/wide/recipe.json", import.meta.url), "utf8"),
) as WideRecipe;

/** Draws the values of one tensor, a slice at a time. */
export interface WideTensor {
  /**
   * Fills `words` with two bf16 values each (the earlier one in the low half), from the pair
   * `firstPair` on.
   *
   * @returns the sum of the words mod 2^32.
   */
  fill(words: Int32Array, firstPair: number): number;
}

/** 2048 small integers with a standard deviation near 37, then their negatives. */
const LEVELS = new Int32Array(4096);
for (let i = 0; i < 2048; i++) {
  const h = mix(i + 1, 0);
  const level = (h & 63) + ((h >>> 6) & 63) + ((h >>> 12) & 63) + ((h >>> 18) & 63) - 126;
  LEVELS[i] = level;
  LEVELS[i + 2048] = -level;
}

/**
 * The generator of a tensor by its name on the hub: the values depend on name and shape alone.
 *
 * Approximately normal, each exactly a bf16 value, the same in Python (`wide_values.py`): a 32-bit
 * hash of name and pair index picks two entries of a table of 4096.
 */
export function wideTensor(name: string, shape: readonly number[]): WideTensor {
  const rule = WIDE_RECIPE.rules.find(({ match }) => new RegExp(match).test(name))!;
  const fanIn = shape.slice(1).reduce((product, size) => product * size, 1);
  const step = (rule.sigma ?? rule.gain! / Math.sqrt(fanIn)) / 37;
  const low = new Int32Array(4096);
  const high = new Int32Array(4096);
  for (let i = 0; i < 4096; i++) {
    low[i] = bf16Bits((rule.offset ?? 0) + LEVELS[i]! * step);
    high[i] = low[i]! << 16;
  }
  const key = fnv1a(name);
  const secondKey = fnv1a(`${name}#`);
  return {
    fill(words, firstPair) {
      let sum = 0;
      const first = (firstPair + key) | 0;
      for (let j = 0; j < words.length; j++) {
        // mix() by hand: this loop runs a billion times.
        let h = (first + j) | 0;
        h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
        h = (h + secondKey) | 0;
        h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
        h ^= h >>> 16;
        const word = low[h & 4095]! | high[h >>> 20]!;
        words[j] = word;
        sum = (sum + word) | 0;
      }
      return sum >>> 0;
    },
  };
}

/**
 * Inputs of a golden, drawn like weights, as float32 (each exactly a bf16 value).
 *
 * @param name - `input.pixels`, `input.mel`.
 */
export function wideInput(name: string, length: number): Float32Array {
  const words = new Int32Array(Math.ceil(length / 2));
  wideTensor(name, [length]).fill(words, 0);
  const bits = new Uint16Array(words.buffer);
  const values = new Uint32Array(length);
  for (let i = 0; i < length; i++) values[i] = bits[i]! << 16;
  return new Float32Array(values.buffer);
}

/** The finaliser of MurmurHash3 with a second key between its halves. */
function mix(value: number, secondKey: number): number {
  let h = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  h = (h + secondKey) | 0;
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}

function fnv1a(text: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  return h | 0;
}

const SCRATCH = new Float32Array(1);
const SCRATCH_BITS = new Uint32Array(SCRATCH.buffer);

/** The nearest bf16 value of a float64, by way of float32, ties to even. */
function bf16Bits(value: number): number {
  SCRATCH[0] = value;
  const bits = SCRATCH_BITS[0]!;
  return ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16) & 0xffff;
}
