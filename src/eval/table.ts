/** The results of an evaluation as a table: a row for each score, a column for each control. */
import { type Control, CONTROLS, type Scores } from "../core/run-events.ts";

/** The result of one benchmark. */
export interface BenchmarkResult {
  /** The denominator of every score that is not of one category. */
  questions: number;
  /** Questions that failed; each counts as wrong. */
  failed: number;
  scores: Scores;
  /** Scores under each control that the benchmark asks for. */
  controls: Partial<Record<Control, Scores>>;
}

/** Headings of the controls. */
const HEADINGS: Readonly<Record<Control, string>> = {
  muted: "without sound",
  blank: "without picture",
  text_only: "text alone",
};

/** Returns the cells of the table, its head first; scores are percentages with one decimal. */
export function tableOf(benchmarks: Readonly<Record<string, BenchmarkResult>>): string[][] {
  const entries = Object.entries(benchmarks);
  const controls = CONTROLS.filter((control) =>
    entries.some(([, entry]) => entry.controls[control] !== undefined),
  );
  const head = ["benchmark", "score", "percent", ...controls.map((control) => HEADINGS[control])];
  const rows = entries.flatMap(([name, { scores, controls: taken, questions, failed }]) => [
    ...Object.keys(scores).map((score) => [
      name,
      score,
      percent(scores[score]),
      ...controls.map((control) => percent(taken[control]?.[score])),
    ]),
    [name, "questions", String(questions), ...controls.map(() => "")],
    [name, "failed", String(failed), ...controls.map(() => "")],
  ]);
  return [head, ...rows];
}

function percent(share: number | undefined): string {
  return share === undefined ? "" : (100 * share).toFixed(1);
}

/** Returns a table as Markdown; numbers stand to the right. */
export function markdownOf([head, ...rows]: readonly string[][]): string {
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |\n`;
  const rule = head!.map((_, at) => (at < 2 ? "---" : "--:"));
  return [head!, rule, ...rows].map(line).join("");
}

/** Returns a table as comma-separated values. Source: RFC 4180. */
export function csvOf(table: readonly string[][]): string {
  const cell = (text: string) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  return table.map((cells) => `${cells.map(cell).join(",")}\r\n`).join("");
}

/** Returns a table as aligned text. */
export function textOf(table: readonly string[][]): string {
  const widths = table[0]!.map((_, at) => Math.max(...table.map((cells) => cells[at]!.length)));
  const pad = (cell: string, at: number) =>
    at < 2 ? cell.padEnd(widths[at]!) : cell.padStart(widths[at]!);
  return table.map((cells) => `${cells.map(pad).join("  ").trimEnd()}\n`).join("");
}
