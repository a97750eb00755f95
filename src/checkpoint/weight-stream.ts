import { largestMagnitude } from "../core/convert16.ts";
import { largestF32 } from "../core/f16s.ts";
import { STORAGE_TYPES, type StorageType } from "../core/storage-types.ts";
import type { Device } from "../gpu/device.ts";
import { type Storage, storageName } from "../graph/storage.ts";
import {
  elementBytes,
  matrixShape,
  sourceBytes,
  type WeightSource,
  type WeightValues,
} from "./weight-source.ts";

/** How much of a checkpoint is in host memory at a time. */
export interface StreamOptions {
  /** Bytes that are read, converted and uploaded at a time; a wider row is a slice of its own. */
  sliceBytes?: number;
  /** Maximum of the bytes of a tensor that are kept between the two looks that a scale takes. */
  keepBytes?: number;
}

/** Counts of the values that a storage could not hold exactly. */
export interface Streamed {
  /** Scale of the storage type; 1 for a type without. */
  scale: number;
  /** Elements that the storage does not hold exactly. */
  inexact: number;
}

interface Slice {
  first: number;
  values: WeightValues;
}

const MIB = 2 ** 20;
const SLICE_BYTES = 8 * MIB;
const KEEP_BYTES = 64 * MIB;
/** Uploads in flight: WebGPU copies what is written, and keeps the copy until the queue is there. */
const QUEUE_BYTES = 32 * MIB;

/**
 * Brings weights onto the GPU slice by slice, through two buffers that all of them share.
 *
 * While a slice is converted the next one is read. A slice is whole rows. A type with a scale needs
 * the largest magnitude before the first value is stored: a tensor that is too large to keep is read
 * twice.
 *
 * Host memory: two slices or one kept tensor, a slice as it is stored, and what the queue holds,
 * about 128 MiB, unless single rows are larger.
 */
export class WeightStream {
  readonly #device: Device;
  readonly #sliceBytes: number;
  readonly #keepBytes: number;
  readonly #onBytes: (bytes: number) => void;
  #read = new ArrayBuffer(0);
  #converted = new ArrayBuffer(0);
  #inFlight = 0;

  /** @param onBytes hears the bytes of every slice, as its source counts them, once it is sent. */
  constructor(device: Device, options: StreamOptions, onBytes: (bytes: number) => void) {
    this.#device = device;
    this.#sliceBytes = options.sliceBytes ?? SLICE_BYTES;
    this.#keepBytes = options.keepBytes ?? KEEP_BYTES;
    this.#onBytes = onBytes;
  }

  /**
   * Sends a weight to a storage of its shape.
   *
   * @throws {CheckpointError} when it cannot be read; {DeviceError} when the device fails.
   */
  async send(source: WeightSource, value: Storage): Promise<Streamed> {
    if (sourceBytes(source) === 0) return { scale: 1, inexact: 0 };
    const type: StorageType = STORAGE_TYPES[storageName(value.type)];
    const keep = type.scaleFor !== null && sourceBytes(source) <= this.#keepBytes;
    const kept: Slice[] = [];
    let scale = 1;
    if (type.scaleFor !== null) {
      let largest = 0;
      for await (const slice of this.#slices(source, keep)) {
        largest = Math.max(largest, magnitude(source, slice.values));
        if (keep) kept.push(slice);
      }
      scale = type.scaleFor(largest);
    }
    let inexact = 0;
    for await (const { first, values } of keep ? kept : this.#slices(source, false)) {
      const bytes = (values.length / value.width) * value.rowBytes;
      const out = new Uint32Array(this.#room(bytes), 0, bytes / 4);
      const packed =
        source.dtype === "F32"
          ? type.pack(values as Float32Array, value.width, scale, out)
          : type.pack16(values as Uint16Array, source.dtype, value.width, scale, out);
      inexact += packed.inexact;
      await this.#upload(source, value, first, packed.words);
    }
    return { scale, inexact };
  }

  /** Waits until everything is on the device, and the queue's copies are gone. */
  async finish(): Promise<void> {
    await this.#device.idle();
    this.#inFlight = 0;
  }

  /** A weight's slices in order; only with `keep` a slice outlives the one after it. */
  async *#slices(source: WeightSource, keep: boolean): AsyncGenerator<Slice> {
    const { rows, width } = matrixShape(source.shape);
    const rowBytes = width * elementBytes(source.dtype);
    const perSlice = Math.min(rows, Math.max(1, Math.floor(this.#sliceBytes / rowBytes)));
    const count = Math.ceil(rows / perSlice);
    const stride = Math.ceil((perSlice * rowBytes) / 4) * 4;
    const places = keep ? count : Math.min(2, count);
    if (this.#read.byteLength < places * stride) this.#read = new ArrayBuffer(places * stride);
    const buffer = this.#read;
    const slice = async (index: number): Promise<Slice> => {
      const first = index * perSlice;
      const here = Math.min(perSlice, rows - first);
      const place = new Uint8Array(buffer, (index % places) * stride, here * rowBytes);
      return { first, values: await source.rows(first, here, place) };
    };
    let next: Promise<Slice> | undefined = slice(0);
    try {
      for (let index = 1; next !== undefined; index++) {
        const current: Slice = await next;
        next = index < count ? slice(index) : undefined;
        // A failure is looked at when its turn comes.
        next?.catch(() => {});
        yield current;
      }
    } finally {
      // Nobody may close the file, or use the buffer, under a read.
      await next?.catch(() => {});
    }
  }

  /** The buffer of converted slices; `writeBuffer` copies it, so that the next slice may use it. */
  #room(bytes: number): ArrayBuffer {
    if (this.#converted.byteLength < bytes) this.#converted = new ArrayBuffer(bytes);
    return this.#converted;
  }

  async #upload(
    { dtype }: WeightSource,
    value: Storage,
    first: number,
    data: Uint32Array,
  ): Promise<void> {
    value.upload(data, first);
    this.#inFlight += data.byteLength;
    if (this.#inFlight >= QUEUE_BYTES) await this.finish();
    this.#onBytes((data.byteLength / value.rowBytes) * value.width * elementBytes(dtype));
  }
}

function magnitude({ dtype }: WeightSource, values: WeightValues): number {
  if (dtype === "F32") return largestF32(values as Float32Array);
  return largestMagnitude(values as Uint16Array, dtype);
}
