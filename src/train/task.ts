import type { EntropyControl } from "../policy/loss/entropy-control.ts";
import type { AdamW } from "./optimizer.ts";
import type { Reference } from "../policy/reference.ts";

/** Where a run stands, as far as its task decides it. */
export interface Cursor {
  /** Optimizer steps done, over all stages. */
  step: number;
  /** Stage of supervised training that the next step belongs to; 0 in GRPO. */
  stage: number;
  /** Batches drawn so far: the draw counter of random keys. */
  draw: number;
  /** Samples consumed so far. */
  samplesConsumed: number;
  /** The adaptive entropy bonus; null before its first update, and where there is none. */
  entropyControl: EntropyControl | null;
}

/** A kind of training: what one step does and where the run then stands. */
export interface TrainingTask {
  /** Optimizer steps of the whole run. */
  readonly totalSteps: number;
  /** The optimizer whose state a checkpoint holds. */
  readonly optimizer: AdamW;
  /** The reference policy where it moves, so that a checkpoint must hold it. */
  readonly reference?: Reference | undefined;
  /** Does the step at the cursor and moves the cursor on. */
  step(cursor: Cursor): Promise<{ metrics: Record<string, number>; tokens: number }>;
}
