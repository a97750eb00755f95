import { DataError } from "../core/errors.ts";
import { quoted } from "../core/quoted.ts";

/**
 * Reads comma-separated values: the first record names the columns, fields in quotes may hold commas,
 * line breaks and doubled quotes.
 *
 * A field that is empty is left out of its row; one that begins with a bracket or brace is JSON, which
 * is how lists of options and media are written. Source: RFC 4180.
 *
 * @returns a row for each record, with the number of its first line.
 * @throws {DataError} `bad-csv` that names file and line.
 */
export function readCsv(text: string, file: string): { value: unknown; line: number }[] {
  const [head, ...records] = recordsOf(text, file);
  if (head === undefined) return [];
  const names = head.fields.map((name) => name.trim());
  const twice = names.find((name, at) => name === "" || names.indexOf(name) < at);
  if (twice !== undefined) {
    const what = twice === "" ? "a column without a name" : `two columns ${quoted(twice)}`;
    throw bad(file, head.line, `the head has ${what}`, "Name every column once.");
  }
  return records.map(({ fields, line }) => {
    if (fields.length !== names.length) {
      const what = `it has ${fields.length} fields, the head ${names.length}`;
      throw bad(file, line, what, "Put fields that hold commas into double quotes.");
    }
    const cells = fields.flatMap((field, at) =>
      field === "" ? [] : [[names[at]!, cellOf(field, file, line)] as const],
    );
    return { value: Object.fromEntries(cells), line };
  });
}

function bad(file: string, line: number, what: string, hint: string): DataError {
  return new DataError("bad-csv", `${file}:${line}: ${what}.`, { hint });
}

/** Returns the value of a field: JSON where it looks like a list or an object, or else its text. */
function cellOf(field: string, file: string, line: number): unknown {
  if (!/^\s*(\[|\{\s*")/.test(field)) return field;
  try {
    return JSON.parse(field) as unknown;
  } catch (cause) {
    // A text may begin with a bracket too, such as "[Music] What is heard?".
    if (!/[\]}]\s*$/.test(field)) return field;
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw bad(file, line, `a list is not JSON: ${reason}`, 'Write it as ["red", "blue"].');
  }
}

interface CsvRecord {
  fields: string[];
  line: number;
}

function recordsOf(text: string, file: string): CsvRecord[] {
  const records: CsvRecord[] = [];
  let line = 1;
  let at = text.startsWith("\ufeff") ? 1 : 0;
  while (at < text.length) {
    const record: CsvRecord = { fields: [], line };
    for (;;) {
      const field = fieldAt(text, at, file, line);
      line += field.lines;
      record.fields.push(field.value);
      at = field.end;
      if (text[at] !== ",") break;
      at++;
    }
    if (text[at] === "\r" && text[at + 1] === "\n") at++;
    at++;
    line++;
    if (record.fields.length > 1 || record.fields[0] !== "") records.push(record);
  }
  return records;
}

/** Reads the field that begins at a place, and says where it ends. */
function fieldAt(text: string, start: number, file: string, line: number) {
  if (text[start] !== '"') {
    // Not by a slice of the rest, which would take time quadratic in the file.
    const end = new RegExp("[,\\r\\n]", "g");
    end.lastIndex = start;
    const stop = end.exec(text)?.index ?? text.length;
    return { value: text.slice(start, stop), end: stop, lines: 0 };
  }
  let value = "";
  let at = start + 1;
  for (;;) {
    const quote = text.indexOf('"', at);
    if (quote < 0) throw bad(file, line, "a quote is never closed", "Close it, or double it.");
    value += text.slice(at, quote);
    at = quote + 1;
    if (text[at] !== '"') break;
    value += '"';
    at++;
  }
  if (at < text.length && !/[,\r\n]/.test(text[at]!)) {
    throw bad(file, line, "text follows a closed quote", "Double the quotes inside of a field.");
  }
  return { value, end: at, lines: value.split("\n").length - 1 };
}
