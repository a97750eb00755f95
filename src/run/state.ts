import { z } from "zod";
import { CheckpointError, ConfigError } from "../core/errors.ts";
import { quoted } from "../core/quoted.ts";
import type { Evaluations } from "../core/run-events.ts";
import type { EntropyControl } from "../policy/loss/entropy-control.ts";

/** The version of the state's layout; a checkpoint of another one is refused. */
export const STATE_VERSION = 4;

/** The file of a checkpoint that holds it. */
export const STATE_FILE = "state.json";

/** Everything of a run besides tensors that a resumed run needs to go on bit for bit. */
export interface TrainerState {
  version: typeof STATE_VERSION;
  /** The task of the run: a checkpoint of one cannot resume the other. */
  task: "grpo" | "sft";
  /** Optimizer steps done. */
  step: number;
  /** The draw counter of random keys: rollout batches drawn so far. */
  draw: number;
  /** The data cursor: samples consumed so far. */
  samplesConsumed: number;
  /** The adaptive entropy bonus; null before its first update, and where there is none. */
  entropyControl: EntropyControl | null;
  /** Tokens trained on so far, prompts included: the metric `num_tokens`. */
  numTokens: number;
  /** Seconds that the run has worked, over all its sessions. */
  seconds: number;
  /** Digest of the data set: the data cursor counts rows of that one. */
  data: string;
  /** The evaluation before training by benchmark, so that a resumed run reports the true start. */
  before: Evaluations | null;
  /** The position of the logs: lengths in bytes by name, and metrics not yet written as a row. */
  logs: { bytes: Record<string, number>; pending: Record<string, (number | null)[]> };
}

const count = z.int("not a count").min(0, "not a count");
const number = z.number("not a number");
const OBJECT = "not an object";
const TASKS = ["grpo", "sft"] as const;

/** The fields in the order in which they are written. */
const stateSchema = z.object(
  {
    version: z.literal(STATE_VERSION),
    task: z.enum(TASKS, "neither grpo nor sft"),
    step: count,
    draw: count,
    samplesConsumed: count,
    entropyControl: z.object({ coef: number, lastEntropy: number }, OBJECT).nullable(),
    numTokens: count,
    seconds: number,
    data: z.string("not a digest"),
    before: z.record(z.string(), z.record(z.string(), number, OBJECT), OBJECT).nullable(),
    logs: z.object(
      {
        bytes: z.record(z.string(), count, OBJECT),
        pending: z.record(z.string(), z.array(number.nullable(), "not a list"), OBJECT),
      },
      OBJECT,
    ),
  },
  OBJECT,
);

/** Reads the text of a state: gives its fault, or the state. */
function readState(text: string): { problem: string } | { state: TrainerState } {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { problem: "it is not JSON" };
  }
  const version = (value as { version?: unknown } | null)?.version;
  if (typeof version === "number" && version !== STATE_VERSION) {
    return { problem: `its version is ${version}, this program reads ${STATE_VERSION}` };
  }
  const { data, error } = stateSchema.safeParse(value);
  if (data !== undefined) return { state: data as TrainerState };
  const { path, message } = error!.issues[0]!;
  const found = path.reduce((at, key) => (at as Record<PropertyKey, unknown>)[key], value);
  const field = path.length === 0 ? "it" : path.join(".");
  return { problem: `${field} is ${quoted(found)}, ${message}` };
}

/** Returns the fault of a state's text; undefined for none. */
export function stateProblem(text: string): string | undefined {
  const read = readState(text);
  return "problem" in read ? read.problem : undefined;
}

/** Returns the state as JSON text, keys in a fixed order. */
export function stateText(state: TrainerState): string {
  const fields = Object.keys(stateSchema.shape) as (keyof TrainerState)[];
  const ordered = Object.fromEntries(fields.map((field) => [field, state[field]]));
  return `${JSON.stringify(ordered, null, 2)}\n`;
}

/**
 * Reads a state back.
 *
 * @throws {CheckpointError} `bad-state` naming the file and the field that is wrong.
 */
export function parseState(text: string, file: string): TrainerState {
  const read = readState(text);
  if ("state" in read) return read.state;
  throw new CheckpointError("bad-state", `${file} is not a trainer state: ${read.problem}.`, {
    hint: "Remove its checkpoint's folder, and --resume goes on from the one before.",
  });
}

/**
 * Refuses to resume a run on rows that are not those it was started with: its data cursor counts
 * rows of that data set.
 *
 * @throws {ConfigError} `resume-changed` naming both digests.
 */
export function checkSameRows(state: TrainerState, digest: string): void {
  if (state.data === digest) return;
  throw new ConfigError(
    "resume-changed",
    `The run cannot be resumed: the data set was ${short(state.data)} and is now ${short(digest)}.`,
    { hint: "Restore its rows, or start a new run in another folder." },
  );
}

function short(digest: string): string {
  return digest.length > 80 ? `${digest.slice(0, 77)}...` : digest;
}
