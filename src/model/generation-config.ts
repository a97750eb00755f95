import { ConfigReader } from "../io/config-reader.ts";

/**
 * The settings that a checkpoint recommends for its answers; absent where its file says nothing.
 */
export interface GenerationDefaults {
  /** Ids that end an answer, at least one. */
  eosIds?: number[];
  /** Id that fills up shorter rows. */
  padId?: number;
  /** Draw tokens; otherwise the most likely one is taken. */
  doSample?: boolean;
  /** Divisor of the logits, at least 0. */
  temperature?: number;
  /** Most likely tokens kept; 0 keeps all. */
  topK?: number;
  /** Smallest probability mass kept, 0 to 1; 0 keeps the most likely token. */
  topP?: number;
  /** Divisor of the logits of tokens already seen, above 0; 1 is off. */
  repetitionPenalty?: number;
  /** Maximum of tokens of an answer, at least 1. */
  maxNewTokens?: number;
  /** Ids that must never be generated. */
  suppressTokens?: number[];
}

/**
 * Reads a `generation_config.json`; keys that it does not know or that are null say nothing.
 *
 * @param text - the file's text; undefined, for a checkpoint without one, gives no defaults.
 * @param file - the file's name in messages.
 * @throws {CheckpointError} `bad-config`, which names the key and its value.
 * Source: GenerationConfig of transformers 4.57.6.
 */
export function parseGenerationConfig(text: string | undefined, file: string): GenerationDefaults {
  if (text === undefined) return {};
  const reader = ConfigReader.parse(text, file);
  const read = <T>(key: string, value: (key: string) => T) =>
    reader.has(key) ? value(key) : undefined;
  const number = (expected: string, fits: (value: number) => boolean) => (key: string) => {
    const value = reader.number(key);
    if (!fits(value)) throw reader.error(key, value, expected);
    return value;
  };
  const ids = (key: string) => {
    const found = reader.isList(key) ? reader.integers(key) : [reader.integer(key)];
    if (found.length === 0) throw reader.error(key, found, "at least one id");
    return found;
  };
  const all = {
    eosIds: read("eos_token_id", ids),
    padId: read("pad_token_id", (key) => reader.integer(key)),
    doSample: read("do_sample", (key) => reader.boolean(key)),
    temperature: read(
      "temperature",
      number("a number of at least 0", (v) => v >= 0),
    ),
    topK: read("top_k", (key) => reader.integer(key)),
    topP: read(
      "top_p",
      number("a number from 0 to 1", (v) => v >= 0 && v <= 1),
    ),
    repetitionPenalty: read(
      "repetition_penalty",
      number("a number above 0", (v) => v > 0),
    ),
    maxNewTokens: read("max_new_tokens", (key) => reader.size(key)),
    suppressTokens: read("suppress_tokens", (key) => reader.integers(key)),
  };
  const said = Object.entries(all).filter(([, value]) => value !== undefined);
  return Object.fromEntries(said) as GenerationDefaults;
}
