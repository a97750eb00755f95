import { assert, ShapeError } from "../../core/errors.ts";
import type { Device } from "../../gpu/device.ts";
import { rootOf, type Graph, type Tensor } from "../graph.ts";
import type { HostArray } from "../storage.ts";
import { capacityRows, chunksOf, placeOf, rowBytesOf, type Capacity } from "./chunks.ts";
import { planMemory, type MemoryPlan } from "./memory.ts";

/**
 * The buffers of a plan: one per slot of its memory plan, and those of its inputs.
 *
 * Knows where every chunk of a tensor lies, stored tensors included, and copies rows in and out.
 */
export class PlanBuffers {
  readonly memory: MemoryPlan;
  readonly #device: Device;
  readonly #label: string;
  readonly #capacity: Capacity;
  readonly #buffers = new Map<Tensor, readonly GPUBuffer[]>();
  readonly #owned: GPUBuffer[] = [];

  constructor(device: Device, graph: Graph, label: string, capacity: Capacity) {
    const { chunkBytes } = device.capabilities;
    this.#device = device;
    this.#label = label;
    this.#capacity = capacity;
    this.memory = planMemory(graph, capacity, chunkBytes);
    const slots = new Map(
      this.memory.slots.map((slot, i) => [slot, this.#make(`slot${i}`, slot.bytes)]),
    );
    for (const [tensor, places] of this.memory.places) {
      this.#buffers.set(
        tensor,
        places.map((slot) => slots.get(slot)!),
      );
    }
    for (const tensor of graph.inputs.values()) {
      const buffers = chunksOf(tensor, capacity, chunkBytes).map((chunk) =>
        this.#make(tensor.name, chunk.capacity * rowBytesOf(tensor)),
      );
      this.#buffers.set(tensor, buffers);
    }
  }

  #make(name: string, bytes: number): GPUBuffer {
    const buffer = this.#device.createBuffer(`${this.#label}/${name}`, bytes);
    this.#owned.push(buffer);
    return buffer;
  }

  /** Rows that a tensor can have. */
  rows(tensor: Tensor): number {
    return capacityRows(tensor, this.#capacity);
  }

  /** The buffer that holds a chunk of a tensor, and the byte at which the chunk begins. */
  place(tensor: Tensor, chunk: number): { buffer: GPUBuffer; offset: number } {
    const { buffer, offset } = this.#find(tensor, chunk);
    assert(buffer !== undefined, `${this.#label}: tensor ${tensor.name} has no chunk ${chunk}`);
    return { buffer, offset };
  }

  #find(tensor: Tensor, chunk: number): { buffer?: GPUBuffer | undefined; offset: number } {
    const root = rootOf(tensor);
    if (root.storage === undefined) return { buffer: this.#buffers.get(root)?.[chunk], offset: 0 };
    const found = this.#chunks(tensor)[chunk];
    return found === undefined ? { offset: 0 } : placeOf(root.storage, tensor, found);
  }

  #chunks(tensor: Tensor) {
    return chunksOf(tensor, this.#capacity, this.#device.capabilities.chunkBytes);
  }

  /** Copies host data into a planned tensor or an input, from row `first` on. */
  upload(tensor: Tensor, data: HostArray, first = 0): void {
    const { width } = tensor;
    const end = first + data.length / width;
    for (const chunk of this.#chunks(tensor)) {
      const from = Math.max(first, chunk.first);
      const to = Math.min(end, chunk.first + chunk.capacity);
      if (from >= to) continue;
      const part = data.subarray((from - first) * width, (to - first) * width);
      const { buffer, offset } = this.place(tensor, chunk.index);
      this.#device.write(buffer, offset + (from - chunk.first) * rowBytesOf(tensor), part);
    }
  }

  /**
   * Reads the first rows of a tensor back as float32; all that it can have when `rows` is left out.
   *
   * @param name of the tensor in the error.
   * @throws {ShapeError} `read-too-far` for more rows than it can have.
   */
  async download(tensor: Tensor, name: string, rows?: number): Promise<Float32Array> {
    const limit = this.rows(tensor);
    const count = rows ?? limit;
    if (count > limit) {
      throw new ShapeError(
        "read-too-far",
        `${this.#label}: tensor ${name} holds ${limit} rows; ${count} were asked for.`,
      );
    }
    const result = new Float32Array(count * tensor.width);
    for (const chunk of this.#chunks(tensor)) {
      const take = Math.min(chunk.capacity, count - chunk.first);
      if (take <= 0) break;
      const { buffer, offset } = this.place(tensor, chunk.index);
      const part = await this.#device.readF32(buffer, offset, take * tensor.width);
      result.set(part, chunk.first * tensor.width);
    }
    return result;
  }

  /** Frees the buffers; those of stored tensors stay. */
  destroy(): void {
    for (const buffer of this.#owned.splice(0)) this.#device.destroyBuffer(buffer);
  }
}
