import { capacityRows, chunksOf, rowBytesOf, type Capacity } from "./chunks.ts";
import { rootOf, type Graph, type Tensor } from "./graph.ts";

/** One future GPUBuffer, used by several tensor chunks one after the other. */
export interface Slot {
  bytes: number;
}

/** Which slot each chunk of each planned tensor lives in, and what that costs. */
export interface MemoryPlan {
  slots: Slot[];
  /** Slot per chunk, by root tensor. */
  places: Map<Tensor, Slot[]>;
  /** Bytes of all slots. */
  bytes: number;
  /** Bytes that the tensors would take without sharing. */
  unsharedBytes: number;
}

/**
 * Assigns planned tensors to buffers by the time in which they are needed.
 *
 * A tensor takes the free slot that fits best; outputs are placed before inputs are released, so two
 * tensors that meet in a dispatch never share a buffer (WebGPU forbids read and read-write of one).
 */
export function planMemory(graph: Graph, capacity: Capacity, chunkBytes: number): MemoryPlan {
  const lastUse = new Map<Tensor, number>();
  graph.nodes.forEach(({ inputs, outputs }, index) => {
    for (const tensor of [...inputs, ...outputs]) lastUse.set(rootOf(tensor), index);
  });
  for (const tensor of graph.kept.values()) lastUse.set(rootOf(tensor), Infinity);
  const plan: MemoryPlan = { slots: [], places: new Map(), bytes: 0, unsharedBytes: 0 };
  const free: Slot[] = [];

  const place = (bytes: number): Slot => {
    const fitting = free.filter((slot) => slot.bytes >= bytes).sort((a, b) => a.bytes - b.bytes);
    const slot = fitting[0] ?? free.sort((a, b) => b.bytes - a.bytes)[0] ?? { bytes: 0 };
    const at = free.indexOf(slot);
    if (at >= 0) free.splice(at, 1);
    else plan.slots.push(slot);
    slot.bytes = Math.max(slot.bytes, bytes);
    plan.unsharedBytes += bytes;
    return slot;
  };

  graph.nodes.forEach(({ inputs, outputs }, index) => {
    for (const output of outputs) {
      const root = rootOf(output);
      if (root.kind !== "value" || plan.places.has(root)) continue;
      const rows = capacityRows(root, capacity);
      const sizes = chunksOf(root, capacity, chunkBytes).map((c) => c.capacity * rowBytesOf(root));
      plan.places.set(root, sizes.length > 0 && rows > 0 ? sizes.map(place) : [place(4)]);
    }
    for (const root of new Set([...inputs, ...outputs].map(rootOf))) {
      if (root.kind === "value" && lastUse.get(root) === index) {
        free.push(...(plan.places.get(root) ?? []));
      }
    }
  });
  plan.bytes = plan.slots.reduce((sum, slot) => sum + slot.bytes, 0);
  return plan;
}
