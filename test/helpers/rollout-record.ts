import type { RolloutRecord } from "../../src/core/run-events.ts";

/** A completion's record as the trainer reports it, with changes. */
export function rolloutRecord(change: Partial<RolloutRecord> = {}): RolloutRecord {
  return {
    ...{ step: 1, sample: "row", draw: 0, completion: 0, media: "", kind: "see", answer: "B" },
    ...{ text: "B", finished: true, reward: 0, rewards: {}, reward_errors: {} },
    ...{
      correct: false,
      unparsed: false,
      masked: false,
      advantage: 0,
      banned_mass: 0,
      ids: [],
      log_probs: [],
    },
    ...change,
  };
}
