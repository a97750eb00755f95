import { z } from "zod";

/** Programs that a run can be shown in besides its own files and TensorBoard. */
const TRACKERS = ["wandb", "trackio"] as const;

/** The programs that a run is reported to. */
export const reportToSchema = z
  .array(z.enum(TRACKERS))
  .default([])
  .describe(
    "Trackers that take the run up: the TensorBoard events are what they import, and the run ends " +
      "with the command that does it.",
  );

const ACTIONS = ["off", "note", "warn", "stop"] as const;
const MASKING = [...ACTIONS, "mask"] as const;
const ACTION_DOC =
  "What happens when the rule fires: nothing, a note in health.md, a warning, or the run's end";

function rule(meaning: string, limit: string, threshold: number, action: (typeof ACTIONS)[number]) {
  return z
    .strictObject({
      action: z.enum(ACTIONS).default(action).describe(`${ACTION_DOC}.`),
      threshold: z.number().default(threshold).describe(`${limit}.`),
    })
    .prefault({})
    .describe(meaning);
}

function maskingRule(meaning: string, limit: string, threshold: number) {
  return z
    .strictObject({
      action: z
        .enum(MASKING)
        .default("warn")
        .describe(
          `${ACTION_DOC}; \`mask\` warns, and takes every completion that it finds out of the loss.`,
        ),
      threshold: z.number().default(threshold).describe(`${limit}.`),
    })
    .prefault({})
    .describe(meaning);
}

/** The rules of a run's health: what each does when it fires, and from where on it does. */
export const healthSchema = z.strictObject({
  zero_variance: rule(
    "Groups whose rewards are all equal teach nothing; all wrong and all right are told apart.",
    "Share of such groups over the last 8 rows above which it fires",
    0.9,
    "warn",
  ),
  zero_loss: rule(
    "A loss that is 0 by construction, told apart from a gradient that is dead.",
    "Absolute loss up to which it fires",
    1e-6,
    "note",
  ),
  dead_gradient: rule(
    "No gradient although rewards differ within groups.",
    "Gradient norm up to which it fires",
    1e-12,
    "warn",
  ),
  non_finite: rule(
    "A loss or a gradient that is not a number.",
    "Number of such values above which it fires",
    0,
    "stop",
  ),
  truncation: maskingRule(
    "Completions cut at rollout.max_completion_length.",
    "Share of a step's completions above which it fires",
    0.5,
  ),
  repetition: maskingRule(
    "Completions that say the same over and over, such as systemsystemsystem.",
    "Share of a step's completions above which it fires",
    0.05,
  ),
  garbage: maskingRule(
    "Completions of broken characters or of many scripts at once.",
    "Share of a step's completions above which it fires",
    0.05,
  ),
  paid_garbage: rule(
    "Repetition and garbage that earn a reward, as keyword rewards pay.",
    "Reward of such a completion above which it fires",
    0,
    "warn",
  ),
  banned_mass: rule(
    "The policy wants tokens that may not be said: media placeholders, padded vocabulary rows.",
    "Probability of such tokens in one place above which it fires",
    1e-3,
    "warn",
  ),
  advantage_outlier: rule(
    "One completion that outweighs its step.",
    "Absolute advantage above which it fires",
    10,
    "warn",
  ),
  length_collapse: rule(
    "Completions that shrink, as reasoning does to a bare letter where only answers pay.",
    "Mean length, as a fraction of that at the start of the window, below which it fires",
    0.3,
    "warn",
  ),
  kl_drift: rule(
    "The policy is far from where it started.",
    "KL in nats a token above which it fires",
    1,
    "warn",
  ),
  mismatch: rule(
    "Rollout and training disagree on log-probabilities, over all rows or those of one kind.",
    "Mean exp |difference| above which it fires",
    1.02,
    "warn",
  ),
  over_budget: rule(
    "Rows left out since their prompts are over the budget of tokens.",
    "Rows of a step above which it fires",
    0,
    "warn",
  ),
  reward_farming: rule(
    "Reward that rises while correctness does not, such as format alone.",
    "Rise of the mean reward over the last 16 rows above which it fires",
    0.05,
    "warn",
  ),
  reward_failure: rule(
    "Rewards that could not be computed, such as a judge that does not answer.",
    "Share of a step's completions above which it fires",
    0,
    "warn",
  ),
});

/** The rules of a run's health, checked and with every default filled in. */
export type HealthConfig = z.output<typeof healthSchema>;
/** Name of a rule. */
export type RuleName = keyof HealthConfig;
/** Name of a tracker. */
export type Tracker = (typeof TRACKERS)[number];
