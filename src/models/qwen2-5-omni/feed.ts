import type { HostArray } from "../../graph/storage.ts";

/** What the host gives one replay of a plan. */
export interface Feed {
  /** Data by input name. */
  inputs: Record<string, HostArray>;
  /** Values of the extents. */
  sizes: Record<string, number>;
  /** Runtime scalars. */
  scalars: Record<string, number>;
}

/** Several feeds as one; names must not meet. */
export function mergeFeeds(...feeds: readonly Feed[]): Feed {
  const merged: Feed = { inputs: {}, sizes: {}, scalars: {} };
  for (const feed of feeds) {
    Object.assign(merged.inputs, feed.inputs);
    Object.assign(merged.sizes, feed.sizes);
    Object.assign(merged.scalars, feed.scalars);
  }
  return merged;
}
