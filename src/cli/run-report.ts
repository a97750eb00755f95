import { exists, readText, writeFileAtomic } from "#io";
import type { RunConfig } from "../config/schema.ts";
import type { Scores } from "../core/run-events.ts";
import { baseName, joinPath } from "../io/path.ts";
import { parseModelConfig } from "../families/registry.ts";
import { type CardEvaluation, modelCard } from "../observe/model-card.ts";
import { parseMetricRows, rewardCurve } from "../observe/reward-curve.ts";
import { LOG_FILES } from "../observe/run-logs.ts";
import { REWARD_DOCS } from "../reward/schema.ts";
import { RUN_FILES, type RunFacts } from "../run/folder.ts";
import type { TrainResult } from "../run/run-interface.ts";
import { pythonSnippet } from "./python-snippet.ts";

/** What `--json` prints at the end of a run. */
export interface RunSummary {
  seed: number;
  steps: number;
  seconds: number;
  before: Scores | null;
  after: Scores | null;
  runDir: string;
  /** Only when the configuration asks for controls. */
  controls?: TrainResult["controls"];
  /** Only when the run was stopped before its last step. */
  stopped?: true;
}

const LIMITS: Record<RunConfig["data"]["name"], readonly string[]> = {
  tiny: [
    "The clips are synthetic: flat shapes and made sounds, two seconds long.",
    "The errors that GRPO removes were put in by the warm start's last stage; the clean model of " +
      "its first stage is the ceiling. This shows that rollout, reward, advantage, loss and " +
      "optimizer work together, not that reinforcement teaches new perception.",
    "All four options occur in every clip, so chance is 0.25, also for a muted or blank clip.",
  ],
  jsonl: [],
};

const NO_MODEL = "# This run left no model (output.export_dtype: null).";

/** The object that `--json` prints. */
export function runSummary(config: RunConfig, result: TrainResult, runDir: string): RunSummary {
  const { steps, before, after, controls } = result;
  const seconds = Number(result.seconds.toFixed(2));
  const summary: RunSummary = { seed: config.train.seed, steps, seconds, before, after, runDir };
  if (Object.keys(controls).length > 0) summary.controls = controls;
  if (result.stopped) summary.stopped = true;
  return summary;
}

function evaluations({ before, after, controls }: TrainResult): CardEvaluation[] {
  const rows: CardEvaluation[] = [];
  if (before) rows.push({ label: "before training", scores: before });
  if (after) rows.push({ label: "after training", scores: after });
  if (controls.muted) rows.push({ label: "after, without sound", scores: controls.muted });
  if (controls.blank) rows.push({ label: "after, without picture", scores: controls.blank });
  return rows;
}

/** What the card says of the model that the run left. */
async function modelFacts(folder: string, { train }: RunConfig, { exported }: TrainResult) {
  if (exported === null) return { exported, family: "", python: NO_MODEL };
  const model = joinPath(folder, RUN_FILES.model);
  const path = joinPath(model, "config.json");
  const { family } = parseModelConfig(await readText(path), path);
  const python = pythonSnippet(family.name, model, train.lora === null ? undefined : exported.base);
  return { exported, family: family.name, python };
}

/** Writes the curve and the model card of a run into its folder. */
export async function writeRunReport(
  folder: string,
  config: RunConfig,
  facts: RunFacts,
  result: TrainResult,
): Promise<void> {
  const name = baseName(folder);
  const file = (path: string): string => joinPath(folder, path);
  const metrics = file(LOG_FILES.metrics);
  const rows = (await exists(metrics)) ? parseMetricRows(await readText(metrics)) : [];
  const what = config.task === "grpo" ? "reward over training" : "loss over training";
  await writeFileAtomic(file(RUN_FILES.curve), rewardCurve(rows, `${name}: ${what}`));
  const used = config.task === "grpo" ? config.rewards : [];
  const card = modelCard({
    name,
    task: config.task,
    baseModel: config.model.path,
    rewards: used.map((reward) => ({ ...reward, doc: REWARD_DOCS[reward.name] })),
    evaluations: evaluations(result),
    questions: config.eval.questions,
    steps: result.steps,
    seconds: result.seconds,
    seed: config.train.seed,
    configYaml: await readText(file(RUN_FILES.config)),
    command: facts.command,
    evalCommand: `node eval.js ${file(RUN_FILES.config)} model.path=${file(RUN_FILES.model)} model.init=weights`,
    versions: facts.versions,
    device: facts.device,
    limits: LIMITS[config.data.name],
    modelFolder: RUN_FILES.model,
    adapters: config.train.lora,
    ...(await modelFacts(folder, config, result)),
  });
  await writeFileAtomic(file(RUN_FILES.card), card);
}
