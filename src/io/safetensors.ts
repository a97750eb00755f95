import { fileSource, readText, exists } from "#io";
import { bf16ToF32, f16ToF32 } from "../core/convert16.ts";
import { CheckpointError, ShapeError } from "../core/errors.ts";
import type { ByteSource } from "./byte-source.ts";
import { baseName, joinPath } from "./path.ts";
import { type TensorInfo, MAX_HEADER_BYTES, parseHeader } from "./safetensors-header.ts";

/** Named tensors that can be read one at a time, from one file or from the shards of a folder. */
export interface TensorStore {
  /** File or folder, for messages. */
  readonly name: string;
  /** The `__metadata__` table of the file (of the first shard, for several). */
  readonly metadata: Readonly<Record<string, string>>;
  /** Tensors by name; `offset` counts from the start of the tensor's own file. */
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  /**
   * Reads the bytes of a tensor as stored, little-endian, in a buffer of their own.
   *
   * @throws {CheckpointError} `missing-tensor`, or when the file ends early.
   */
  read(name: string): Promise<Uint8Array<ArrayBuffer>>;
  /** Reads `length` bytes of a tensor from byte `offset` of it. */
  readRange(name: string, offset: number, length: number): Promise<Uint8Array<ArrayBuffer>>;
  /**
   * Reads a tensor of dtype F32, F16 or BF16 as float32, exactly.
   *
   * @throws {ShapeError} `not-floating` for any other dtype.
   */
  readF32(name: string): Promise<Float32Array<ArrayBuffer>>;
  /** Closes the files. */
  close(): Promise<void>;
}

/**
 * Opens one safetensors file: reads and checks its header, nothing else.
 *
 * @throws {CheckpointError} that names the file, and the tensor where there is one.
 * @example
 * const store = await openSafetensors(await fileSource("model.safetensors"), "model.safetensors");
 * const norm = await store.readF32("model.norm.weight");
 */
export async function openSafetensors(source: ByteSource, name: string): Promise<TensorStore> {
  const { metadata, tensors } = await readHeader(source, name);
  const info = (tensor: string) => find(tensors, tensor, name);
  const readRange = (tensor: string, offset: number, length: number) => {
    const { offset: start, bytes } = info(tensor);
    checkPart(tensor, bytes, offset, length, name);
    return source.read(start + offset, length);
  };
  const read = async (tensor: string) => readRange(tensor, 0, info(tensor).bytes);
  return {
    name,
    metadata,
    tensors,
    read,
    readRange: async (tensor, offset, length) => readRange(tensor, offset, length),
    readF32: async (tensor) => toF32(info(tensor), await read(tensor), name),
    close: async () => source.close?.(),
  };
}

/**
 * Opens the weights of a checkpoint folder (a path or a URL), in one file or in shards.
 *
 * `model.safetensors.index.json` is followed when it is there, else `model.safetensors` is opened.
 *
 * @throws {CheckpointError} `missing-weights`, `bad-index`, or as {@link openSafetensors}.
 */
export async function openCheckpoint(folder: string): Promise<TensorStore> {
  const indexPath = joinPath(folder, "model.safetensors.index.json");
  if (await exists(indexPath)) return openShards(folder, await readText(indexPath));
  const path = joinPath(folder, "model.safetensors");
  if (!(await exists(path))) {
    throw new CheckpointError(
      "missing-weights",
      `${folder} holds neither model.safetensors nor model.safetensors.index.json.`,
      { hint: "Name the folder that holds the weights." },
    );
  }
  return openOrClose(path, path);
}

async function openOrClose(path: string, name: string): Promise<TensorStore> {
  const source = await fileSource(path);
  try {
    return await openSafetensors(source, name);
  } catch (error) {
    await source.close?.();
    throw error;
  }
}

async function openShards(folder: string, indexText: string): Promise<TensorStore> {
  const weightMap = parseIndex(folder, indexText);
  const stores = new Map<string, TensorStore>();
  const close = async () => {
    for (const store of stores.values()) await store.close();
  };
  const tensors = new Map<string, TensorInfo>();
  try {
    for (const file of [...new Set(weightMap.values())].sort()) {
      stores.set(file, await openOrClose(joinPath(folder, file), joinPath(folder, file)));
    }
    for (const [name, file] of weightMap) {
      const store = stores.get(file)!;
      tensors.set(name, find(store.tensors, name, store.name));
    }
  } catch (error) {
    await close();
    throw error;
  }
  const storeOf = (name: string) => {
    find(tensors, name, folder);
    return stores.get(weightMap.get(name)!)!;
  };
  return {
    name: folder,
    metadata: [...stores.values()][0]?.metadata ?? {},
    tensors,
    read: async (name) => storeOf(name).read(name),
    readRange: async (name, offset, length) => storeOf(name).readRange(name, offset, length),
    readF32: async (name) => storeOf(name).readF32(name),
    close,
  };
}

function parseIndex(folder: string, text: string): Map<string, string> {
  const path = joinPath(folder, "model.safetensors.index.json");
  let map: unknown;
  try {
    map = (JSON.parse(text) as { weight_map?: unknown } | null)?.weight_map;
  } catch (cause) {
    throw new CheckpointError("bad-index", `${path} is not JSON.`, {
      hint: "Fetch it again.",
      cause,
    });
  }
  if (typeof map !== "object" || map === null) {
    throw new CheckpointError("bad-index", `${path} has no "weight_map".`, {
      hint: "Fetch it again.",
    });
  }
  for (const [tensor, file] of Object.entries(map)) {
    // A shard lies in the folder itself: an index must not lead a reader to other files.
    if (typeof file === "string" && file !== "" && baseName(file) === file) continue;
    throw new CheckpointError(
      "bad-index",
      `${path}: "${tensor}" is said to be in ${JSON.stringify(file)}, which is no file name.`,
      { hint: "Fetch it again." },
    );
  }
  return new Map(Object.entries(map as Record<string, string>));
}

async function readHeader(source: ByteSource, name: string) {
  const tooShort = (length: number) =>
    new CheckpointError(
      "truncated-file",
      `${name} has ${source.size} bytes, but its header alone needs ${length}.`,
      { hint: "The file is damaged or of another format; fetch it again." },
    );
  if (source.size < 8) throw tooShort(8);
  const lengthBytes = await source.read(0, 8);
  const length = new DataView(lengthBytes.buffer).getBigUint64(0, true);
  if (length > BigInt(MAX_HEADER_BYTES)) {
    throw new CheckpointError(
      "header-too-large",
      `${name} announces a header of ${length} bytes; the format allows ${MAX_HEADER_BYTES}.`,
      { hint: "The file is damaged or of another format; fetch it again." },
    );
  }
  if (8 + Number(length) > source.size) throw tooShort(8 + Number(length));
  return parseHeader(await source.read(8, Number(length)), source.size, name);
}

function find(tensors: ReadonlyMap<string, TensorInfo>, tensor: string, file: string): TensorInfo {
  const info = tensors.get(tensor);
  if (info !== undefined) return info;
  throw new CheckpointError(
    "missing-tensor",
    `${file} has no tensor "${tensor}" among its ${tensors.size}.`,
    { hint: "Check that the checkpoint belongs to this model." },
  );
}

function checkPart(tensor: string, bytes: number, offset: number, length: number, file: string) {
  if (offset >= 0 && length >= 0 && offset + length <= bytes) return;
  throw new ShapeError(
    "range-outside-tensor",
    `${file}: tensor "${tensor}" has ${bytes} bytes; ${offset} to ${offset + length} were asked.`,
  );
}

function toF32(
  info: TensorInfo,
  bytes: Uint8Array<ArrayBuffer>,
  file: string,
): Float32Array<ArrayBuffer> {
  if (info.dtype === "F32") return new Float32Array(bytes.buffer);
  if (info.dtype === "BF16" || info.dtype === "F16") {
    const bits = new Uint16Array(bytes.buffer);
    const values = new Float32Array(bits.length);
    if (info.dtype === "BF16") bf16ToF32(bits, values);
    else f16ToF32(bits, values);
    return values;
  }
  throw new ShapeError(
    "not-floating",
    `${file}: tensor "${info.name}" is ${info.dtype}; only F32, F16 and BF16 are read as float32.`,
  );
}
