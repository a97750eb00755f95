import { ConfigError, DataError } from "../core/errors.ts";
import { inBatches } from "../core/in-batches.ts";
import { hash32 } from "../core/random.ts";
import type { DecodeLimits, DecodeSizes } from "../network/decoder/decode.ts";
import type { GenerationRequest } from "./types.ts";

/** Inputs of the decode loop: one row per completion, groups contiguous. */
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
 * Cuts requests into batches of at most `tokensPerBatch` tokens, in order: those of prompts and the
 * room of their completions. A request that is larger alone is a batch of its own.
 *
 * @param limits what the device holds of a batch, which cuts further where it must.
 */
export function requestBatches<T extends GenerationRequest>(
  requests: readonly T[],
  maxNewTokens: number,
  tokensPerBatch: number,
  limits: Pick<DecodeLimits, "tokens" | "rows">,
): T[][] {
  const promptOf = ({ sample }: T) => sample.inputIds.length;
  const rowsOf = ({ generations }: T) => generations;
  const tokensOf = (request: T) => promptOf(request) + rowsOf(request) * maxNewTokens;
  return inBatches(requests, tokensOf, tokensPerBatch)
    .flatMap((batch) => inBatches(batch, promptOf, limits.tokens))
    .flatMap((batch) => inBatches(batch, rowsOf, limits.rows));
}

const MIB = 2 ** 20;

/**
 * Checks that the device can decode so many completions of a prompt at once.
 *
 * @throws {ConfigError} `too-many-completions`, `completion-too-long`.
 */
export function checkCompletions(
  generations: number,
  maxNewTokens: number,
  limits: DecodeLimits,
  chunkBytes: number,
): void {
  const binding = `one binding of this adapter (${Math.floor(chunkBytes / MIB)} MiB)`;
  if (limits.rows === 0) {
    throw new ConfigError(
      "completion-too-long",
      `a completion of up to ${maxNewTokens} tokens does not fit ${binding}.`,
      {
        hint: `Set rollout.max_completion_length, or maxNewTokens, to at most ${limits.capacity}.`,
      },
    );
  }
  if (generations <= limits.rows) return;
  throw new ConfigError(
    "too-many-completions",
    `${generations} completions of one prompt, of up to ${maxNewTokens} tokens each, do not fit ` +
      `${binding}, which holds ${limits.rows} of them.`,
    {
      hint: `Set train.num_generations, or generations, to at most ${limits.rows}, or allow fewer tokens.`,
    },
  );
}

/**
 * Checks that the device can decode a request.
 *
 * @throws {ConfigError} as `checkCompletions`.
 * @throws {DataError} `prompt-too-long` that names the row.
 */
export function checkRequest(
  { sample, generations }: GenerationRequest,
  maxNewTokens: number,
  limits: DecodeLimits,
  chunkBytes: number,
): void {
  checkCompletions(generations, maxNewTokens, limits, chunkBytes);
  const { length } = sample.inputIds;
  if (length <= limits.tokens && sample.nextPos + maxNewTokens <= limits.positions) return;
  throw new DataError(
    "prompt-too-long",
    `${sample.id}: a prompt of ${length} tokens up to position ${sample.nextPos - 1} is too long: ` +
      `one binding of this adapter (${Math.floor(chunkBytes / MIB)} MiB) holds the keys of ` +
      `${limits.tokens} tokens and ${limits.positions} positions.`,
    { hint: "Give it fewer frames, smaller pictures or a shorter sound." },
  );
}

/** Returns sizes of buffers that can hold each of the batches. */
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
