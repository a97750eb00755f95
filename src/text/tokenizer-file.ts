/*
 * Limits of a stranger's tokenizer.json: the library takes its word, makes room for the largest id,
 * and runs its patterns, of which some take for ever on thirty letters.
 */
import { quoted, shown } from "../core/quoted.ts";

/** The parts of tokenizer.json that aubade itself reads. */
export interface TokenizerFile {
  normalizer?: { type?: string } | null;
  model?: { type?: string; vocab: Record<string, number>; merges?: unknown[] };
  decoder?: { type?: string } | null;
  added_tokens: { id: number; content: string; special: boolean }[];
}

/** Ids are below this; the largest vocabularies have some hundred thousand. */
const MAX_IDS = 2 ** 22;

/**
 * Patterns that split text in time that follows its length: those of Qwen2, of GPT-2, and of GPT-4 as
 * Llama 3 has it. Any pattern in the file must be one of them.
 */
const PATTERNS: ReadonlySet<string> = new Set([
  String.raw`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`,
  String.raw`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`,
  String.raw`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`,
]);

/**
 * Checks what a tokenizer file says before the library believes it.
 *
 * @throws {Error} that says what is wrong.
 */
export function checkTokenizerFile(value: unknown): TokenizerFile {
  if (!isTable(value)) throw new Error("it is no object");
  const { model, decoder, added_tokens: added } = value;
  if (!isTable(model)) throw new Error("it has no model");
  const kinds = [model["type"] ?? "BPE", isTable(decoder) ? decoder["type"] : undefined];
  if (kinds[0] !== "BPE" || kinds[1] !== "ByteLevel") {
    throw new Error(
      `it is ${kinds.map((kind) => (typeof kind === "string" ? shown(kind) : quoted(kind))).join(" with decoder ")}, not BPE with decoder ByteLevel`,
    );
  }
  if (!isTable(model["vocab"])) throw new Error("its model has no vocab");
  for (const [token, id] of Object.entries(model["vocab"])) checkId(id, token);
  const { merges = [] } = model;
  if (!Array.isArray(merges) || !merges.every(isMerge)) {
    throw new Error("its merges are no list of pairs of tokens");
  }
  if (!Array.isArray(added)) throw new Error("it has no added_tokens");
  for (const token of added as unknown[]) {
    if (!isTable(token) || typeof token["content"] !== "string") {
      throw new Error("one of its added_tokens has no content");
    }
    checkId(token["id"], token["content"]);
  }
  checkPatterns(value);
  return value as unknown as TokenizerFile;
}

function checkId(id: unknown, token: string): void {
  if (Number.isSafeInteger(id) && (id as number) >= 0 && (id as number) < MAX_IDS) return;
  throw new Error(
    `its token ${quoted(token)} has the id ${quoted(id)}; ids are 0 to ${MAX_IDS - 1}`,
  );
}

function isMerge(merge: unknown): boolean {
  if (typeof merge === "string") return /^\S+ \S+$/.test(merge);
  return Array.isArray(merge) && merge.length === 2 && merge.every((t) => typeof t === "string");
}

/** Looks at every pattern, whichever part of the file has it. */
function checkPatterns(value: unknown): void {
  const parts = [value];
  for (let part = parts.pop(); part !== undefined; part = parts.pop()) {
    if (!isTable(part) && !Array.isArray(part)) continue;
    for (const [key, inner] of Object.entries(part)) {
      if (key === "vocab" || key === "merges") continue;
      if (key === "Regex" && !(typeof inner === "string" && PATTERNS.has(inner))) {
        throw new Error(
          `its pattern ${quoted(inner)} is none of Qwen2, GPT-2 or Llama 3, and may take for ever`,
        );
      }
      if (inner !== null && inner !== undefined) parts.push(inner);
    }
  }
}

function isTable(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
