import type { CheckpointError } from "../core/errors.ts";
import { damaged, parseTable, show } from "./safetensors-json.ts";

/** Element types of the safetensors format that aubade can hold; values as in the file. */
export type SafetensorsDType = keyof typeof SAFETENSORS_BYTES;

/** Bytes of one element of each type, in the order by which the Python writer sorts tensors. */
export const SAFETENSORS_BYTES = {
  BOOL: 1,
  U8: 1,
  I8: 1,
  F8_E5M2: 1,
  F8_E4M3: 1,
  I16: 2,
  U16: 2,
  F16: 2,
  BF16: 2,
  I32: 4,
  U32: 4,
  F32: 4,
  F64: 8,
  I64: 8,
  U64: 8,
} as const;

/** Maximum length of a header, in bytes; the same limit as the reference implementation's. */
export const MAX_HEADER_BYTES = 100_000_000;

/** The place of one tensor in a safetensors file. */
export interface TensorInfo {
  name: string;
  dtype: SafetensorsDType;
  shape: readonly number[];
  /** Byte offset from the start of the file. */
  offset: number;
  /** Length in bytes. */
  bytes: number;
}

/** The parsed header of a safetensors file. */
export interface SafetensorsHeader {
  metadata: Record<string, string>;
  /** Tensors by name, in the order of their bytes. */
  tensors: Map<string, TensorInfo>;
}

/**
 * Parses the JSON header of a safetensors file and checks it against the length of the file.
 *
 * Tensors must cover the data section exactly: no overlap, no gap, no byte beyond the end.
 *
 * @param text - the header as bytes, without the eight bytes of its length.
 * @param fileBytes - length of the whole file.
 * @throws {CheckpointError} that names the file and the tensor.
 * Source: huggingface/safetensors, safetensors/src/tensor.rs (Metadata::validate).
 */
export function parseHeader(text: Uint8Array, fileBytes: number, file: string): SafetensorsHeader {
  // The format has no spaces before the header, though JSON may and the Rust library reads them.
  if (text[0] !== 0x7b) {
    throw damaged("bad-header", `${file}: the safetensors header is not an object.`);
  }
  const json = parseTable(text, `${file}: the safetensors header`, "bad-header");
  const dataStart = 8 + text.byteLength;
  const dataBytes = fileBytes - dataStart;
  let metadata: Record<string, string> = {};
  const infos: TensorInfo[] = [];
  for (const [name, entry] of Object.entries(json)) {
    if (name === "__metadata__") metadata = parseMetadata(entry, file);
    else infos.push(parseTensor(name, entry, dataStart, dataBytes, file));
  }
  infos.sort((a, b) => a.offset - b.offset || a.bytes - b.bytes);
  let end = dataStart;
  let before = "the header";
  for (const info of infos) {
    if (info.offset !== end) {
      const what = info.offset < end ? "overlaps" : "leaves a gap after";
      throw broken(file, info.name, `${what} ${before}`, "tensor-layout");
    }
    end = info.offset + info.bytes;
    before = show(info.name);
  }
  if (end !== fileBytes) {
    const rest = `${fileBytes - end} bytes after its last tensor (${before})`;
    throw damaged("tensor-layout", `${file} has ${rest}.`);
  }
  return { metadata, tensors: new Map(infos.map((info) => [info.name, info])) };
}

/** Returns an error about one tensor of one file. */
function broken(file: string, tensor: string, what: string, code: string): CheckpointError {
  return damaged(code, `${file}: tensor ${show(tensor)} ${what}.`);
}

function parseMetadata(entry: unknown, file: string): Record<string, string> {
  const plain = typeof entry === "object" && entry !== null && !Array.isArray(entry);
  if (plain && Object.values(entry).every((value) => typeof value === "string")) {
    return entry as Record<string, string>;
  }
  throw damaged("bad-header", `${file}: __metadata__ is not a table of strings.`);
}

function isCount(value: unknown): value is number {
  return (
    typeof value === "number" && Number.isSafeInteger(value) && value >= 0 && !Object.is(value, -0)
  );
}

function parseTensor(
  name: string,
  entry: unknown,
  dataStart: number,
  dataBytes: number,
  file: string,
): TensorInfo {
  if (typeof entry !== "object" || entry === null) {
    throw broken(file, name, "has no description", "bad-header");
  }
  const { dtype, shape, data_offsets: range } = entry as Record<string, unknown>;
  if (typeof dtype !== "string" || !Object.hasOwn(SAFETENSORS_BYTES, dtype)) {
    throw broken(file, name, `has the unknown dtype ${show(dtype)}`, "unknown-dtype");
  }
  if (!Array.isArray(shape) || !shape.every(isCount)) {
    throw broken(file, name, `has the shape ${show(shape)}`, "bad-shape");
  }
  if (!Array.isArray(range) || range.length !== 2 || !range.every(isCount)) {
    throw broken(file, name, `has the offsets ${show(range)}`, "bad-offsets");
  }
  const [begin, end] = range as [number, number];
  if (begin > end || end > dataBytes) {
    const where = `lies at ${begin} to ${end} of ${dataBytes} data bytes`;
    throw broken(file, name, where, "truncated-file");
  }
  const type = dtype as SafetensorsDType;
  let bytes: number = SAFETENSORS_BYTES[type];
  for (const size of shape) {
    bytes *= size;
    // A product that is not exact would compare with the offsets as it should not.
    if (!Number.isSafeInteger(bytes)) break;
  }
  if (bytes !== end - begin) {
    const what = `of ${dtype} ${show(shape)} needs ${bytes} bytes but has ${end - begin}`;
    throw broken(file, name, what, "bad-shape");
  }
  return { name, dtype: type, shape: shape as number[], offset: dataStart + begin, bytes };
}
