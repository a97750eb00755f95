import { lineChart, type Series } from "./svg-chart.ts";

/** A row of metrics.jsonl: the step, and metrics under their names. */
export type MetricRow = { step: number } & Record<string, number | null>;

/**
 * Reads metrics.jsonl.
 *
 * @param onTorn told how many lines are no rows, such as one that was cut off: they are left out.
 */
export function parseMetricRows(text: string, onTorn?: (lines: number) => void): MetricRow[] {
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  const rows = lines.flatMap((line): MetricRow[] => {
    try {
      const row = JSON.parse(line) as Partial<MetricRow> | null;
      return typeof row?.step === "number" ? [row as MetricRow] : [];
    } catch {
      return [];
    }
  });
  if (rows.length < lines.length) onTorn?.(lines.length - rows.length);
  return rows;
}

/** Returns the values of one metric over the steps, where it was measured. */
export function metricPoints(rows: readonly MetricRow[], name: string): [number, number][] {
  return rows.flatMap((row) => {
    const value = row[name];
    return typeof value === "number" ? [[row.step, value] as [number, number]] : [];
  });
}

/**
 * Returns the curve that a run leaves: reward, correctness and format of the sampled completions
 * and the scores on held-out questions; for supervised training the loss instead.
 */
export function rewardCurve(rows: readonly MetricRow[], title: string): string {
  const rewarded = rows.some((row) => typeof row["reward"] === "number");
  const wanted: [metric: string, label: string][] = rewarded
    ? [["reward", "reward"], ["correct", "correct"], ["format", "format"], ...benchmarks(rows)]
    : [["loss", "loss"]];
  const series: Series[] = wanted
    .map(([metric, name]) => ({
      name,
      points: metricPoints(rows, metric),
      marks: metric.startsWith("eval"),
    }))
    .filter((one) => one.points.length > 0);
  const yLabel = rewarded ? "mean over the step" : "loss";
  const common = { title, xLabel: "optimizer step", yLabel, series };
  return lineChart(rewarded ? { ...common, yRange: unitRange(series) } : common);
}

/** Returns the headline of every benchmark: of a lone one, and of those of a list by name. */
function benchmarks(rows: readonly MetricRow[]): [metric: string, label: string][] {
  const names = new Set(rows.flatMap((row) => Object.keys(row)));
  return [...names].flatMap((metric): [string, string][] => {
    const name = /^eval\/(?:(.+)\/)?overall$/.exec(metric);
    return name === null ? [] : [[metric, name[1] ?? "held-out"]];
  });
}

/** 0 to 1, or wider where a reward's weights lead out of it. */
function unitRange(series: readonly Series[]): [number, number] {
  let [low, high] = [0, 1];
  for (const [, value] of series.flatMap((one) => one.points)) {
    [low, high] = [Math.min(low, value), Math.max(high, value)];
  }
  return [low, high];
}
