/**
 * Cuts items into batches whose sizes sum up to `limit` at most, in order; an item that is larger
 * is a batch of its own.
 */
export function inBatches<T>(
  items: readonly T[],
  sizeOf: (item: T) => number,
  limit: number,
): T[][] {
  const batches: T[][] = [];
  let used = 0;
  for (const item of items) {
    const size = sizeOf(item);
    if (batches.length === 0 || used + size > limit) {
      batches.push([]);
      used = 0;
    }
    batches.at(-1)!.push(item);
    used += size;
  }
  return batches;
}
