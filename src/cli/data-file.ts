import { createHash } from "node:crypto";
import { fileSource } from "#io";
import type { RunConfig } from "../config/schema.ts";
import { ConfigError } from "../core/errors.ts";
import type { DataFacts } from "../run/folder.ts";

const PIECE = 2 ** 22;

/**
 * What the file of a run's rows holds: its length and its digest.
 *
 * @returns undefined where rows are made, or where the file cannot be read, which the data set says.
 */
export async function dataFacts({ data }: RunConfig): Promise<DataFacts | undefined> {
  if (data.name !== "jsonl" || data.path === null) return undefined;
  const source = await fileSource(data.path).catch(() => undefined);
  if (source === undefined) return undefined;
  try {
    const hash = createHash("sha256");
    for (let at = 0; at < source.size; at += PIECE) {
      hash.update(await source.read(at, Math.min(PIECE, source.size - at)));
    }
    return { bytes: source.size, sha256: hash.digest("hex") };
  } finally {
    await source.close?.();
  }
}

/**
 * Refuses to resume a run on rows that are not those it was started with: its data cursor counts
 * rows of that file.
 *
 * @throws {ConfigError} `resume-changed` naming the file and both lengths.
 */
export function checkDataFile(
  folder: string,
  { data }: RunConfig,
  before: DataFacts | undefined,
  now: DataFacts | undefined,
): void {
  if (before === undefined || now === undefined || before.sha256 === now.sha256) return;
  const [was, is] = [before, now].map(({ bytes, sha256 }) => {
    return `${bytes} bytes (sha256 ${sha256.slice(0, 8)})`;
  });
  throw new ConfigError(
    "resume-changed",
    `${folder} cannot be resumed: the rows of data.path ${data.path} were ${was} and are now ${is}.`,
    { hint: "Restore the file, or start a new run in another folder." },
  );
}
