import { DataError } from "../core/errors.ts";
import type { HostArray } from "../graph/storage.ts";

/** The inputs and sizes that the host gives one replay of a plan. */
export interface Feed {
  /** Data by input name. */
  inputs: Record<string, HostArray>;
  /** Values of the extents. */
  sizes: Record<string, number>;
  /** Runtime scalars. */
  scalars: Record<string, number>;
}

/**
 * Several feeds as one; inputs must not meet.
 *
 * @throws {DataError} `feeds-disagree` when two give one extent different sizes: feature rows and
 *   their placeholders, for example.
 */
export function mergeFeeds(...feeds: readonly Feed[]): Feed {
  const merged: Feed = { inputs: {}, sizes: {}, scalars: {} };
  for (const feed of feeds) {
    Object.assign(merged.inputs, feed.inputs);
    for (const [name, size] of Object.entries(feed.sizes)) {
      const known = (merged.sizes[name] ??= size);
      if (known === size) continue;
      throw new DataError(
        "feeds-disagree",
        `${name} is ${known} in one feed, ${size} in another.`,
        {
          hint: "Placeholders and feature rows must be of the same samples.",
        },
      );
    }
    Object.assign(merged.scalars, feed.scalars);
  }
  return merged;
}
