import { ShapeError } from "../../core/errors.ts";
import { evaluate, Extent, type Environment } from "../extent.ts";
import { rootOf, type Chunk, type Chunks, type Tensor } from "../graph.ts";
import type { Storage } from "../storage.ts";

/** The most that a plan can be replayed with, by extent name. */
export type Capacity = Readonly<Record<string, number>>;

/** Bytes of one row of a tensor. */
export function rowBytesOf(tensor: Tensor): number {
  return tensor.storage !== undefined && tensor.viewOf === undefined
    ? tensor.storage.rowBytes
    : tensor.width * 4;
}

/** Rows that a tensor can have. */
export function capacityRows(tensor: Tensor, capacity: Capacity): number {
  if (!(tensor.rows instanceof Extent)) return tensor.rows;
  return evaluate(tensor.rows, { sizes: capacity, scalars: {} });
}

function rowsPerChunk(tensor: Tensor, chunkBytes: number): number {
  const root = rootOf(tensor);
  if (tensor.rows instanceof Extent) {
    const units = tensor.rows.unitsPerChunk(chunkBytes);
    const rows = units * tensor.rows.scale;
    if (root.storage !== undefined) checkStorage(root.storage, tensor.rows, rows);
    if (rows * tensor.width * 4 > chunkBytes) {
      throw new ShapeError(
        "extent-too-narrow",
        `tensor ${tensor.name} is wider than extent ${tensor.rows.name} declares.`,
      );
    }
    return rows;
  }
  if (root.storage !== undefined) return (root.storage.rowsPerChunk * root.width) / tensor.width;
  const rows = Math.floor(chunkBytes / rowBytesOf(tensor));
  if (rows < 1) {
    throw new ShapeError(
      "row-too-wide",
      `one row of ${tensor.name} takes ${rowBytesOf(tensor)} bytes, one binding of this adapter ` +
        `holds ${chunkBytes}.`,
    );
  }
  return rows;
}

/** Checks that a storage is cut only where its extent is cut too; it may be less often. */
function checkStorage(storage: Storage, extent: Extent, rows: number): void {
  if (storage.chunks.length === 1 || storage.rowsPerChunk % rows === 0) return;
  throw new ShapeError(
    "storage-chunks",
    `${storage.label} is cut every ${storage.rowsPerChunk} of ${storage.rows} rows, ` +
      `extent ${extent.name} every ${rows}.`,
    { hint: `Make the storage with rowsPerChunk ${rows}.` },
  );
}

/**
 * Returns the place of a stored tensor's chunk: the buffer of the storage, and the first byte.
 *
 * A storage whose rows are narrow, such as a cache of keys, has fewer chunks than wider tensors over
 * the same extent; theirs are parts of its own.
 */
export function placeOf(
  storage: Storage,
  tensor: Tensor,
  { first }: Chunk,
): { buffer: GPUBuffer | undefined; offset: number } {
  const chunkBytes = storage.rowsPerChunk * storage.rowBytes;
  const start = first * rowBytesOf(tensor);
  const index = Math.floor(start / chunkBytes);
  return { buffer: storage.chunks[index], offset: start - index * chunkBytes };
}

/**
 * Says how a tensor is cut into row chunks, none larger than the adapter's binding limit.
 *
 * All tensors over one extent are cut at the same places, so row-wise ops go chunk by chunk.
 */
export function chunksOf(tensor: Tensor, capacity: Capacity, chunkBytes: number): Chunks {
  const total = capacityRows(tensor, capacity);
  const step = rowsPerChunk(tensor, chunkBytes);
  const chunk = (index: number): Chunk => {
    const first = index * step;
    const size = Math.min(step, total - first);
    const rows =
      tensor.rows instanceof Extent
        ? (environment: Environment) =>
            Math.min(size, Math.max(0, evaluate(tensor.rows, environment) - first))
        : size;
    return { index, first, capacity: size, rows };
  };
  const chunks: [Chunk, ...Chunk[]] = [chunk(0)];
  while (chunks.length * step < total) chunks.push(chunk(chunks.length));
  return chunks;
}
