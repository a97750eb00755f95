import type { MaskRules } from "../core/degenerate.ts";
import type { DataConfig } from "../data/schema.ts";
import type { DataRow, DataSet } from "../data/dataset.ts";
import type { EvalConfig } from "../eval/schema.ts";
import type { DeviceConfig } from "../gpu/schema.ts";
import type { ExportDType, ExportReport } from "../checkpoint/export.ts";
import type { Model } from "../model/model.ts";
import type { Processor } from "../model/processor.ts";
import type { BaseModelConfig } from "../model/schema.ts";
import type { AsyncReward, WeightedReward } from "../reward/reward.ts";
import type { RewardConfig } from "../reward/schema.ts";
import type { RolloutConfig } from "../rollout/schema.ts";
import type { Events } from "../core/events.ts";
import type { Evaluations } from "../core/run-events.ts";
import type { SftConfig, TrainConfig } from "../train/schema.ts";
import type { TrainerState } from "./state.ts";

/** What a run does: the sections of a checked configuration that the engine reads. */
export interface RunSettings {
  task: "grpo" | "sft";
  model: BaseModelConfig;
  data: DataConfig;
  rollout: RolloutConfig;
  rewards: readonly RewardConfig[];
  train: TrainConfig;
  sft: SftConfig;
  eval: EvalConfig;
  /** Rules of the run's health that the trainer carries out itself. */
  health: MaskRules;
  device: DeviceConfig;
  output: {
    keep_last: number;
    keep_best: string | null;
    greater_is_better: boolean;
    export_dtype: ExportDType | null;
  };
}

/** Where the logs of a run stand, as far as the trainer must know them. */
export interface RunLogKeeper {
  /**
   * Raises the first failure to write a log since the run began, or that the folder is no longer this
   * process's own; asked after every step and before anything is saved.
   */
  check(): void;
  /** Makes the logs durable and says where they stand, for the state of a checkpoint. */
  position(): TrainerState["logs"];
}

/** What a run is given besides its configuration. */
export interface TrainOptions {
  /** Hears everything that happens; the kinds are those of `core/run-events.ts`. */
  events: Events;
  /** Aborted when the user wants the run to stop after its current step, with a checkpoint. */
  stop: AbortSignal;
  /** The run folder, which exists and can be written; nothing is saved when left out. */
  runFolder?: string;
  /** Who keeps the logs of the run; none when left out. */
  logs?: RunLogKeeper;
  /** Rewards besides those that the configuration names (GRPO). */
  rewards?: readonly WeightedReward<DataRow, AsyncReward<DataRow>>[];
  /** Rows of a program's own in place of those that the section `data` names (GRPO). */
  dataset?: DataSet;
  /** URL of the configuration's file, beside which modules are looked for. */
  configUrl?: string;
  /**
   * Given the trained model before its device is closed, loaded from the run folder where the run
   * has one; not called after a stop.
   */
  onTrained?: (model: Model, processor: Processor) => void | Promise<void>;
  /** The checkpoint to continue from. */
  resume?: { folder: string; state: TrainerState };
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
  controls: Partial<Record<"muted" | "blank", Evaluations>>;
  /** The denominators of the overall scores, by benchmark. */
  questions: Record<string, number>;
  /** Whether the user stopped the run before its last step. */
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
