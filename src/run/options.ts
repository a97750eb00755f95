import type { RunConfig } from "../config/schema.ts";
import type { ExportReport } from "../checkpoint/export.ts";
import type { Events, Listener } from "../core/events.ts";
import type { Control, Evaluations } from "../core/run-events.ts";
import type { DataRow, DataSet } from "../data/dataset.ts";
import type { BenchmarkResult } from "../eval/table.ts";
import type { Device } from "../gpu/device.ts";
import type { Model } from "../model/model.ts";
import type { Processor } from "../model/processor.ts";
import type { LogStore } from "../observe/log-file.ts";
import type { StepWatcher } from "../observe/run-logs.ts";
import type { AsyncReward, WeightedReward } from "../reward/reward.ts";
import type { RolloutSource } from "../rollout/source.ts";
import type { TrainerState } from "./state.ts";

/**
 * Rows that a program hands in: a list in the forms of docs/data.md, whose media are paths relative to
 * the current folder, addresses or bytes; or a data set that gives rows by index.
 */
export type Rows = DataSet | readonly object[];

/**
 * Parts that a program may hand to a run or an evaluation; a default is made of each that it leaves
 * out.
 */
export interface RunParts {
  /** Receives everything that happens; narrow by `kind`. */
  onEvent?: Listener;
  /** When aborted, training stops after its current step, evaluation between two batches. */
  signal?: AbortSignal;
  /** The device to work on, which stays open; by default one is opened as `device` says. */
  device?: Device;
  /**
   * The model, or what loads it onto the device; by default it is loaded as `model` says. A model
   * that is handed in is trained in place and stays loaded; `model.path` still names the checkpoint
   * that it came from, whose tokenizer and other files are used.
   */
  model?: Model | ((device: Device) => Promise<Model>);
  /** The processor of the model; by default the one of the checkpoint at `model.path`. */
  processor?: Processor;
  /** Held-out rows, all of which are asked; by default the benchmarks that `eval` names. */
  questions?: Rows;
}

/** Parts and options that a program may hand to a training run. */
export interface TrainOptions extends RunParts {
  /** Rows to train on (GRPO); by default those that `data` names. */
  data?: Rows;
  /**
   * Rewards of the program's own, besides those that the configuration names; where it names none,
   * they are the only ones (GRPO).
   */
  rewards?: readonly WeightedReward<DataRow, AsyncReward<DataRow>>[];
  /** Makes what generates the completions (GRPO); by default the engine that trains does it. */
  rollouts?: (model: Model, processor: Processor) => RolloutSource;
  /**
   * Folder of the run, with configuration, logs, checkpoints, trained model, curve and card (Node
   * only); without it nothing is saved.
   */
  runFolder?: string;
  /**
   * Goes on, bit for bit, from the newest whole checkpoint in `runFolder`, or from the one of this
   * name, such as `checkpoint-00010`. Default false.
   */
  resume?: boolean | string;
  /** Keeps the logs; by default they are files in `runFolder`, and without it there are none. */
  logs?: LogStore;
  /** Looks at every step after the rules of the run's health, and may end the run. */
  watcher?: StepWatcher;
  /** The command that starts the run, for its record; none for a program that calls `train`. */
  command?: string;
  /**
   * Given the trained model before it is freed, loaded from the run folder where the run has one;
   * not called after a stop.
   */
  onTrained?: (model: Model, processor: Processor) => void | Promise<void>;
}

/** The names of all options, by which others are refused. */
export const RUN_PARTS = [
  ...(["onEvent", "signal", "device", "model", "processor", "questions"] as const),
] as const;

/** As {@link RUN_PARTS}, of a training run. */
export const TRAIN_OPTIONS = [
  ...RUN_PARTS,
  ...(["data", "rewards", "rollouts", "runFolder", "resume", "logs", "watcher"] as const),
  ...(["command", "onTrained"] as const),
] as const;

/** Keeps the logs of a run, as far as its loop must know them. */
export interface RunLogKeeper {
  /**
   * Raises the first failure to write a log since the run began, or that the folder is no longer this
   * process's own; asked after every step and before anything is saved.
   */
  check(): void;
  /** Makes the logs durable and says where they stand, for the state of a checkpoint. */
  position(): TrainerState["logs"];
}

/** The surroundings of a run's loop: who hears of it, where it saves, where it goes on. */
export interface Session {
  config: RunConfig;
  events: Events;
  /** Aborted when the run is to stop after its current step, with a checkpoint. */
  stop: AbortSignal;
  logs: RunLogKeeper;
  /** The folder, which exists and is this process's alone; nothing is saved without. */
  runFolder: string | undefined;
  /** The checkpoint to continue from. */
  resume: { folder: string; state: TrainerState } | undefined;
}

/** How a run ended. */
export interface TrainResult {
  /** Optimizer steps done, those of earlier sessions included. */
  steps: number;
  /** Seconds of work, those of earlier sessions included. */
  seconds: number;
  /** Scores by benchmark; null where nothing was asked. */
  before: Evaluations | null;
  /** Null when the run was stopped before its last step. */
  after: Evaluations | null;
  /** Scores after training under each control that the configuration asks for. */
  controls: Partial<Record<Control, Evaluations>>;
  /** The denominators of the overall scores, by benchmark. */
  questions: Record<string, number>;
  /** True when the user stopped the run before its last step. */
  stopped: boolean;
  /** The model that the run left, which its last evaluation loaded again; null when none was. */
  exported: RunExport | null;
}

/** The model that a run leaves in its folder, and what its `export.json` says. */
export interface RunExport extends ExportReport {
  /** The model that training started from, as the configuration names it. */
  base: string;
  revision: string | null;
}

/** The result of an evaluation. */
export interface EvalResult {
  /** By name, in the order of the configuration; empty for an evaluation that was stopped. */
  benchmarks: Record<string, BenchmarkResult>;
  seconds: number;
}
