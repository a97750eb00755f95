import { CheckpointError } from "../core/errors.ts";
import type { EntropyControl } from "../policy/loss/entropy-control.ts";

/** The version of the state's layout; a checkpoint of another one is refused. */
export const STATE_VERSION = 2;

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
  /** The evaluation before training, so that a resumed run reports the true start. */
  before: Record<string, number> | null;
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
  const { before, logs, entropyControl } = value;
  const numeric = (entry: unknown): boolean => typeof entry === "number";
  if (entropyControl !== null) {
    if (!isObject(entropyControl) || !numeric(entropyControl["coef"])) {
      return "entropyControl has no coef";
    }
    if (!numeric(entropyControl["lastEntropy"])) return "entropyControl has no lastEntropy";
  }
  if (before !== null && !(isObject(before) && Object.values(before).every(numeric))) {
    return "before is not a table of numbers";
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
  const { numTokens, seconds, before } = state;
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
