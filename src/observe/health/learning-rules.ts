import type { CompletionView } from "../completions.ts";
import {
  type Finding,
  type HealthContext,
  type HealthRule,
  meanOf,
  percent,
  short,
  valuesOf,
} from "./rule.ts";

const WINDOW = 8;
const LEAST_GROUPS = 8;

function zeroVariance({ rows, facts }: HealthContext, threshold: number): Finding | undefined {
  const window = rows.slice(-WINDOW);
  const shares = valuesOf(window, "frac_reward_zero_std");
  const share = meanOf(shares);
  if (shares.length * facts.promptsPerStep < LEAST_GROUPS || !(share > threshold)) return undefined;
  const wrong = meanOf(valuesOf(window, "groups/all_wrong"));
  const right = meanOf(valuesOf(window, "groups/all_right"));
  const parts = Number.isNaN(wrong)
    ? ""
    : `: ${percent(wrong)} all wrong, ${percent(right)} all right`;
  let advice = "Rewards that differ within a group are needed.";
  if (wrong > right) {
    advice =
      "No completion earns more than another: read some of them, check that the answer can be " +
      "parsed, and begin with easier rows or with supervised training.";
  } else if (right > wrong) advice = "These rows are learnt: harder ones teach more.";
  return {
    message: `${percent(share)} of the groups of the last ${shares.length} rows have equal rewards and teach nothing${parts}. ${advice}`,
  };
}

/**
 * Returns `some` when rewards differ within a group, `masked` when the loss has none of its
 * completions.
 */
function lessonOf({ completions, facts }: HealthContext): "some" | "masked" | "none" {
  const telling = completions.filter(({ advantage }) => advantage !== 0);
  if (telling.length === 0) return "none";
  const out = ({ masked, finished }: CompletionView): boolean =>
    masked || (facts.maskTruncated === true && !finished);
  return telling.every(out) ? "masked" : "some";
}

function zeroLoss(context: HealthContext, threshold: number): Finding | undefined {
  const { metrics, facts } = context;
  const { loss = NaN, grad_norm: norm = NaN } = metrics;
  if (facts.task !== "grpo" || !(Math.abs(loss) <= threshold)) return undefined;
  const lesson = lessonOf(context);
  if (lesson !== "some") {
    const why =
      lesson === "none"
        ? "the rewards are equal within every group"
        : "every completion with an advantage is masked";
    return { message: `The loss is ${short(loss)} because ${why}: this step teaches nothing.` };
  }
  if (facts.beta !== 0 || facts.updatesPerRollout !== 1 || !(norm > 0)) return undefined;
  return {
    message: `The loss is ${short(loss)} by construction: with one update per rollout and beta 0 every ratio is 1 and the advantages of a group sum to 0. The gradient is not 0 (norm ${short(norm)}): watch the reward, not the loss.`,
  };
}

function deadGradient(context: HealthContext, threshold: number): Finding | undefined {
  const norm = context.metrics["grad_norm"] ?? NaN;
  if (!(norm <= threshold)) return undefined;
  if (context.facts.task === "grpo" && lessonOf(context) !== "some") return undefined;
  return {
    message: `The gradient norm is ${short(norm)} although there is something to learn. Nothing trains: check train.tune_mm_*, train.freeze and the adapters' target_modules.`,
  };
}

function nonFinite({ metrics, checkpoint }: HealthContext, threshold: number): Finding | undefined {
  const names = ["loss", "grad_norm"].filter((name) => {
    const value = metrics[name];
    return value !== undefined && !Number.isFinite(value);
  });
  if (names.length <= threshold) return undefined;
  const values = names.map((name) => `${name} is ${metrics[name]}`);
  const from =
    checkpoint === undefined
      ? ""
      : `; its model.path may be ${checkpoint}, which was saved before this, where that is no adapter`;
  return {
    message: `${values.join(" and ")}. The weights can no longer be trusted: begin another run with a lower train.learning_rate or train.max_grad_norm${from}.`,
  };
}

function klDrift({ rows }: HealthContext, threshold: number): Finding | undefined {
  const values = valuesOf(rows, "kl");
  const last = values.at(-1) ?? NaN;
  if (!(last > threshold)) return undefined;
  return {
    message: `The policy is ${short(last)} nats a token away from where it started (${short(values[0]!)} at the first of the last ${values.length} rows, limit ${short(threshold)}). Raise train.beta or lower train.learning_rate, and read the completions.`,
  };
}

/** Rows at either end of the window whose mean lengths are compared. */
const END_ROWS = 4;

function lengthCollapse({ rows }: HealthContext, threshold: number): Finding | undefined {
  const lengths = valuesOf(rows, "completions/mean_length");
  if (lengths.length < 2 * END_ROWS) return undefined;
  const [first, last] = [meanOf(lengths.slice(0, END_ROWS)), meanOf(lengths.slice(-END_ROWS))];
  if (!(last < threshold * first)) return undefined;
  return {
    message: `Completions have shrunk from ${short(first)} to ${short(last)} tokens over the last ${lengths.length} rows. Where only the answer pays, reasoning can fall to a bare letter: read some, and reward the format or raise train.beta.`,
  };
}

const ERROR = "token_mult_prob_error";

function mismatch({ metrics }: HealthContext, threshold: number): Finding | undefined {
  // By Jensen's inequality exp of the mean difference is a lower bound where the mean of exp lacks.
  const all = metrics[ERROR] ?? Math.exp(metrics["sampling/sampling_logp_difference/mean"] ?? NaN);
  const kinds = Object.entries(metrics).filter(([name]) => name.startsWith(`${ERROR}/`));
  const worst = kinds.reduce((high, one) => (one[1] > high[1] ? one : high), ["", all] as const);
  if (!(worst[1] > threshold)) return undefined;
  const kind = worst[0].slice(ERROR.length + 1);
  const where = kind === "" ? "" : ` on rows of the kind ${kind} (${short(all)} over all)`;
  return {
    message: `Rollout and training disagree: ${ERROR} is ${short(worst[1])}${where}, limit ${short(threshold)}. The ratios of the loss are wrong by as much; positions or features of this kind differ between the two passes.`,
  };
}

/** Rules on loss, gradient, policy and groups. */
export const LEARNING_RULES: readonly HealthRule[] = [
  { name: "zero_variance", every: "row", check: zeroVariance },
  { name: "zero_loss", every: "step", check: zeroLoss },
  { name: "dead_gradient", every: "step", check: deadGradient },
  { name: "non_finite", every: "step", check: nonFinite },
  { name: "length_collapse", every: "row", check: lengthCollapse },
  { name: "kl_drift", every: "row", check: klDrift },
  { name: "mismatch", every: "step", check: mismatch },
];
