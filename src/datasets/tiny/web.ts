import { joinPath } from "../../io/path.ts";
import { clipFolderName } from "./dataset.ts";

/**
 * Returns the folder of a generator's clips, which a page cannot make: they must be served under
 * it.
 *
 * The twin of `prepareClips` in node.ts.
 */
export async function prepareClips(options: { folder: string; seed: number }): Promise<string> {
  return joinPath(options.folder, clipFolderName(options.seed));
}
