import { exists, readText, writeFileAtomic } from "#io";
import type { RunConfig } from "../config/schema.ts";
import type { Evaluations } from "../core/run-events.ts";
import type { RegisteredData } from "../data/dataset.ts";
import { DATA_SETS } from "../datasets/registry.ts";
import { benchmarksOf } from "../eval/schema.ts";
import { isHubName } from "../io/hub/name.ts";
import { baseName, joinPath } from "../io/path.ts";
import { parseModelConfig } from "../families/registry.ts";
import { type CardBenchmark, type CardEvaluation, modelCard } from "../observe/model-card.ts";
import { parseMetricRows, rewardCurve } from "../observe/reward-curve.ts";
import { LOG_FILES } from "../observe/run-logs.ts";
import { RUN_FILES, type RunFacts } from "./folder.ts";
import type { TrainResult } from "./options.ts";
import { pythonSnippet } from "./python-snippet.ts";

/** A reward as the card of a run names it. */
export interface CardReward {
  name: string;
  weight: number;
  /** Its subject, in one line. */
  doc: string;
}

/** The parts from which the report of a run is made. */
export interface RunReport {
  config: RunConfig;
  facts: RunFacts;
  result: TrainResult;
  rewards: readonly CardReward[];
  /** Told how many lines of the metrics cannot be read, and so are not in the curve. */
  onTorn: (lines: number) => void;
}

const NO_MODEL = "# This run left no model (output.export_dtype: null).";

/** Returns the benchmarks of a run with what was measured on them. */
function cardBenchmarks(
  { eval: config }: RunConfig,
  { before, after, controls, questions }: TrainResult,
): CardBenchmark[] {
  const named = benchmarksOf(config);
  return Object.entries(questions).map(([name, count]) => {
    const settings = named.find((benchmark) => benchmark.name === name)?.settings;
    const temperature = settings?.decoding.temperature ?? 0;
    const evaluations: CardEvaluation[] = [];
    const add = (label: string, of: Evaluations | null | undefined): void => {
      const scores = of?.[name];
      if (scores !== undefined) evaluations.push({ label, scores });
    };
    add("before training", before);
    add("after training", after);
    add("after, without sound", controls.muted);
    add("after, without picture", controls.blank);
    add("after, text alone", controls.text_only);
    const decoding =
      temperature === 0 ? "greedy decoding" : `sampled at temperature ${temperature}`;
    return { name, questions: count, decoding, evaluations };
  });
}

/** Returns the facts of the model that the run left, for its card. */
async function modelFacts(folder: string, { train }: RunConfig, { exported }: TrainResult) {
  if (exported === null) return { exported, family: "", python: NO_MODEL };
  const model = joinPath(folder, RUN_FILES.model);
  const path = joinPath(model, "config.json");
  const { family } = parseModelConfig(await readText(path), path);
  const python = pythonSnippet(
    family.pythonClass,
    model,
    train.lora === null ? undefined : exported.base,
  );
  return { exported, family: family.name, python };
}

/** Writes the curve and the model card of a run into its folder. */
export async function writeRunReport(
  folder: string,
  { config, facts, result, rewards, onTorn }: RunReport,
): Promise<void> {
  const name = baseName(folder);
  const base = config.model.path;
  const file = (path: string): string => joinPath(folder, path);
  const metrics = file(LOG_FILES.metrics);
  const rows = (await exists(metrics)) ? parseMetricRows(await readText(metrics), onTorn) : [];
  const what = config.task === "grpo" ? "reward over training" : "loss over training";
  await writeFileAtomic(file(RUN_FILES.curve), rewardCurve(rows, `${name}: ${what}`));
  const { limits = [] }: RegisteredData = DATA_SETS[config.data.name];
  const card = modelCard({
    name,
    task: config.task,
    // A folder of this machine is nothing to others.
    baseModel: isHubName(base) ? base : baseName(base),
    rewards,
    benchmarks: cardBenchmarks(config, result),
    steps: result.steps,
    seconds: result.seconds,
    seed: config.train.seed,
    configYaml: await readText(file(RUN_FILES.config)),
    command: facts.command,
    evalCommand: `node eval.js ${file(RUN_FILES.config)} model.path=${file(RUN_FILES.model)} model.init=weights`,
    versions: facts.versions,
    device: facts.device,
    limits,
    modelFolder: RUN_FILES.model,
    adapters: config.train.lora,
    ...(await modelFacts(folder, config, result)),
  });
  await writeFileAtomic(file(RUN_FILES.card), card);
}
