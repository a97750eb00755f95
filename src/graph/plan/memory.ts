import { chunksOf, rowBytesOf, type Capacity } from "./chunks.ts";
import { rootOf, tensorsOf, type Graph, type Tensor } from "../graph.ts";

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

/** A chunk of a planned tensor: its bytes and the nodes during which they are needed. */
interface Item {
  root: Tensor;
  chunk: number;
  bytes: number;
  first: number;
  last: number;
}

/**
 * Assigns planned tensors to buffers by the time in which they are needed.
 *
 * The largest chunk first, each into the smallest buffer that is free from its first to its last
 * node, or into one of its own: Pisarchyk and Lee 2020, "Efficient memory management for deep neural
 * net inference", greedy by size for shared objects. Two tensors that meet in a node never share a
 * buffer (WebGPU forbids read and read-write of one).
 */
export function planMemory(graph: Graph, capacity: Capacity, chunkBytes: number): MemoryPlan {
  const plan: MemoryPlan = { slots: [], places: new Map(), bytes: 0, unsharedBytes: 0 };
  const items = itemsOf(graph, capacity, chunkBytes);
  const taken = new Map<Slot, Item[]>();
  const bySize = [...items].sort((a, b) => b.bytes - a.bytes || a.first - b.first);
  for (const item of bySize) {
    const free = (slot: Slot) =>
      taken.get(slot)!.every(({ first, last }) => last < item.first || item.last < first);
    // Slots are in descending size, so the last free one is the smallest that fits.
    let slot = plan.slots.findLast(free);
    if (slot === undefined) {
      slot = { bytes: item.bytes };
      plan.slots.push(slot);
      taken.set(slot, []);
    }
    taken.get(slot)!.push(item);
    const places = plan.places.get(item.root) ?? [];
    places[item.chunk] = slot;
    plan.places.set(item.root, places);
    plan.unsharedBytes += item.bytes;
  }
  plan.bytes = plan.slots.reduce((sum, slot) => sum + slot.bytes, 0);
  return plan;
}

function itemsOf(graph: Graph, capacity: Capacity, chunkBytes: number): Item[] {
  const lives = new Map<Tensor, { first: number; last: number }>();
  graph.nodes.forEach(({ inputs, outputs }, index) => {
    for (const root of [...tensorsOf(inputs), ...tensorsOf(outputs)].map(rootOf)) {
      if (root.kind !== "value") continue;
      const life = lives.get(root);
      if (life === undefined) lives.set(root, { first: index, last: index });
      else life.last = index;
    }
  });
  for (const root of [...graph.kept.values()].map(rootOf)) {
    const life = lives.get(root);
    if (life !== undefined) life.last = Infinity;
  }
  return [...lives].flatMap(([root, life]) =>
    chunksOf(root, capacity, chunkBytes).map(({ index, capacity: rows }) => {
      // An extent of no rows still needs something to bind.
      const bytes = Math.max(4, rows * rowBytesOf(root));
      return { root, chunk: index, bytes, ...life };
    }),
  );
}
