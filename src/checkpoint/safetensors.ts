import { exists, fileSource, readBytes } from "#io";
import { bf16ToF32, f16ToF32 } from "../core/convert16.ts";
import { CheckpointError, ShapeError } from "../core/errors.ts";
import type { ByteSource } from "../io/byte-source.ts";
import { joinPath } from "../io/path.ts";
import { damaged, parseTable, show } from "./safetensors-json.ts";
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
  /** Fills `into` with the bytes of a tensor from byte `offset` of it. */
  readInto(name: string, offset: number, into: Uint8Array<ArrayBuffer>): Promise<void>;
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
  const readInto = async (tensor: string, offset: number, into: Uint8Array<ArrayBuffer>) => {
    if (source.readInto === undefined) {
      into.set(await readRange(tensor, offset, into.length));
      return;
    }
    const { offset: start, bytes } = info(tensor);
    checkPart(tensor, bytes, offset, into.length, name);
    await source.readInto(start + offset, into);
  };
  return {
    name,
    metadata,
    tensors,
    read,
    readRange: async (tensor, offset, length) => readRange(tensor, offset, length),
    readInto,
    readF32: async (tensor) => {
      checkFloating(info(tensor), name);
      return toF32(info(tensor), await read(tensor));
    },
    close: async () => source.close?.(),
  };
}

/**
 * Opens the weights of a checkpoint folder (a path or a URL), in one file or in shards.
 *
 * As in transformers, `model.safetensors` is opened when it is there, and otherwise
 * `model.safetensors.index.json` is followed. What the index does not list does not exist: tensors
 * of the shards that it leaves out are not in the store.
 *
 * @param wanted says which tensors will be read: a shard without one is not opened and may be
 *   missing, as those with the speech half of a model are that was fetched without it.
 * @throws {CheckpointError} `missing-weights`, `bad-index`, `missing-tensor` when a shard lacks what
 * the index places in it, or as {@link openSafetensors}.
 */
export async function openCheckpoint(
  folder: string,
  wanted: (name: string) => boolean = () => true,
): Promise<TensorStore> {
  const path = joinPath(folder, "model.safetensors");
  if (await exists(path)) return openSafetensorsFile(path);
  const index = joinPath(folder, "model.safetensors.index.json");
  if (await exists(index)) return openShards(folder, index, wanted);
  throw new CheckpointError(
    "missing-weights",
    `${folder} holds neither model.safetensors nor model.safetensors.index.json.`,
    { hint: "Name the folder that holds the weights." },
  );
}

/** Opens a safetensors file by its path or URL, as {@link openSafetensors}; the caller closes it. */
export async function openSafetensorsFile(path: string): Promise<TensorStore> {
  const source = await fileSource(path);
  try {
    return await openSafetensors(source, path);
  } catch (error) {
    await source.close?.();
    throw error;
  }
}

async function openShards(
  folder: string,
  index: string,
  wanted: (name: string) => boolean,
): Promise<TensorStore> {
  const all = parseIndex(await readBytes(index), index);
  const needed = new Set([...all].filter(([name]) => wanted(name)).map(([, file]) => file));
  const weightMap = new Map([...all].filter(([, file]) => needed.has(file)));
  const stores = new Map<string, TensorStore>();
  const close = async () => {
    for (const store of stores.values()) await store.close();
  };
  const tensors = new Map<string, TensorInfo>();
  try {
    for (const file of [...new Set(weightMap.values())].sort()) {
      stores.set(file, await openSafetensorsFile(joinPath(folder, file)));
    }
    for (const [file, store] of stores) checkShard(store, file, weightMap, index);
    for (const [name, file] of weightMap) tensors.set(name, stores.get(file)!.tensors.get(name)!);
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
    readInto: async (name, offset, into) => storeOf(name).readInto(name, offset, into),
    readF32: async (name) => storeOf(name).readF32(name),
    close,
  };
}

/** Checks that a shard has the tensors that the index places in it. */
function checkShard(
  store: TensorStore,
  file: string,
  weightMap: ReadonlyMap<string, string>,
  index: string,
): void {
  const absent = [...weightMap]
    .filter(([name, place]) => place === file && !store.tensors.has(name))
    .map(([name]) => name);
  if (absent.length === 0) return;
  const what = absent.length === 1 ? `tensor ${show(absent[0])}` : `tensors ${show(absent)}`;
  throw new CheckpointError(
    "missing-tensor",
    `${store.name} has no ${what} among its ${store.tensors.size}, but ${index} says so.`,
    { hint: "The files are of different checkpoints; fetch them again." },
  );
}

function parseIndex(bytes: Uint8Array, path: string): Map<string, string> {
  const { weight_map: map } = parseTable(bytes, path, "bad-index");
  if (typeof map !== "object" || map === null || Array.isArray(map)) {
    throw damaged("bad-index", `${path} has no "weight_map".`);
  }
  const places = new Map<string, string>();
  for (const [tensor, file] of Object.entries(map)) {
    if (!isFileName(file)) {
      const what = `${show(tensor)} is said to be in ${show(file)}, which is no file name`;
      throw damaged("bad-index", `${path}: ${what}.`);
    }
    places.set(tensor, file);
  }
  return places;
}

/** Tells whether a name is of a file in the folder itself: an index must not lead to others. */
function isFileName(file: unknown): file is string {
  // Percent signs, question marks and hashes mean something else in a URL.
  // oxlint-disable-next-line no-control-regex
  return typeof file === "string" && /^[^/\\%?#\0-\x1f]+$/.test(file) && !/^\.+$/.test(file);
}

async function readHeader(source: ByteSource, name: string) {
  const { size } = source;
  const tooShort = (length: number) => {
    const what = `has ${size} bytes, but its header alone needs ${length}`;
    return damaged("truncated-file", `${name} ${what}.`);
  };
  if (size < 8) throw tooShort(8);
  const lengthBytes = await source.read(0, 8);
  const length = new DataView(lengthBytes.buffer).getBigUint64(0, true);
  if (length > BigInt(MAX_HEADER_BYTES)) {
    const what = `announces a header of ${length} bytes; the format allows ${MAX_HEADER_BYTES}`;
    throw damaged("header-too-large", `${name} ${what}.`);
  }
  if (8 + Number(length) > size) throw tooShort(8 + Number(length));
  return parseHeader(await source.read(8, Number(length)), size, name);
}

function find(tensors: ReadonlyMap<string, TensorInfo>, tensor: string, file: string): TensorInfo {
  const info = tensors.get(tensor);
  if (info !== undefined) return info;
  throw new CheckpointError(
    "missing-tensor",
    `${file} has no tensor ${show(tensor)} among its ${tensors.size}.`,
    { hint: "Check that the checkpoint belongs to this model." },
  );
}

function checkPart(tensor: string, bytes: number, offset: number, length: number, file: string) {
  if (offset >= 0 && length >= 0 && offset + length <= bytes) return;
  throw new ShapeError(
    "range-outside-tensor",
    `${file}: tensor ${show(tensor)} has ${bytes} bytes; ${offset} to ${offset + length} were asked.`,
  );
}

function checkFloating({ name, dtype }: TensorInfo, file: string): void {
  if (dtype === "F32" || dtype === "F16" || dtype === "BF16") return;
  throw new ShapeError(
    "not-floating",
    `${file}: tensor ${show(name)} is ${dtype}; only F32, F16 and BF16 are read as float32.`,
  );
}

function toF32({ dtype }: TensorInfo, bytes: Uint8Array<ArrayBuffer>): Float32Array<ArrayBuffer> {
  if (dtype === "F32") return new Float32Array(bytes.buffer);
  const bits = new Uint16Array(bytes.buffer);
  const values = new Float32Array(bits.length);
  if (dtype === "BF16") bf16ToF32(bits, values);
  else f16ToF32(bits, values);
  return values;
}
