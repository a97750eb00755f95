/**
 * The safetensors format once more, for tests: written from its description and without a line of
 * the reader's, so that what both make of a damaged file can be compared.
 */
import { isUtf8 } from "node:buffer";

/** The entry of a tensor in a file's header. */
export interface Promised {
  dtype: string;
  shape: number[];
  bytes: Uint8Array;
}

const SIZES: Record<string, number> = Object.assign(Object.create(null), {
  ...{ BOOL: 1, U8: 1, I8: 1, F8_E5M2: 1, F8_E4M3: 1, I16: 2, U16: 2, F16: 2, BF16: 2 },
  ...{ I32: 4, U32: 4, F32: 4, F64: 8, I64: 8, U64: 8 },
});

type Json = null | boolean | number | string | Json[] | Map<string, Json>;

/** The tensors of a file; undefined when the file breaks a rule of the format. */
export function promisedTensors(file: Uint8Array): Map<string, Promised> | undefined {
  if (file.length < 8) return undefined;
  let length = 0n;
  for (let i = 7; i >= 0; i--) length = length * 256n + BigInt(file[i]!);
  if (length > 100_000_000n || 8n + length > BigInt(file.length)) return undefined;
  const start = 8 + Number(length);
  if (file[8] !== 0x7b) return undefined;
  const header = parseJson(file.subarray(8, start));
  if (!(header instanceof Map)) return undefined;
  const tensors = new Map<string, Promised>();
  const ranges: [begin: number, end: number][] = [];
  for (const [name, entry] of header) {
    if (!(entry instanceof Map)) return undefined;
    if (name === "__metadata__") {
      if ([...entry.values()].some((value) => typeof value !== "string")) return undefined;
      continue;
    }
    const dtype = entry.get("dtype");
    const shape = entry.get("shape");
    const range = entry.get("data_offsets");
    if (typeof dtype !== "string" || SIZES[dtype] === undefined) return undefined;
    if (!isCounts(shape) || !isCounts(range) || range.length !== 2) return undefined;
    let needed = BigInt(SIZES[dtype]);
    for (const size of shape) {
      needed *= BigInt(size);
      if (needed >= 2n ** 53n) return undefined;
    }
    const [begin, end] = range as [number, number];
    if (BigInt(end) - BigInt(begin) !== needed || start + end > file.length) return undefined;
    ranges.push([begin, end]);
    tensors.set(name, { dtype, shape, bytes: file.slice(start + begin, start + end) });
  }
  ranges.sort(([a, b], [c, d]) => a - c || b - d);
  let covered = 0;
  for (const [begin, end] of ranges) {
    if (begin !== covered) return undefined;
    covered = end;
  }
  return start + covered === file.length ? tensors : undefined;
}

/** Returns the file of each tensor by an index; undefined when it is none. */
export function promisedPlaces(index: Uint8Array): Map<string, string> | undefined {
  const json = parseJson(index);
  const map = json instanceof Map ? json.get("weight_map") : undefined;
  if (!(map instanceof Map)) return undefined;
  const places = new Map<string, string>();
  for (const [name, place] of map) {
    if (typeof place !== "string") return undefined;
    const characters = place.split("");
    if (characters.every((c) => c === ".")) return undefined;
    if (characters.some((c) => "/\\%?#".includes(c) || c < " ")) return undefined;
    places.set(name, place);
  }
  return places;
}

/** The float32 values of a tensor by the definition of its type; undefined if it has none. */
export function floatsOf({ dtype, bytes }: Promised): number[] | undefined {
  const bits = { F32: [8, 23], F16: [5, 10], BF16: [8, 7] }[dtype];
  if (bits === undefined) return undefined;
  const [exponentBits, fractionBits] = bits as [number, number];
  const size = SIZES[dtype]!;
  const bias = 2 ** (exponentBits - 1) - 1;
  return Array.from({ length: bytes.length / size }, (_, i) => {
    let word = 0;
    for (let k = size - 1; k >= 0; k--) word = word * 256 + bytes[i * size + k]!;
    const fraction = word % 2 ** fractionBits;
    const exponent = Math.floor(word / 2 ** fractionBits) % 2 ** exponentBits;
    const sign = word >= 2 ** (exponentBits + fractionBits) ? -1 : 1;
    if (exponent === 2 ** exponentBits - 1) return fraction === 0 ? sign * Infinity : NaN;
    if (exponent === 0) return sign * fraction * 2 ** (1 - bias - fractionBits);
    return sign * (1 + fraction * 2 ** -fractionBits) * 2 ** (exponent - bias);
  });
}

function isCounts(value: Json | undefined): value is number[] {
  if (!Array.isArray(value)) return false;
  return value.every((n) => typeof n === "number" && Number.isSafeInteger(n) && !(1 / n < 0));
}

/** JSON by RFC 8259, with names once in a table and at most 64 levels; undefined if it is not. */
export function parseJson(bytes: Uint8Array): Json | undefined {
  if (!isUtf8(bytes)) return undefined;
  const text = Buffer.from(bytes).toString("utf8");
  let at = 0;
  class Wrong extends Error {}
  const token = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at;
    const found = pattern.exec(text)?.[0];
    at += found?.length ?? 0;
    return found;
  };
  const space = () => token(/[ \t\n\r]*/y);
  const need = (pattern: RegExp): string => {
    space();
    const found = token(pattern);
    if (found === undefined) throw new Wrong();
    space();
    return found;
  };
  const ESCAPES: Record<string, string> = { b: "\b", f: "\f", n: "\n", r: "\r", t: "\t" };
  const string = (): string => {
    if (text[at++] !== '"') throw new Wrong();
    let value = "";
    for (;;) {
      const c = text[at++];
      if (c === undefined || c < " ") throw new Wrong();
      if (c === '"') return value;
      if (c !== "\\") {
        value += c;
        continue;
      }
      const code = text[at++]!;
      if (code === "u") {
        const hex = token(/[0-9a-fA-F]{4}/y);
        if (hex === undefined) throw new Wrong();
        value += String.fromCharCode(parseInt(hex, 16));
      } else if ('"\\/'.includes(code)) value += code;
      else if (ESCAPES[code] !== undefined) value += ESCAPES[code];
      else throw new Wrong();
    }
  };
  const value = (depth: number): Json => {
    space();
    const c = text[at];
    if ((c === "{" || c === "[") && depth === 64) throw new Wrong();
    if (c === '"') return string();
    if (c === "{") {
      const table = new Map<string, Json>();
      at++;
      for (let more = need(/\}|(?=")/y) === ""; more; more = need(/[,}]/y) === ",") {
        space();
        const name = string();
        need(/:/y);
        if (table.has(name)) throw new Wrong();
        table.set(name, value(depth + 1));
      }
      return table;
    }
    if (c === "[") {
      const list: Json[] = [];
      at++;
      for (let more = need(/\]|(?=[^\]])/y) === ""; more; more = need(/[,\]]/y) === ",") {
        list.push(value(depth + 1));
      }
      return list;
    }
    const word = need(/true|false|null|-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?/y);
    if (word === "true" || word === "false") return word === "true";
    return word === "null" ? null : Number(word);
  };
  try {
    const root = value(0);
    space();
    return at === text.length ? root : undefined;
  } catch (error) {
    if (error instanceof Wrong) return undefined;
    throw error;
  }
}
