import { DataError } from "../core/errors.ts";
import { quoted } from "../core/quoted.ts";
import type { DataRow, DataSet } from "../data/dataset.ts";
import { goldAnswer } from "../reward/answer/gold.ts";

/** A place in the text of an answer that the row fills. */
const FIELD = /\{(\w+)\}/g;
/** Characters of a value that a message repeats. */
const SHOWN = 60;

/**
 * Returns a data set whose conversations end with the assistant's answer: as they are where they do,
 * otherwise with one that a template writes.
 *
 * @param template text with fields in braces: `{answer}`, the right answer as the row has it;
 *   `{letter}`, the letter of the right option; or another column of the row.
 * @throws {DataError} by its rows: `no-answer` that names row and field; those of `goldAnswer`.
 */
export function answeredRows(set: DataSet, template: string): DataSet {
  return {
    length: set.length,
    digest: set.digest,
    alike: set.alike === true,
    row: (index) => answered(set.row(index), template),
    ...(set.prepare && { prepare: (indices, events) => set.prepare!(indices, events) }),
  };
}

function answered(row: DataRow, template: string): DataRow {
  if (row.conversation.at(-1)?.role === "assistant") return row;
  const text = template.replaceAll(FIELD, (_, field: string) => valueOf(row, field));
  const answer = { role: "assistant", content: [{ type: "text" as const, text }] };
  return { ...row, conversation: [...row.conversation, answer] };
}

function valueOf(row: DataRow, field: string): string {
  const value = fieldOf(row, field);
  if (typeof value === "number") return String(value);
  if (typeof value === "string" && value !== "") return value;
  const found = value === undefined || value === "" ? "none" : quoted(value, SHOWN);
  throw new DataError(
    "no-answer",
    `${row.place ?? row.id}: sft.completion wants the field ${quoted(field)}, of which the row has ${found}.`,
    {
      hint: "End the row's messages with the assistant's, give it this column as a text, or name another in sft.completion.",
    },
  );
}

function fieldOf(row: DataRow, field: string): unknown {
  if (field !== "answer" && field !== "letter") return row.columns?.[field];
  if (field === "answer" && row.answer !== "") return row.answer;
  const gold = goldAnswer(row);
  return gold.kind === "option" ? gold.letter : undefined;
}
