import type { Processor } from "../model/processor.ts";

/** Facts of a tokenizer that generation needs. */
export interface TokenFacts {
  /** Tokens that end a completion. */
  eosIds: readonly number[];
  padId: number;
  /** Media placeholders and what else the sampler must never emit. */
  placeholderIds: readonly number[];
  /** Tokens that the tokenizer knows; embedding rows beyond are padding and are banned too. */
  vocabSize: number;
}

/** Collects what generation needs to know of a processor's tokenizer. */
export function tokenFacts(processor: Processor): TokenFacts {
  const { eosIds, padId, placeholderIds, generation, tokenizer } = processor;
  const banned = [...placeholderIds, ...(generation.suppressTokens ?? [])];
  return { eosIds, padId, placeholderIds: banned, vocabSize: tokenizer.vocabSize };
}

/** Returns a bit for every row of the vocabulary that the sampler must never emit, 32 in a word. */
export function bannedTokens(
  { placeholderIds, vocabSize }: TokenFacts,
  vocabularyRows: number,
): Uint32Array {
  const bits = new Uint32Array(Math.ceil(vocabularyRows / 32));
  const ban = (id: number) => (bits[id >>> 5]! |= 1 << (id & 31));
  for (const id of placeholderIds) ban(id);
  for (let id = vocabSize; id < bits.length * 32; id++) ban(id);
  return bits;
}
