/**
 * The table of the tiny task in README.md: GRPO from the shipped warm start with several seeds, the
 * controls without sound and without picture, and a run whose rewards are a coin.
 *
 *     node src/cli/driver/with-adapter.js --import tsx scripts/tiny-results.ts [FOLDER] [SEEDS]
 *
 * Leaves the run folders in FOLDER (default runs/results) and prints the table as Markdown; runs that
 * are there already are not repeated. SEEDS is a list such as 0,1,2.
 */
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Evaluations } from "../src/core/run-events.ts";

const [folder = "runs/results", seedList = "0,1,2"] = process.argv.slice(2);
const seeds = seedList.split(",").map(Number);

interface Summary {
  seconds: number;
  steps: number;
  before: Evaluations;
  after: Evaluations;
  controls?: Record<string, Evaluations>;
}

/** Runs `node train.js` with --json in its own folder, once. */
async function run(name: string, overrides: string[]): Promise<Summary> {
  const result = join(folder, `${name}.json`);
  if (existsSync(result)) return JSON.parse(readFileSync(result, "utf8")) as Summary;
  const args = ["train.js", "configs/tiny.yaml", "--json", ...overrides];
  args.push(`output.run_dir=${join(folder, name)}`);
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  let text = "";
  child.stdout.on("data", (chunk: Buffer) => (text += chunk.toString()));
  const code = await new Promise<number | null>((resolve) => child.on("close", resolve));
  if (code !== 0) throw new Error(`${name} ended with code ${code}`);
  const summary = JSON.parse(text.trim().split("\n").at(-1)!) as Summary;
  writeFileSync(result, JSON.stringify(summary, null, 2));
  return summary;
}

const KINDS = ["overall", "see", "hear", "both", "format"];
const percent = (evaluations: Evaluations | undefined): string =>
  KINDS.map((kind) => ((evaluations?.["tiny"]?.[kind] ?? NaN) * 100).toFixed(1)).join(" | ");

mkdirSync(folder, { recursive: true });
const rows: string[] = [];
const questions = "eval.questions=300";
for (const seed of seeds) {
  const summary = await run(`seed-${seed}`, [
    `train.seed=${seed}`,
    questions,
    "eval.controls=[muted, blank]",
  ]);
  if (seed === seeds[0]) rows.push(`| warm start | ${percent(summary.before)} |`);
  rows.push(`| GRPO, seed ${seed} | ${percent(summary.after)} |`);
  rows.push(`| seed ${seed}, without sound | ${percent(summary.controls?.["muted"])} |`);
  rows.push(`| seed ${seed}, without picture | ${percent(summary.controls?.["blank"])} |`);
}
for (const seed of seeds) {
  const summary = await run(`random-${seed}`, [
    `train.seed=${seed}`,
    questions,
    "rewards=[{name: random, weight: 1}]",
  ]);
  rows.push(`| random rewards, seed ${seed} | ${percent(summary.after)} |`);
}
process.stdout.write(
  `| held-out, greedy, 300 questions, % | overall | see | hear | both | format |\n|---|---|---|---|---|---|\n${rows.join("\n")}\n`,
);
