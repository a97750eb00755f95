import { sha256 } from "../io/byte-source.ts";
import type { BenchmarkConfig } from "./schema.ts";

/** Settings that say where something is or how it is called, and change no question or score. */
const PLACES = new Set(["as", "path", "folder", "module", "controls", "exclude"]);

/**
 * Returns a short name of the way in which a benchmark is asked: equal for two evaluations whose scores
 * may be compared. It depends on the rows, on how many of them are asked, and on every setting of
 * prompt, media, decoding and scoring.
 *
 * @param rows digest of the data set.
 * @param maxNewTokens longest answer where the benchmark names none.
 */
export async function protocolOf(
  settings: BenchmarkConfig,
  rows: string,
  maxNewTokens: number,
): Promise<string> {
  const kept = Object.entries(settings)
    .filter(([key]) => !PLACES.has(key))
    .sort(([a], [b]) => (a < b ? -1 : 1));
  const hash = await sha256(JSON.stringify({ kept, rows, maxNewTokens }));
  return hash.slice(0, 12);
}
