import { CheckpointError, ConfigError } from "../core/errors.ts";
import type { Evaluations } from "../core/run-events.ts";
import type { EntropyControl } from "../policy/loss/entropy-control.ts";

/** The version of the state's layout; a checkpoint of another one is refused. */
export const STATE_VERSION = 3;

/** The file of a checkpoint that holds it. */
export const STATE_FILE = "state.json";

/** Everything of a run besides tensors that a resumed run needs to go on bit for bit. */
export interface TrainerState {
  version: typeof STATE_VERSION;
  /** What was run: a checkpoint of one task cannot resume the other. */
  task: "grpo" | "sft";
  /** Optimizer steps done, over all stages. */
  step: number;
  /** Stage of supervised training that the next step belongs to; 0 in GRPO. */
  stage: number;
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
  /** Where the logs stood: lengths in bytes by name, and metrics not yet written as a row. */
  logs: { bytes: Record<string, number>; pending: Record<string, (number | null)[]> };
}

const COUNTS = ["step", "stage", "draw", "samplesConsumed", "numTokens"] as const;

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

/** What is wrong with the text of a state; undefined where nothing is. */
export function stateProblem(text: string): string | undefined {
  try {
    return problemOf(JSON.parse(text));
  } catch {
    return "it is not JSON";
  }
}

function problemOf(value: unknown): string | undefined {
  if (!isObject(value)) return "it is not an object";
  if (value["version"] !== STATE_VERSION) {
    return `its version is ${JSON.stringify(value["version"])}, this program reads ${STATE_VERSION}`;
  }
  if (value["task"] !== "grpo" && value["task"] !== "sft") return "task is neither grpo nor sft";
  for (const name of COUNTS) {
    if (!isCount(value[name])) return `${name} is ${JSON.stringify(value[name])}, not a count`;
  }
  if (typeof value["seconds"] !== "number") return "seconds is not a number";
  if (typeof value["data"] !== "string") return "data is not a digest";
  const { before, logs, entropyControl } = value;
  const numeric = (entry: unknown): boolean => typeof entry === "number";
  if (entropyControl !== null) {
    if (!isObject(entropyControl) || !numeric(entropyControl["coef"])) {
      return "entropyControl has no coef";
    }
    if (!numeric(entropyControl["lastEntropy"])) return "entropyControl has no lastEntropy";
  }
  const scores = (table: unknown): boolean =>
    isObject(table) && Object.values(table).every(numeric);
  if (before !== null && !(isObject(before) && Object.values(before).every(scores))) {
    return "before has no table of numbers for each benchmark";
  }
  if (!isObject(logs) || !isObject(logs["bytes"]) || !isObject(logs["pending"])) {
    return "logs does not say where the logs stood";
  }
  if (!Object.values(logs["bytes"]).every(isCount)) return "logs.bytes has no byte counts";
  if (!Object.values(logs["pending"]).every(Array.isArray)) return "logs.pending has no lists";
  return undefined;
}

/** The state as JSON text, keys in a fixed order. */
export function stateText(state: TrainerState): string {
  const { version, task, step, stage, draw, samplesConsumed, entropyControl } = state;
  const { numTokens, seconds, data, before } = state;
  const ordered: TrainerState = {
    version,
    task,
    step,
    stage,
    draw,
    samplesConsumed,
    entropyControl,
    numTokens,
    seconds,
    data,
    before,
    logs: state.logs,
  };
  return `${JSON.stringify(ordered, null, 2)}\n`;
}

/**
 * Reads a state back.
 *
 * @throws {CheckpointError} `bad-state` naming the file and the field that is wrong.
 */
export function parseState(text: string, file: string): TrainerState {
  const problem = stateProblem(text);
  if (problem !== undefined) {
    throw new CheckpointError("bad-state", `${file} is not a trainer state: ${problem}.`, {
      hint: "Remove its checkpoint's folder, and --resume goes on from the one before.",
    });
  }
  return JSON.parse(text) as TrainerState;
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
