import { prepareClips } from "#clips";
import type { Events } from "../../core/events.ts";
import { TinyDataset, type Split } from "./dataset.ts";
import type { Kind } from "./questions.ts";

/** Which clips of which generator a data set asks about. */
export interface ClipSource {
  seed: number;
  /** Number of clips, each asked once. */
  clips: number;
  /** Kinds asked in turn; `see`, `hear` and `both` when left out. */
  kinds?: readonly Kind[];
}

/**
 * Returns a data set whose clips are there: made on disk in Node, served under the folder's URL in
 * a page.
 *
 * @param used indices of the clips that will be asked for.
 */
export async function openDataset(
  split: Split,
  source: ClipSource,
  used: readonly number[],
  folder: string,
  events: Events,
): Promise<TinyDataset> {
  const { seed, clips, kinds } = source;
  const media = await prepareClips({ folder, seed, indices: used, events });
  return new TinyDataset({ split, clips, folder: media, seed, ...(kinds && { kinds }) });
}
