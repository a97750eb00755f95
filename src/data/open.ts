import { ConfigError } from "../core/errors.ts";
import type { Events } from "../core/events.ts";
import { openJsonl } from "./jsonl/dataset.ts";
import type { PromptName } from "./prompts/prompts.ts";
import type { DataSet } from "./row.ts";
import type { DATASETS } from "./schema.ts";
import type { Split } from "./tiny/dataset.ts";
import { type ClipSource, openDataset } from "./tiny/open.ts";

/** What a configuration says of a data set. */
export interface DataSource extends ClipSource {
  name: (typeof DATASETS)[number];
  /** File of `jsonl`. */
  path: string | null;
  /** Template of rows without a prompt. */
  prompt: PromptName;
  /** Folder of the clips of `tiny`. */
  folder: string;
}

/**
 * Opens the data set that a configuration names.
 *
 * @param used says which rows will be asked for, from the number of rows: only their clips are made.
 * @throws {ConfigError} `no-data-path`; {DataError} of the data set.
 */
export async function openData(
  split: Split,
  source: DataSource,
  used: (length: number) => readonly number[],
  events: Events,
): Promise<DataSet> {
  if (source.name === "tiny") {
    return openDataset(split, source, used(source.clips), source.folder, events);
  }
  if (source.path !== null) return openJsonl(source.path, source.prompt);
  const section = split === "train" ? "data" : "eval";
  throw new ConfigError(
    "no-data-path",
    `${section}.name is jsonl, but ${section}.path is not set.`,
    {
      hint: `Set ${section}.path to a JSON Lines file.`,
    },
  );
}
