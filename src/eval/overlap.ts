import type { DataRow, DataSet } from "../data/dataset.ts";
import { mediaName } from "../data/media-paths.ts";
import type { Benchmark } from "./held-out.ts";

/**
 * Says which benchmarks ask rows of the training data, by their prompts with media or by ids that the
 * rows name themselves: one sentence each.
 *
 * Data sets of which all rows are alike are made, and check their seeds instead.
 */
export function sharedRows(set: DataSet, benchmarks: readonly Benchmark[]): string[] {
  if (set.alike === true || benchmarks.length === 0) return [];
  const trained = new Set<string>();
  for (let index = 0; index < set.length; index++) {
    for (const key of keysOf(set.row(index))) trained.add(key);
  }
  return benchmarks.flatMap(({ name, rows }) => {
    const shared = rows.filter((row) => keysOf(row).some((key) => trained.has(key)));
    const [first] = shared;
    if (first === undefined) return [];
    const count = `${shared.length} of ${rows.length} questions of ${name}`;
    const verb = shared.length === 1 ? "is a row" : "are rows";
    return [
      `${count} ${verb} of the training data (the first: ${first.place ?? first.id}): its scores are no measure of new questions.`,
    ];
  });
}

/** Returns the names by which a row is known: its prompt, and the id that it names itself. */
function keysOf({ id, place, conversation }: DataRow): string[] {
  const prompt = conversation.map(({ role, content }) =>
    typeof content === "string"
      ? [role, content]
      : [role, content.map((part) => (part.type === "text" ? part.text : mediaName(part)))],
  );
  const own = place !== undefined && id !== place ? [`id ${id}`] : [];
  return [JSON.stringify(prompt), ...own];
}
