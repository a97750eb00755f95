import type { MaskRules } from "../core/degenerate.ts";
import type { DataConfig } from "../datasets/schema.ts";
import type { EntropyControl } from "../policy/loss/entropy-control.ts";
import type { Reference } from "../policy/reference.ts";
import type { RolloutConfig } from "../rollout/schema.ts";
import type { AdamW } from "./optimizer.ts";
import type { SftConfig, TrainConfig } from "./schema.ts";

/** The place of a run, as far as its task decides it. */
export interface Cursor {
  /** Optimizer steps done. */
  readonly step: number;
  /** Batches drawn so far: the draw counter of random keys. */
  readonly draw: number;
  /** Samples consumed so far. */
  readonly samplesConsumed: number;
  /** The adaptive entropy bonus; null before its first update, and where there is none. */
  readonly entropyControl: EntropyControl | null;
}

/** The result of a step. */
export interface StepResult {
  /** The place of the run after it. */
  cursor: Cursor;
  metrics: Record<string, number>;
  /** Tokens that went through training passes, prompts included. */
  tokens: number;
}

/** The sections of a checked configuration that tasks read. */
export interface TaskSettings {
  data: DataConfig;
  rollout: RolloutConfig;
  train: TrainConfig;
  sft: SftConfig;
  /** Rules of the run's health that take completions out of the loss. */
  health: MaskRules;
}

/** A kind of training: what one step does and where the run then stands. */
export interface TrainingTask {
  /** Optimizer steps of the whole run. */
  readonly totalSteps: number;
  /** The optimizer whose state a checkpoint holds. */
  readonly optimizer: AdamW;
  /** The reference policy where it moves, so that a checkpoint must hold it. */
  readonly reference?: Reference | undefined;
  /** Does the step at the cursor; a step that raises leaves the run where it was. */
  step(cursor: Cursor): Promise<StepResult>;
  /** Frees what the task holds on the device; a second time does nothing. */
  destroy(): void;
}
