import { readText } from "#io";
import { checkResumable, scheduleChange } from "../config/compare.ts";
import { checkSource } from "../config/load.ts";
import type { RunConfig } from "../config/schema.ts";
import { parseSource } from "../config/source.ts";
import { joinPath } from "../io/path.ts";
import {
  findCheckpoint,
  hasCheckpoint,
  scoredBy,
  setAsideAfter,
  tidyCheckpoints,
} from "./checkpoint-folder.ts";
import { refuseToBeginAgain } from "./find-run.ts";
import { RUN_FILES, type RunFacts } from "./folder.ts";
import type { Session } from "./options.ts";
import { parseState, STATE_FILE } from "./state.ts";

/** Options of resuming a run. */
export interface ResumeOptions {
  folder: string;
  /** Name of the checkpoint to go on from; the newest whole one when left out. */
  checkpoint: string | undefined;
  /** Hears what is worth knowing of the resume. */
  warn: (code: string, message: string) => void;
}

/**
 * Finds where a run goes on from; undefined for one that was cut off before its first checkpoint.
 *
 * @throws {ConfigError} `resume-changed` for settings that would make it another run;
 *   {CheckpointError} `no-checkpoint`, `steps-without-checkpoint`.
 */
export async function findResume(
  config: RunConfig,
  { folder, checkpoint, warn }: ResumeOptions,
): Promise<Session["resume"]> {
  const file = joinPath(folder, RUN_FILES.config);
  const before = checkSource(parseSource(await readText(file), file), file);
  checkResumable(before, config, folder);
  const keeping = { last: config.output.keep_last, by: scoredBy(config.output) };
  if (!(await hasCheckpoint(folder))) {
    await refuseToBeginAgain(folder);
    const message = "The run had no checkpoint yet: it starts again from the beginning.";
    warn("no-checkpoint-yet", message);
    await tidyCheckpoints(folder, undefined, keeping);
    return undefined;
  }
  const found = await findCheckpoint(folder, checkpoint);
  for (const { folder: path, reason } of found.passedOver) {
    warn("checkpoint-passed-over", `${path} was passed over: ${reason}.`);
  }
  const message = scheduleChange(before, config);
  if (message !== undefined) warn("other-schedule", message);
  const path = joinPath(found.folder, STATE_FILE);
  const state = parseState(await readText(path), path);
  const later = checkpoint === undefined ? [] : await setAsideAfter(folder, found.step);
  for (const aside of later) warn("checkpoint-set-aside", `${aside} is of later steps: set aside.`);
  await tidyCheckpoints(folder, found.step, keeping);
  return { folder: found.folder, state };
}

/** Describes what of the programs differs between two sessions of a run; undefined for nothing. */
export function programChange(
  before: Pick<RunFacts, "versions" | "commit">,
  now: Pick<RunFacts, "versions" | "commit">,
): string | undefined {
  const all = ({ versions, commit }: typeof now): Record<string, string> => ({
    ...versions,
    ...(commit !== null && { commit: commit.slice(0, 9) + (commit.endsWith("+") ? "+" : "") }),
  });
  const [was, is] = [all(before), all(now)];
  const changes = Object.keys({ ...was, ...is })
    .filter((name) => was[name] !== is[name])
    .map((name) => `${name} was ${was[name] ?? "not known"} and is now ${is[name] ?? "not known"}`);
  if (changes.length === 0) return undefined;
  return `${changes.join("; ")}: the steps to come may not be those of a run that was never stopped.`;
}
