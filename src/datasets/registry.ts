/** The data sets that a configuration can name: one line each; docs/data.md says how to add one. */
import type { RegisteredData } from "../data/dataset.ts";
import { JSONL } from "./jsonl/entry.ts";
import { MODULE } from "./module/entry.ts";
import { TINY } from "./tiny/entry.ts";

/** Data sets by name; the first is the one of a section that names none. */
export const DATA_SETS = {
  tiny: TINY,
  jsonl: JSONL,
  module: MODULE,
} as const satisfies Record<string, RegisteredData>;

/** The data sets of a registry by name. */
export type DataRegistry = Readonly<Record<string, RegisteredData>>;
