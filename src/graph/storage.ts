import { assert, ShapeError } from "../core/errors.ts";
import { STORAGE_TYPES, type StorageName } from "../core/storage-types.ts";
import type { Device } from "../gpu/device.ts";

/** Element types of GPU tensors: those of weights, and whole numbers. */
export type ElementType = StorageName | "u32";

/** Returns the storage type of a tensor of weights. */
export function storageName(type: ElementType): StorageName {
  assert(type !== "u32", "whole numbers are no weights");
  return type;
}

/** Host data for a storage. */
export type HostArray = Float32Array | Uint32Array | Int32Array;

/**
 * A matrix on the GPU that outlives a plan (parameters, gradients, moments, caches), as a list of
 * row chunks, each a buffer of its own no larger than the adapter's binding limit.
 */
export class Storage {
  readonly label: string;
  readonly rows: number;
  readonly width: number;
  readonly type: ElementType;
  /** Rows of every chunk but the last. */
  readonly rowsPerChunk: number;
  readonly chunks: readonly GPUBuffer[];
  readonly #device: Device;

  constructor(
    device: Device,
    label: string,
    rows: number,
    width: number,
    options: { type?: ElementType; rowsPerChunk?: number } = {},
  ) {
    this.#device = device;
    this.label = label;
    this.rows = rows;
    this.width = width;
    this.type = options.type ?? "f32";
    const limit = Math.floor(device.capabilities.chunkBytes / this.rowBytes);
    if (limit < 1) {
      throw new ShapeError("row-too-wide", `one row of ${label} exceeds the binding limit.`);
    }
    this.rowsPerChunk = Math.min(options.rowsPerChunk ?? limit, Math.max(1, rows));
    const chunks: GPUBuffer[] = [];
    for (let row = 0; row < Math.max(1, rows); row += this.rowsPerChunk) {
      const count = Math.min(this.rowsPerChunk, rows - row);
      chunks.push(device.createBuffer(`${label}[${row}]`, count * this.rowBytes));
    }
    this.chunks = chunks;
  }

  /** Bytes of one row. */
  get rowBytes(): number {
    return this.type === "u32" ? this.width * 4 : STORAGE_TYPES[this.type].rowBytes(this.width);
  }

  /** Bytes of all chunks. */
  get bytes(): number {
    return this.chunks.reduce((sum, chunk) => sum + chunk.size, 0);
  }

  /** Copies host rows in, starting at row `first`. */
  upload(data: HostArray, first = 0): void {
    const rowBytes = this.rowBytes;
    const rows = data.byteLength / rowBytes;
    if (first + rows > this.rows) {
      throw new ShapeError(
        "storage-overflow",
        `${this.label} holds ${this.rows} rows of ${this.width}; ${first + rows} rows were given.`,
      );
    }
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    for (let row = 0; row < rows;) {
      const at = first + row;
      const chunk = Math.floor(at / this.rowsPerChunk);
      const within = at - chunk * this.rowsPerChunk;
      const count = Math.min(rows - row, this.rowsPerChunk - within);
      const part = bytes.subarray(row * rowBytes, (row + count) * rowBytes);
      this.#device.write(this.chunks[chunk]!, within * rowBytes, part);
      row += count;
    }
  }

  /** Reads `rows` rows from row `first` on back, as 32-bit words of the storage's type. */
  async download(rows = this.rows, first = 0): Promise<Float32Array> {
    const { rowBytes } = this;
    const result = new Float32Array((rows * rowBytes) / 4);
    for (let row = 0; row < rows;) {
      const chunk = Math.floor((first + row) / this.rowsPerChunk);
      const within = first + row - chunk * this.rowsPerChunk;
      const count = Math.min(rows - row, this.rowsPerChunk - within);
      const bytes = count * rowBytes;
      const part = await this.#device.read(this.chunks[chunk]!, within * rowBytes, bytes);
      result.set(new Float32Array(part), (row * rowBytes) / 4);
      row += count;
    }
    return result;
  }

  /** Records commands that set everything to zero. */
  clear(encoder: GPUCommandEncoder): void {
    for (const chunk of this.chunks) encoder.clearBuffer(chunk);
  }

  /** Frees the buffers. */
  destroy(): void {
    for (const chunk of this.chunks) this.#device.destroyBuffer(chunk);
  }
}

/** A named weight with what training needs beside it. */
export interface Parameter {
  /** Canonical checkpoint name, such as `model.layers.0.mlp.up_proj.weight`. */
  name: string;
  /** Shape as stored in the checkpoint; the storage is [shape[0], product of the rest]. */
  shape: readonly number[];
  value: Storage;
  /** Scale of its storage type, that stored values are multiplied by; 1 for a type without. */
  scale: number;
  /** Gradient sum of the current optimizer step; absent while the parameter is frozen. */
  gradient?: Storage;
}
