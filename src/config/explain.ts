import type { z } from "zod";
import { ConfigError } from "../core/errors.ts";
import { quoted, shown } from "../core/quoted.ts";
import { allFields, fieldAt, runJsonSchema, variantsOf } from "./fields.ts";
import { nearest } from "../core/nearest.ts";
import { equivalent } from "./trl-names.ts";
import type { Source } from "./source.ts";

interface Problem {
  message: string;
  hint: string;
}

/** Characters of a value of a setting that a message repeats. */
const MOST_SHOWN = 60;

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

function valueAt(source: Source, path: readonly PropertyKey[]): unknown {
  let value: unknown = source.value;
  for (const segment of path)
    value = (value as Record<PropertyKey, unknown> | undefined)?.[segment];
  return value;
}

/** Returns the place where a key was written, or else that of the nearest section around it. */
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
  const siblings = Object.keys(fieldAt(section, source.value)?.properties ?? {});
  const near = nearest(name, siblings);
  const paths = allFields().map((field) => field.path);
  const owners = ownersOf(section, name);
  let hint: string;
  const known = equivalent(name);
  if (owners.length > 0) {
    const [of] = [dotted([...section, "name"])];
    hint = `It is a setting of ${of}: ${owners.join(", ")}. Remove it, or set ${of} to ${owners[0]!}.`;
  } else if (known !== undefined) hint = known;
  else if (near !== undefined) hint = `Did you mean ${dotted([...section, near])}?`;
  else {
    const anywhere = nearest(dotted(path), paths);
    if (anywhere !== undefined) hint = `Did you mean ${anywhere}?`;
    else hint = `Known here: ${siblings.join(", ")}.`;
  }
  const message = `${shown(dotted(path))} is not a known key (${placeOf(source, path, file)}).`;
  return { message, hint };
}

/** Returns the data sets that have a setting which another one lacks. */
function ownersOf(section: readonly PropertyKey[], name: string): string[] {
  const outer = runJsonSchema().properties?.[String(section[0])];
  const variants =
    outer && section.slice(1).every((key) => typeof key === "number") && variantsOf(outer);
  if (!variants) return [];
  return [...variants]
    .filter(([, { properties }]) => Object.hasOwn(properties ?? {}, name))
    .map(([variant]) => variant);
}

/**
 * Returns in words what the value must be, without an end stop; zod's own wording never reaches the
 * user.
 */
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

/** Tells whether a value is how people write that they want nothing. */
function isNothing(value: unknown): boolean {
  return value === null || (typeof value === "string" && /^(none|null|off|no)$/i.test(value));
}

function mayBeNull(path: readonly PropertyKey[]): boolean {
  return fieldAt(path)?.default === null;
}

function remedy(issue: z.core.$ZodIssue, value: unknown, source: Source): string {
  if (issue.code === "custom" && typeof issue.params?.["remedy"] === "string") {
    return issue.params["remedy"];
  }
  const field = fieldAt(issue.path, source.value);
  if (issue.code === "invalid_value" && isNothing(value) && mayBeNull(issue.path.slice(0, -1))) {
    return `Set ${dotted(issue.path.slice(0, -1))} to null for none.`;
  }
  if (issue.code === "invalid_value") {
    const near = typeof value === "string" && nearest(value, issue.values.map(String));
    if (near) return `Did you mean ${near}?`;
  }
  if (issue.code === "invalid_type" && issue.expected === "object") {
    return "Indent its settings below it, or remove the line.";
  }
  const initial = field?.default;
  if (initial !== undefined && typeof initial !== "object")
    return `Set it to ${quoted(initial, MOST_SHOWN)}.`;
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
    const meaning = fieldAt(issue.path, source.value)?.description ?? "";
    return [
      { message: `${name} is missing (${place}).`, hint: `Set it; it is: ${meaning}`.trim() },
    ];
  }
  const shown =
    issue.code === "custom" && typeof value === "object" ? "wrong" : quoted(value, MOST_SHOWN);
  const subject = value === undefined ? `${name}:` : `${name} is ${shown};`;
  return [
    { message: `${subject} ${requirement(issue)} (${place}).`, hint: remedy(issue, value, source) },
  ];
}

/**
 * Returns the issues of the branch that a value means: the one whose shape it has. A
 * section that names none of its variants has one wrong value, its name.
 */
function resolved(issue: z.core.$ZodIssue): z.core.$ZodIssue[] {
  if (issue.code !== "invalid_union") return [issue];
  if (issue.discriminator !== undefined) {
    const { path, message, options = [] } = issue as typeof issue & { options?: unknown[] };
    const values = options.filter((option) => typeof option === "string");
    return [{ code: "invalid_value", values, path, message }];
  }
  const meant = issue.errors.find(
    (list) => !list.some(({ code, path }) => code === "invalid_type" && path.length === 0),
  );
  const [first = []] = issue.errors;
  return (meant ?? first).flatMap((inner) =>
    resolved({ ...inner, path: [...issue.path, ...inner.path] } as z.core.$ZodIssue),
  );
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
  const found = issues.flatMap((issue) => resolved(issue));
  const problems = found.flatMap((issue) => problemsOf(issue, source, file));
  const only = problems[0]!;
  const code = found[0]!.code === "unrecognized_keys" ? "unknown-key" : "invalid-setting";
  if (problems.length === 1) return new ConfigError(code, only.message, { hint: only.hint });
  const lines = problems.map(({ message, hint }, index) => `  ${index + 1}. ${message} ${hint}`);
  return new ConfigError(code, `${file} has ${problems.length} problems:\n${lines.join("\n")}`);
}
