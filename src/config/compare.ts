import { ConfigError } from "../core/errors.ts";
import { quoted } from "../core/quoted.ts";
import type { RunConfig } from "./schema.ts";

/** A setting that differs between two configurations. */
export interface ChangedSetting {
  /** Dotted key path. */
  path: string;
  before: unknown;
  after: unknown;
}

/**
 * Settings that may change when a run is resumed: they decide no number of the steps to come, but
 * for the run's length, from which falling rates follow ({@link scheduleChange}).
 */
const FREE_ON_RESUME = [
  "output",
  "eval",
  // But for masks, which take completions out of the loss.
  "health",
  "train.max_steps",
  "train.num_train_epochs",
  "train.logging_steps",
  "train.save_steps",
  "train.save_minutes",
  "train.eval_steps",
];

/** Returns every leaf setting in which two configurations differ, in the order of the first. */
export function changedSettings(before: RunConfig, after: RunConfig): ChangedSetting[] {
  const changes: ChangedSetting[] = [];
  const visit = (left: unknown, right: unknown, path: string): void => {
    const both = [left, right].every((side) => typeof side === "object" && side !== null);
    if (!both) {
      if (!Object.is(left, right)) changes.push({ path, before: left, after: right });
      return;
    }
    const [a, b] = [left as Record<string, unknown>, right as Record<string, unknown>];
    for (const key of new Set([...Object.keys(a), ...Object.keys(b)])) {
      visit(a[key], b[key], path === "" ? key : `${path}.${key}`);
    }
  };
  visit(before, after, "");
  return changes;
}

/**
 * Refuses to resume a run under settings that would make it another run.
 *
 * The end of the run, its evaluation, its device and its output may change.
 *
 * @throws {ConfigError} `resume-changed` naming every setting with both values.
 */
export function checkResumable(before: RunConfig, after: RunConfig, runFolder: string): void {
  const wrong = changedSettings(before, after).filter(
    ({ path, before: was, after: is }) =>
      was === "mask" ||
      is === "mask" ||
      !FREE_ON_RESUME.some((free) => path === free || path.startsWith(`${free}.`)),
  );
  if (wrong.length === 0) return;
  const list = wrong.map(
    ({ path, before: was, after: is }) => `${path} was ${quoted(was)} and is now ${quoted(is)}`,
  );
  throw new ConfigError("resume-changed", `${runFolder} cannot be resumed: ${list.join("; ")}.`, {
    hint: "Restore these settings, or start a new run in another folder.",
  });
}

/** Schedules that do not know how long the run is. */
const STEADY = ["constant", "constant_with_warmup"];

/** Returns in words how another length changes the steps to come; undefined when it does not. */
export function scheduleChange(before: RunConfig, after: RunConfig): string | undefined {
  const { lr_scheduler_type: schedule, beta_schedule: beta } = after.train;
  const [was, is] = [lengthOf(before), lengthOf(after)];
  if (after.task !== "grpo" || was.text === is.text) return undefined;
  const falls = [
    ...(STEADY.includes(schedule) ? [] : [`the learning rate of lr_scheduler_type ${schedule}`]),
    ...(beta === "constant" ? [] : [`beta of beta_schedule ${beta}`]),
  ];
  if (falls.length === 0) return undefined;
  return (
    `${was.text} and ${is.key === was.key ? `is now ${is.value}` : is.text.replace(" was ", " is ")}: from here on ` +
    `${falls.join(" and ")} is that of a run of ${is.value} ${is.unit}, which the steps so far were not.`
  );
}

/** Returns the setting that says how long a run is. */
function lengthOf({ train }: RunConfig) {
  const { max_steps: steps, num_train_epochs: epochs } = train;
  const [key, value, unit] =
    steps === null
      ? (["train.num_train_epochs", epochs, "epochs"] as const)
      : (["train.max_steps", steps, "steps"] as const);
  return { key, value, unit, text: `${key} was ${value}` };
}
