import { hash32 } from "../core/random.ts";
import type { Sample } from "./sample.ts";

/**
 * Sums over what a processor made of a row, each begun with the row's id: where they are no longer
 * right, something was cut, doubled, moved or taken from another row since.
 */
export interface Seal {
  /** Tokens of the prompt as it was laid out. */
  tokens: number;
  /** Sum over token ids, positions, the next position, and the rows that features go to. */
  prompt: number;
  /** One sum per entry of the ledger, over its patches or its log-mel values. */
  media: readonly number[];
}

/** What of a sample is sealed. */
export type Sealed = Pick<
  Sample,
  | "id"
  | "inputIds"
  | "positions"
  | "nextPos"
  | "visionRows"
  | "audioRows"
  | "patches"
  | "grids"
  | "mel"
  | "ledger"
>;

/** Values of a medium that are summed at most; of more, every k-th, so that a check stays cheap. */
const MOST_VALUES = 65_536;

/** Seals a sample. */
export function sealOf(sample: Sealed): Seal {
  const { id: row, inputIds, positions, nextPos, visionRows, audioRows } = sample;
  let prompt = hash32(row);
  for (const list of [inputIds, positions, [nextPos], visionRows, audioRows]) {
    prompt = sum(prompt, list, 1);
  }
  return { tokens: inputIds.length, prompt, media: mediaOf(sample).map((data) => mark(row, data)) };
}

/**
 * What of a sealed sample is no longer as its processor made it; undefined when all is.
 *
 * `entry` is the place in the ledger of the medium that differs.
 */
export function brokenSeal(
  sample: Sealed,
  seal: Seal,
): { entry: number | undefined; what: string } | undefined {
  const now = sealOf(sample);
  const entry = seal.media.findIndex((value, i) => value !== now.media[i]);
  if (entry >= 0) {
    return { entry, what: "has other values in the tensors than its processor made of this row" };
  }
  if (now.tokens !== seal.tokens) {
    const what = `has ${now.tokens} tokens where its processor laid out ${seal.tokens}`;
    return { entry: undefined, what: `the prompt ${what}` };
  }
  if (now.prompt === seal.prompt) return undefined;
  const what = "the prompt has other tokens, positions or rows than its processor laid out";
  return { entry: undefined, what };
}

/** The values of every entry of the ledger. */
function mediaOf({ ledger, grids, patches, mel }: Sealed): Float32Array[] {
  const cells = grids.reduce((total, [t, h, w]) => total + t * h * w, 0);
  const width = cells === 0 ? 0 : patches.length / cells;
  let picture = 0;
  let sound = 0;
  let at = 0;
  return ledger.map(({ kind }) => {
    if (kind === "audio") return mel[sound++]?.data ?? new Float32Array();
    const [t, h, w] = grids[picture++] ?? [0, 0, 0];
    return patches.subarray(at, (at += t * h * w * width));
  });
}

function mark(row: string, data: Float32Array): number {
  const bits = new Uint32Array(data.buffer, data.byteOffset, data.length);
  const start = Math.imul(hash32(row) ^ data.length, PRIME);
  return sum(start, bits, Math.ceil(data.length / MOST_VALUES));
}

const PRIME = 0x01000193;

/** FNV-1a over every `stride`-th word, with a shift: a product alone never moves high bits down. */
function sum(start: number, words: ArrayLike<number>, stride: number): number {
  let hash = start;
  for (let i = 0; i < words.length; i += stride) {
    hash = Math.imul(hash ^ words[i]!, PRIME);
    hash ^= hash >>> 15;
  }
  return Math.imul(hash ^ words.length, PRIME) >>> 0;
}
