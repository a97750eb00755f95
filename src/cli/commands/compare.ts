import { Command } from "commander";
import { exists } from "#io";
import {
  type Comparison,
  compareAnswers,
  type Difference,
  readAnswers,
} from "../../eval/compare.ts";
import { joinPath } from "../../io/path.ts";
import { ownVersion } from "../package.ts";
import type { CommandModule } from "../run-command.ts";
import { parseCommandLine } from "../usage.ts";

const HELP = `
Examples:
  aubade compare base.jsonl trained.jsonl
  aubade compare runs/tiny-001 runs/tiny-002 --json

A and B are files that eval --out wrote, or run folders, of which the last evaluation counts. The
interval is a paired bootstrap over questions, the p-value McNemar's exact test.`;

/** Changed answers that are printed; --json has all. */
const SHOWN = 10;

/**
 * Runs the `compare` command: two evaluations question by question.
 *
 * @param argv what the user typed after `compare`.
 * @returns the exit code 0; errors are raised.
 */
export const main: CommandModule["main"] = async (argv) => {
  const program = new Command("aubade compare")
    .description("Compares two evaluations question by question.")
    .argument("<a>", "answers of the first, or its run folder")
    .argument("<b>", "answers of the second")
    .option("--any-protocol", "compare benchmarks that were asked in different ways", false)
    .option("--json", "print one JSON object", false)
    .version(ownVersion(), "-v, --version")
    .addHelpText("after", HELP);
  if (!parseCommandLine(program, argv, (text) => process.stdout.write(text))) return 0;
  const { anyProtocol, json } = program.opts<{ anyProtocol: boolean; json: boolean }>();
  const [a, b] = await Promise.all(program.args.map(answersOf));
  const comparisons = compareAnswers(a!, b!, { anyProtocol, seed: 0 });
  const text = json ? `${JSON.stringify({ comparisons })}\n` : comparisons.map(tableOf).join("\n");
  process.stdout.write(text);
  return 0;
};

async function answersOf(path: string) {
  const inside = joinPath(path, "answers.jsonl");
  return readAnswers((await exists(inside)) ? inside : path);
}

function tableOf(comparison: Comparison): string {
  const { benchmark, categories, changed, unanswered } = comparison;
  const rows = [
    ["", "questions", "A", "B", "B - A", "95 % interval", "only A", "only B", "p"],
    rowOf("overall", comparison),
    ...Object.entries(categories).map(([name, difference]) => rowOf(name, difference)),
  ];
  const widths = rows[0]!.map((_, at) => Math.max(...rows.map((row) => row[at]!.length)));
  const lines = rows.map((row) =>
    row
      .map((cell, at) => (at === 0 ? cell.padEnd(widths[at]!) : cell.padStart(widths[at]!)))
      .join("  ")
      .trimEnd(),
  );
  for (const [side, count] of Object.entries(unanswered)) {
    if (count > 0)
      lines.push(`${side.toUpperCase()} did not answer ${count}, which count as wrong`);
  }
  for (const { sample, right, a, b } of changed.slice(0, SHOWN)) {
    lines.push(`${sample}: right in ${right} only: ${short(a)} | ${short(b)}`);
  }
  if (changed.length > SHOWN) lines.push(`and ${changed.length - SHOWN} more changed: see --json`);
  return `${benchmark}\n${lines.join("\n")}\n`;
}

function rowOf(name: string, { questions, a, b, difference, interval, mcnemar }: Difference) {
  const percent = (value: number) => (100 * value).toFixed(1);
  const signed = (value: number) => `${value >= 0 ? "+" : ""}${percent(value)}`;
  return [
    ...[name, String(questions), percent(a), percent(b), signed(difference)],
    `${signed(interval[0])} to ${signed(interval[1])}`,
    ...[String(mcnemar.onlyA), String(mcnemar.onlyB), mcnemar.p.toPrecision(2)],
  ];
}

/** Returns the end of an answer on one line. */
function short(text: string): string {
  const line = text.replaceAll(/\s+/g, " ").trim();
  return line.length > 60 ? `... ${line.slice(-57)}` : line;
}
