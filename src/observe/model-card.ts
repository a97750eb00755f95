import type { Scores } from "../core/run-events.ts";

/** One measurement of the evaluation table. */
export interface CardEvaluation {
  /** Such as `before training`, `after training`, `after, muted`. */
  label: string;
  scores: Scores;
}

/** The evaluations of one benchmark. */
export interface CardBenchmark {
  name: string;
  /** The denominator of its overall scores. */
  questions: number;
  /** How its answers were decoded, such as `greedy decoding`. */
  decoding: string;
  evaluations: readonly CardEvaluation[];
}

/** Everything that a model card says. */
export interface ModelCard {
  /** Name of the run. */
  name: string;
  task: "grpo" | "sft";
  /** The model that the run started from, as the configuration names it. */
  baseModel: string;
  /** The rewards, in one line each; empty for supervised training. */
  rewards: readonly { name: string; weight: number; doc: string }[];
  benchmarks: readonly CardBenchmark[];
  steps: number;
  seconds: number;
  seed: number;
  /** Resolved configuration, as YAML. */
  configYaml: string;
  /** The command that made the run; null where a program did. */
  command: string | null;
  /** The command that evaluates its result on the run's benchmarks; unused without any. */
  evalCommand: string;
  /** Versions by program, the device by property. */
  versions: Readonly<Record<string, string>>;
  device: Readonly<Record<string, string>>;
  /** Limits to know before the numbers are believed, one sentence each. */
  limits: readonly string[];
  /** Folder of the trained weights inside the run folder. */
  modelFolder: string;
  /** Adapters that were trained: the folder then holds no weights of the model itself. */
  adapters: { r: number; lora_alpha: number; use_rslora: boolean } | null;
  /** Makers' name of the family of models, such as `Qwen2.5-Omni`. */
  family: string;
  /** The export that was loaded for the last evaluation; null for none. */
  exported: CardExport | null;
  /** Python that loads the folder with transformers, and with peft for adapters. */
  python: string;
}

/** The facts of exported weights on the card. */
export interface CardExport {
  /** `f32`, `bf16` or `f16`. */
  dtype: string;
  files: readonly string[];
  tensors: number;
  bytes: number;
  overflow: number;
  changes: CardChanges | null;
}

/** Weights that were compared with the base's, that training changed, and whose change is lost. */
export interface CardChanges {
  compared: number;
  changed: number;
  lost: number;
}

/** Returns one sentence on what rounding did to what training changed. */
export function lostText({ compared, changed, lost }: CardChanges, dtype: string): string {
  if (changed === 0) return `None of ${compared} weights differs from the base's.`;
  const share = ((100 * lost) / changed).toFixed(lost === 0 ? 0 : 2);
  return (
    `Training changed ${changed} of ${compared} weights; ` +
    `${dtype} rounds ${lost} of these changes away (${share} %).`
  );
}

function exportSection({ exported, modelFolder, family, adapters }: ModelCard): string {
  if (exported === null) {
    return "No model was exported: the scores after training are those of the weights in memory.";
  }
  const { dtype, files, tensors, bytes, overflow, changes } = exported;
  const weights = files.filter((name) => name.endsWith(".safetensors"));
  const lines = [
    `${family}, ${tensors} tensors, ${bytes} bytes, ${dtype}. The scores after training are those ` +
      `of \`${modelFolder}/${weights[0]!}\`${weights.length > 1 ? " and its other shards" : ""}, ` +
      "loaded again as it lies there.",
  ];
  if (adapters) {
    const scale = adapters.use_rslora ? "lora_alpha / sqrt(r)" : "lora_alpha / r";
    const { r, lora_alpha: alpha } = adapters;
    lines.push(`Adapters: r ${r}, lora_alpha ${alpha}, scale ${scale}.`);
  }
  if (changes) lines.push(lostText(changes, dtype));
  if (overflow > 0) lines.push(`${overflow} weights are infinite in ${dtype}.`);
  return lines.join("\n");
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}

/** Standard error of a fraction of so many questions, in points. */
function pointsOff(score: number, questions: number): number {
  return 100 * Math.sqrt((score * (1 - score)) / questions);
}

function evaluationTables({ benchmarks }: ModelCard): string {
  if (benchmarks.length === 0) return "The run asked no held-out questions.";
  return benchmarks.map(evaluationTable).join("\n\n");
}

function evaluationTable({ name, evaluations, questions, decoding }: CardBenchmark): string {
  const kinds: string[] = [];
  for (const { scores } of evaluations) {
    for (const kind of Object.keys(scores)) if (!kinds.includes(kind)) kinds.push(kind);
  }
  const rows = evaluations.map(({ label, scores }) => [
    label,
    ...kinds.map((kind) => (scores[kind] === undefined ? "" : scores[kind].toFixed(3))),
  ]);
  const worst = Math.max(
    0,
    ...evaluations.map(({ scores }) => pointsOff(scores.overall, questions)),
  );
  return `${table([name, ...kinds], rows)}

\`${name}\`: ${decoding}, ${questions} questions; one that fails counts as wrong. The standard error of
an overall score is at most ${worst.toFixed(1)} points.`;
}

function evaluateSection({ benchmarks, evalCommand }: ModelCard): string {
  if (benchmarks.length === 0) return "";
  return `\`\`\`sh\n${evalCommand}\n\`\`\`\n\n`;
}

function rewardSection({ rewards }: ModelCard): string {
  if (rewards.length === 0) return "";
  const rows = rewards.map(({ name, weight, doc }) => [`\`${name}\``, String(weight), doc]);
  return `## Reward

${table(["reward", "weight", "meaning"], rows)}

`;
}

function limitSection({ limits }: ModelCard): string {
  return limits.length === 0 ? "" : `## Limits\n\n${list(limits)}\n\n`;
}

function list(items: readonly string[]): string {
  return items.map((item) => `- ${item}`).join("\n");
}

function facts(values: Readonly<Record<string, string>>): string {
  return Object.entries(values)
    .map(([name, value]) => `${name} ${value}`)
    .join(", ");
}

function madeBy({ command }: ModelCard): string {
  if (command !== null) return `\`\`\`sh\n${command}\n\`\`\``;
  return "By a program that called `train` with the configuration below.";
}

/** The folder of a run holds these; the card explains each. */
const CONTENTS = `| file | holds |
| --- | --- |
| \`config.yaml\` | every setting, defaults included |
| \`run.json\` | command, versions, seed, device |
| \`metrics.jsonl\` | one row per logged step, one per evaluation |
| \`rollouts.jsonl\` | every completion with its rewards |
| \`answers.jsonl\` | every answer to a held-out question |
| \`events.jsonl\` | evaluations, warnings and changes of the verdict |
| \`health.md\`, \`health.json\` | what the numbers say of the run, in words and for programs |
| \`completions/\` | with \`output.completions\`: logged steps as parquet with TRL's columns |
| \`tb/\` | the metrics for TensorBoard |
| \`trace.json\` | with \`output.trace\`: where the time went, for ui.perfetto.dev |
| \`checkpoint-NNNNN/\` | a state from which the run continues bit for bit |`;

/**
 * Writes the card of a run: a README.md with the front matter that the Hub reads.
 *
 * Numerics: scores as fractions with three digits, standard errors in points.
 */
export function modelCard(card: ModelCard): string {
  const task = card.task === "grpo" ? "GRPO" : "supervised fine-tuning";
  const method = card.adapters ? `${task} of low-rank adapters` : task;
  const what = card.adapters
    ? `the trained adapters in PEFT's format, to be loaded on \`${card.baseModel}\``
    : "the trained weights as safetensors";
  const minutes = (card.seconds / 60).toFixed(1);
  return `---
library_name: aubade
base_model: ${JSON.stringify(card.baseModel)}
pipeline_tag: any-to-any
tags:
  - aubade
  - audio-visual
  - ${card.task}${card.adapters ? "\n  - lora" : ""}
---

# ${card.name}

Trained from \`${card.baseModel}\` with ${method}: ${card.steps} steps, ${minutes} minutes, seed ${card.seed}.

![curve](curve.svg)

## Quick start

${evaluateSection(card)}In Python (transformers 4.57${card.adapters ? ", peft" : ""}):

\`\`\`python
${card.python.trimEnd()}
\`\`\`

## Weights

${exportSection(card)}

## Evaluation

${evaluationTables(card)}

${rewardSection(card)}${limitSection(card)}## How it was made

${madeBy(card)}

Device: ${facts(card.device)}. Versions: ${facts(card.versions)}.

<details><summary>Configuration</summary>

\`\`\`yaml
${card.configYaml.trimEnd()}
\`\`\`

</details>

## Files

${CONTENTS}
| \`${card.modelFolder}/\` | ${what} |
`;
}
