/**
 * Saves the weights of a model as transformers does: in `model.safetensors`, or in several files
 * with an index when they are larger than one file should be.
 */
import { checkRoom, listFolder, makeFolder, openWriter, removePath } from "#io";
import { f32ToBf16, f32ToF16 } from "../core/convert16.ts";
import { ShapeError } from "../core/errors.ts";
import { quoted } from "../core/quoted.ts";
import type { FileWriter } from "../io/byte-source.ts";
import { joinPath } from "../io/path.ts";
import { byteLength, encodeHeader, sortTensors, type TensorHead } from "./safetensors-writer.ts";

/** A tensor to be saved; only a slice of its values is in memory at a time. */
export interface TensorToSave {
  name: string;
  shape: readonly number[];
  /**
   * Starts over and gives the values in row-major order, in slices of any length.
   *
   * Ownership: a slice is read before the next one is asked for, so that one array can serve all.
   */
  slices: () => Iterable<Float32Array> | AsyncIterable<Float32Array>;
}

/** How weights are saved. */
export interface ShardOptions {
  /** Type of the saved values. */
  dtype: "F32" | "F16" | "BF16";
  /** Maximum of the bytes of tensors in a file, unless one tensor has more. Default 5 * 10^9. */
  maxShardBytes?: number;
  /** The `__metadata__` of each file. Default `{ format: "pt" }`, which transformers insists on. */
  metadata?: Readonly<Record<string, string>>;
}

/** The result of {@link writeShards}. */
export interface SavedShards {
  /** Names in the folder; the index, if there is one, is the last. */
  files: string[];
  /** Bytes of all tensors: the `total_size` of an index. */
  bytes: number;
  /** Elements that the type does not hold exactly; the infinite ones are among them. */
  inexact: number;
  /** Finite elements that became infinite, because the type ends before them. */
  overflow: number;
}

const SINGLE = "model.safetensors";
const INDEX = "model.safetensors.index.json";
/** Names of files that an earlier save, or one that was cut off, can have left in the folder. */
const OURS = /^model(-\d{5}-of-\d{5})?\.safetensors(\.index\.json)?(\.part)?$/;
/** Elements that are converted at a time: 2 MiB of output. */
const CHUNK = 2 ** 20;

/**
 * Saves tensors in one file or in shards with an index, rounded to nearest even.
 *
 * All files are written beside their names first, so that a failure leaves an earlier save as it
 * was. Then they get their names, the index last, and what is left of an earlier save goes. A crash
 * amid the renaming leaves a folder without an index, never one that mixes two saves.
 *
 * Within a file tensors are in the order of their names, and so are the calls of `slices`.
 *
 * @param folder is made when it is missing.
 * @throws {ShapeError} when a name comes twice or slices and shape differ in length.
 * @throws {CheckpointError} `disk-full`, `no-permission`.
 * @example
 * const saved = await writeShards("out", tensors, { dtype: "BF16" });
 * if (saved.overflow > 0) console.warn(`${saved.overflow} values are infinite in the file`);
 * Source: transformers 4.57.6, modeling_utils.py (save_pretrained).
 */
export async function writeShards(
  folder: string,
  tensors: Iterable<TensorToSave>,
  options: ShardOptions,
): Promise<SavedShards> {
  const { dtype, maxShardBytes = 5 * 10 ** 9, metadata = { format: "pt" } } = options;
  const all = Array.from(tensors, (tensor) => ({ ...tensor, dtype }));
  sortTensors([...all]);
  const shards = splitShards(all, byteLength, maxShardBytes);
  const names = shards.map((_, i) => shardName(i, shards.length));
  const bytes = all.reduce((sum, tensor) => sum + byteLength(tensor), 0);
  const saved: SavedShards = { files: [...names], bytes, inexact: 0, overflow: 0 };
  await makeFolder(folder);
  await checkRoom(folder, bytes);
  const writers: FileWriter[] = [];
  const start = async (name: string) => {
    const writer = await openWriter(joinPath(folder, name));
    writers.push(writer);
    return writer;
  };
  try {
    for (const [i, shard] of shards.entries()) {
      const writer = await start(names[i]!);
      const sorted = sortTensors([...shard]);
      await writer.write(encodeHeader(sorted, metadata));
      for (const tensor of sorted) await writeTensor(writer, tensor, saved);
    }
    if (shards.length > 1) {
      saved.files.push(INDEX);
      const index = indexText(shards, names, bytes);
      await (await start(INDEX)).write(new TextEncoder().encode(index));
      // An old index must not point at new shards of the same names while they are renamed.
      if ((await listFolder(folder)).includes(names[0]!)) await removePath(joinPath(folder, INDEX));
    }
    for (const writer of writers) await writer.commit();
  } catch (error) {
    for (const writer of writers) await writer.abort();
    throw error;
  }
  await removeOthers(folder, new Set(saved.files));
  return saved;
}

/**
 * Divides tensors among files, in their order: a file is closed when the next one does not fit, and
 * a tensor that is larger than a file has one for itself, before the one that is open.
 *
 * Source: huggingface_hub 0.36, serialization/_base.py (split_state_dict_into_shards_factory).
 */
export function splitShards<T>(
  tensors: readonly T[],
  bytesOf: (tensor: T) => number,
  maxShardBytes: number,
): T[][] {
  const shards: T[][] = [];
  let open: T[] = [];
  let openBytes = 0;
  for (const tensor of tensors) {
    const bytes = bytesOf(tensor);
    if (bytes > maxShardBytes) {
      shards.push([tensor]);
      continue;
    }
    if (openBytes + bytes > maxShardBytes) {
      shards.push(open);
      open = [];
      openBytes = 0;
    }
    open.push(tensor);
    openBytes += bytes;
  }
  // A model without tensors is one file that holds none.
  if (open.length > 0 || shards.length === 0) shards.push(open);
  return shards;
}

/** Returns the name of the file `index`, counted from 0, of `count`. */
export function shardName(index: number, count: number): string {
  if (count === 1) return SINGLE;
  const digits = (number: number) => String(number).padStart(5, "0");
  return `model-${digits(index + 1)}-of-${digits(count)}.safetensors`;
}

function indexText(
  shards: readonly (readonly TensorHead[])[],
  names: readonly string[],
  bytes: number,
): string {
  const places = shards.flatMap((shard, i) => shard.map(({ name }) => [name, names[i]!] as const));
  places.sort(([a], [b]) => (a < b ? -1 : 1));
  const elements = shards.flat().reduce((sum, { shape }) => sum + countOf(shape), 0);
  const index = {
    metadata: { total_parameters: elements, total_size: bytes },
    weight_map: Object.fromEntries(places),
  };
  return `${JSON.stringify(index, null, 2)}\n`;
}

function countOf(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

async function writeTensor(
  writer: FileWriter,
  tensor: TensorToSave & TensorHead,
  saved: SavedShards,
): Promise<void> {
  const count = countOf(tensor.shape);
  let done = 0;
  for await (const slice of tensor.slices()) {
    done += slice.length;
    if (done > count) break;
    await writeSlice(writer, slice, tensor.dtype, saved);
  }
  if (done === count) return;
  throw new ShapeError(
    "bad-shape",
    `Tensor ${quoted(tensor.name)} of [${tensor.shape.join(", ")}] has ${count} values but its slices ` +
      `${done > count ? "give more" : `give ${done}`}.`,
  );
}

async function writeSlice(
  writer: FileWriter,
  slice: Float32Array,
  dtype: TensorHead["dtype"],
  saved: SavedShards,
): Promise<void> {
  if (dtype === "F32") {
    await writer.write(new Uint8Array(slice.buffer, slice.byteOffset, slice.byteLength));
    return;
  }
  const narrow = dtype === "BF16" ? f32ToBf16 : f32ToF16;
  const room = new Uint16Array(Math.min(CHUNK, slice.length));
  for (let at = 0; at < slice.length; at += CHUNK) {
    const values = slice.subarray(at, at + CHUNK);
    const bits = room.subarray(0, values.length);
    const { inexact, overflow } = narrow(values, bits);
    saved.inexact += inexact;
    saved.overflow += overflow;
    await writer.write(new Uint8Array(room.buffer, 0, bits.byteLength));
  }
}

/** Removes what an earlier save left: first the files that a reader would open first. */
async function removeOthers(folder: string, kept: ReadonlySet<string>): Promise<void> {
  const old = (await listFolder(folder)).filter((name) => OURS.test(name) && !kept.has(name));
  for (const name of old.reverse()) await removePath(joinPath(folder, name));
}
