import { inBatches } from "../core/in-batches.ts";
import { hash32 } from "../core/random.ts";
import type { DecodeSizes } from "../network/decoder/decode.ts";
import type { GenerationRequest } from "./generator.ts";

/** What the decode loop is told of its rows: one row per completion, groups contiguous. */
export interface RequestTables {
  rows: number;
  /** [rows, 4]: key of the sample, completion, draw, and 1 where it is greedy. */
  info: Uint32Array;
  /** [rows, 2]: the prompt's rows among the packed prompts. */
  range: Uint32Array;
  /** [rows]: the position of the first token. */
  base: Uint32Array;
  /** [rows, words]: a bit for every token of the vocabulary that the prompt has. */
  presence: Uint32Array;
}

/**
 * Lays out the rows of a batch.
 *
 * @param starts first packed row of every prompt; @param words 32-bit words that hold the vocabulary.
 */
export function requestTables(
  requests: readonly GenerationRequest[],
  starts: readonly number[],
  words: number,
  greedy: boolean,
): RequestTables {
  const rows = requests.reduce((sum, { generations }) => sum + generations, 0);
  const info = new Uint32Array(rows * 4);
  const range = new Uint32Array(rows * 2);
  const base = new Uint32Array(rows);
  const presence = new Uint32Array(rows * words);
  let row = 0;
  requests.forEach(({ sample, generations, draw }, i) => {
    const bits = new Uint32Array(words);
    for (const id of sample.inputIds) bits[id >>> 5]! |= 1 << (id & 31);
    const key = hash32(sample.id);
    for (let completion = 0; completion < generations; completion++, row++) {
      info.set([key, completion, draw, greedy ? 1 : 0], row * 4);
      range.set([starts[i]!, starts[i]! + sample.inputIds.length], row * 2);
      base[row] = sample.nextPos;
      presence.set(bits, row * words);
    }
  });
  return { rows, info, range, base, presence };
}

/**
 * Cuts requests into batches of at most `limit` tokens, in order: those of prompts and the room of
 * their completions. A request that is larger alone is a batch of its own.
 */
export function requestBatches<T extends GenerationRequest>(
  requests: readonly T[],
  maxNewTokens: number,
  limit: number,
): T[][] {
  const tokensOf = ({ sample, generations }: T) =>
    sample.inputIds.length + generations * maxNewTokens;
  return inBatches(requests, tokensOf, limit);
}

/** What buffers must hold for each of the batches. */
export function batchSizes(
  batches: readonly (readonly GenerationRequest[])[],
  maxNewTokens: number,
): DecodeSizes {
  const most = (measure: (request: GenerationRequest) => number) =>
    Math.max(...batches.map((batch) => batch.reduce((sum, one) => sum + measure(one), 0)));
  const last = Math.max(...batches.flat().map(({ sample }) => sample.nextPos));
  return {
    tokens: most(({ sample }) => sample.inputIds.length),
    cells: most(({ sample }) => sample.visionRows.length),
    audioFeatures: most(({ sample }) => sample.audioRows.length),
    rows: most(({ generations }) => generations),
    capacity: maxNewTokens,
    positions: last + maxNewTokens,
  };
}
