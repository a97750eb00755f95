import { checkRoom, openWriter } from "#io";
import { ShapeError } from "../core/errors.ts";
import { joinPath } from "../io/path.ts";
import { type SafetensorsDType, SAFETENSORS_BYTES } from "./safetensors-header.ts";

/** The entry of a tensor in a file's header, but for its place. */
export interface TensorHead {
  name: string;
  dtype: SafetensorsDType;
  shape: readonly number[];
}

/** A tensor to be written: its bytes, or a function that makes them when their turn comes. */
export interface TensorToWrite extends TensorHead {
  /** Little-endian bytes in row-major order; any typed array will do. */
  data: ArrayBufferView | (() => ArrayBufferView | Promise<ArrayBufferView>);
}

/**
 * Writes tensors as the bytes of a safetensors file.
 *
 * The bytes equal those of the Python library: tensors by descending dtype, then by name; the
 * header is padded with spaces to a multiple of 8.
 *
 * @throws {ShapeError} when a name comes twice or data and shape differ in length.
 * Source: huggingface/safetensors, safetensors/src/tensor.rs (prepare).
 */
export function encodeSafetensors(
  tensors: Iterable<TensorToWrite & { data: ArrayBufferView }>,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array<ArrayBuffer> {
  const sorted = sortTensors([...tensors]);
  const header = encodeHeader(sorted, metadata);
  const dataBytes = sorted.reduce((sum, tensor) => sum + byteLength(tensor), 0);
  const file = new Uint8Array(header.byteLength + dataBytes);
  file.set(header);
  let offset = header.byteLength;
  for (const tensor of sorted) {
    const bytes = checkData(tensor, tensor.data);
    file.set(bytes, offset);
    offset += bytes.byteLength;
  }
  return file;
}

/**
 * Streams tensors into a safetensors file that appears under its name when it is complete.
 *
 * At most one tensor given as a function is in memory at a time; functions are called in file
 * order. Bytes are those of {@link encodeSafetensors}.
 *
 * @throws {CheckpointError} `disk-full`, `no-permission`; the old file, if any, stays.
 * @throws {ShapeError} when a name comes twice or data and shape differ in length.
 */
export async function writeSafetensors(
  path: string,
  tensors: Iterable<TensorToWrite>,
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  const sorted = sortTensors([...tensors]);
  const header = encodeHeader(sorted, metadata);
  const bytes = sorted.reduce((sum, tensor) => sum + byteLength(tensor), header.byteLength);
  await checkRoom(joinPath(path, ".."), bytes);
  const writer = await openWriter(path);
  try {
    await writer.write(header);
    for (const tensor of sorted) {
      const data = typeof tensor.data === "function" ? await tensor.data() : tensor.data;
      await writer.write(checkData(tensor, data));
    }
  } catch (error) {
    await writer.abort();
    throw error;
  }
  await writer.commit();
}

/** Bytes of a tensor in a file. */
export function byteLength({ dtype, shape }: Pick<TensorHead, "dtype" | "shape">): number {
  return shape.reduce((product, size) => product * size, SAFETENSORS_BYTES[dtype]);
}

const DTYPE_ORDER = Object.keys(SAFETENSORS_BYTES);

/**
 * Puts tensors into the order in which a file holds them: by descending dtype, then by name.
 *
 * @throws {ShapeError} when a name comes twice or is reserved.
 */
export function sortTensors<T extends TensorHead>(tensors: T[]): T[] {
  const rank = (tensor: T) => DTYPE_ORDER.indexOf(tensor.dtype);
  tensors.sort((a, b) => rank(b) - rank(a) || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  const seen = new Set<string>();
  for (const { name } of tensors) {
    if (seen.has(name) || name === "__metadata__") {
      throw new ShapeError("duplicate-tensor", `Tensor "${name}" comes twice or is reserved.`, {
        hint: "Give every tensor of a file a name of its own.",
      });
    }
    seen.add(name);
  }
  return tensors;
}

/** Returns the start of a file, up to the bytes of the first of the sorted tensors. */
export function encodeHeader(
  sorted: readonly TensorHead[],
  metadata: Readonly<Record<string, string>>,
): Uint8Array {
  // Text, not an object: an object would put names that look like integers first.
  const entries: string[] = [];
  const keys = Object.keys(metadata).sort();
  if (keys.length > 0) {
    const table = keys.map((key) => `${JSON.stringify(key)}:${JSON.stringify(metadata[key])}`);
    entries.push(`"__metadata__":{${table.join(",")}}`);
  }
  let offset = 0;
  for (const tensor of sorted) {
    const { name, dtype, shape } = tensor;
    const end = offset + byteLength(tensor);
    const value = { dtype, shape, data_offsets: [offset, end] };
    entries.push(`${JSON.stringify(name)}:${JSON.stringify(value)}`);
    offset = end;
  }
  const json = new TextEncoder().encode(`{${entries.join(",")}}`);
  const padded = Math.ceil(json.byteLength / 8) * 8;
  const header = new Uint8Array(8 + padded).fill(0x20);
  new DataView(header.buffer).setBigUint64(0, BigInt(padded), true);
  header.set(json, 8);
  return header;
}

function checkData(tensor: TensorToWrite, data: ArrayBufferView): Uint8Array {
  const expected = byteLength(tensor);
  if (data.byteLength !== expected) {
    throw new ShapeError(
      "bad-shape",
      `Tensor "${tensor.name}" of ${tensor.dtype} [${tensor.shape.join(", ")}] needs ` +
        `${expected} bytes but its data has ${data.byteLength}.`,
    );
  }
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}
