import { parquetWriteBuffer } from "hyparquet-writer";
import type { CompletionView } from "./completions.ts";

/** Path of a step's file inside the run folder, as TRL numbers it. */
export function completionsFile(step: number): string {
  return `completions/completions_${String(step).padStart(5, "0")}.parquet`;
}

const OWN_COLUMNS = ["step", "prompt", "completion", "advantage"];

/**
 * Returns the completions of a logged step as parquet, with TRL's columns: `step`, `prompt`,
 * `completion`, one per reward before its weight, `advantage`. What was not measured is null. A
 * reward that has the name of another column becomes `rewards/NAME`.
 *
 * The same completions give the same bytes.
 *
 * Source: TRL `GRPOTrainer.log`.
 */
export function completionsParquet(step: number, rows: readonly CompletionView[]): Uint8Array {
  const rewards = new Set(rows.flatMap((row) => Object.keys(row.rewards)));
  const text = (name: string, data: string[]) => ({ name, data, type: "STRING" as const });
  const real = (name: string, data: (number | null)[]) => ({
    ...{ name, data, nullable: true },
    type: "DOUBLE" as const,
  });
  const bytes = parquetWriteBuffer({
    columnData: [
      { name: "step", data: rows.map(() => BigInt(step)), type: "INT64" },
      text(
        "prompt",
        rows.map(({ prompt }) => prompt),
      ),
      text(
        "completion",
        rows.map((row) => row.text),
      ),
      ...[...rewards].map((name) =>
        real(
          OWN_COLUMNS.includes(name) ? `rewards/${name}` : name,
          rows.map((row) => row.rewards[name] ?? null),
        ),
      ),
      real(
        "advantage",
        rows.map(({ advantage }) => advantage),
      ),
    ],
    createdBy: "aubade",
  });
  return new Uint8Array(bytes);
}
