import type { z } from "zod";
import { ConfigError } from "../core/errors.ts";
import { allFields, fieldAt } from "./fields.ts";
import { nearest } from "./nearest.ts";
import type { Source } from "./source.ts";

interface Problem {
  message: string;
  hint: string;
}

const TYPE_WORDS: Record<string, string> = {
  int: "a whole number",
  number: "a number",
  string: "text",
  boolean: "true or false",
  array: "a list",
  object: "a section of settings",
};

function dotted(path: readonly PropertyKey[]): string {
  return path.map(String).join(".");
}

function show(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

function valueAt(source: Source, path: readonly PropertyKey[]): unknown {
  let value: unknown = source.value;
  for (const segment of path)
    value = (value as Record<PropertyKey, unknown> | undefined)?.[segment];
  return value;
}

/** Where a key was written, or else the nearest section around it. */
function placeOf(source: Source, path: readonly PropertyKey[], file: string): string {
  for (let length = path.length; length > 0; length--) {
    const place = source.places.get(dotted(path.slice(0, length)));
    if (place !== undefined) return place;
  }
  return file;
}

function unknownKey(source: Source, path: readonly PropertyKey[], file: string): Problem {
  const name = String(path.at(-1));
  const section = path.slice(0, -1);
  const siblings = Object.keys(fieldAt(section)?.properties ?? {});
  const near = nearest(name, siblings);
  const elsewhere = allFields().filter((field) => field.path.split(".").at(-1) === name);
  const paths = allFields().map((field) => field.path);
  let hint: string;
  if (near !== undefined) hint = `Did you mean ${dotted([...section, near])}?`;
  else if (elsewhere.length > 0) hint = `Did you mean ${elsewhere[0]!.path}?`;
  else {
    const anywhere = nearest(dotted(path), paths);
    if (anywhere !== undefined) hint = `Did you mean ${anywhere}?`;
    else hint = `Known here: ${siblings.join(", ")}.`;
  }
  const message = `${dotted(path)} is not a known key (${placeOf(source, path, file)}).`;
  return { message, hint };
}

/** What is asked of the value, without its end stop; zod's own wording never reaches the user. */
function requirement(issue: z.core.$ZodIssue): string {
  if (!/^(Invalid|Too|Unrecognized)/.test(issue.message)) return issue.message;
  switch (issue.code) {
    case "invalid_type":
      return `it must be ${TYPE_WORDS[issue.expected] ?? issue.expected}`;
    case "invalid_value":
      return `it must be one of ${issue.values.map(String).join(", ")}`;
    case "too_small":
      if (issue.origin === "string") return "it must not be empty";
      if (issue.origin === "array") return `it needs at least ${issue.minimum} items`;
      return `it must be ${issue.inclusive ? "at least" : "above"} ${issue.minimum}`;
    case "too_big":
      if (issue.origin === "array") return `it may have at most ${issue.maximum} items`;
      return `it must be ${issue.inclusive ? "at most" : "below"} ${issue.maximum}`;
    default:
      return issue.message;
  }
}

function remedy(issue: z.core.$ZodIssue, value: unknown): string {
  if (issue.code === "custom" && typeof issue.params?.["remedy"] === "string") {
    return issue.params["remedy"];
  }
  const field = fieldAt(issue.path);
  if (issue.code === "invalid_value") {
    const near = typeof value === "string" && nearest(value, issue.values.map(String));
    if (near) return `Did you mean ${near}?`;
  }
  if (issue.code === "invalid_type" && issue.expected === "object") {
    return "Indent its settings below it, or remove the line.";
  }
  const initial = field?.default;
  if (initial !== undefined && typeof initial !== "object") return `Set it to ${show(initial)}.`;
  if (initial === null) return "Set it to null, or remove it.";
  if (issue.code === "invalid_value")
    return `Choose one of ${issue.values.map(String).join(", ")}.`;
  return field?.description ? `It is: ${field.description}` : "Correct or remove it.";
}

function problemsOf(issue: z.core.$ZodIssue, source: Source, file: string): Problem[] {
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => unknownKey(source, [...issue.path, key], file));
  }
  const value = valueAt(source, issue.path);
  const name = dotted(issue.path);
  const place = placeOf(source, issue.path, file);
  if (value === undefined && issue.code !== "custom") {
    const meaning = fieldAt(issue.path)?.description ?? "";
    return [
      { message: `${name} is missing (${place}).`, hint: `Set it; it is: ${meaning}`.trim() },
    ];
  }
  const shown = issue.code === "custom" && typeof value === "object" ? "wrong" : show(value);
  const subject = value === undefined ? `${name}:` : `${name} is ${shown};`;
  return [{ message: `${subject} ${requirement(issue)} (${place}).`, hint: remedy(issue, value) }];
}

/**
 * Turns what zod found into one error in the user's words: key path, value, place and remedy.
 *
 * Several problems are listed together, so that one run of the command shows all of them.
 */
export function explain(
  issues: readonly z.core.$ZodIssue[],
  source: Source,
  file: string,
): ConfigError {
  const problems = issues.flatMap((issue) => problemsOf(issue, source, file));
  const only = problems[0]!;
  const code = issues[0]!.code === "unrecognized_keys" ? "unknown-key" : "invalid-setting";
  if (problems.length === 1) return new ConfigError(code, only.message, { hint: only.hint });
  const lines = problems.map(({ message, hint }, index) => `  ${index + 1}. ${message} ${hint}`);
  return new ConfigError(code, `${file} has ${problems.length} problems:\n${lines.join("\n")}`);
}
