import {
  type Document,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type ParsedNode,
  parseDocument,
} from "yaml";
import { AubadeError, ConfigError } from "../core/errors.ts";
import { quoted, shown } from "../core/quoted.ts";
import { besideFile, placePaths } from "./paths.ts";
import { type FieldSchema, fieldAt, runJsonSchema, variantsOf } from "./fields.ts";

/** Reads a text file; the caller decides from where. */
export type ReadText = (path: string) => Promise<string>;

/** Merged settings before they are checked, and where each was written. */
export interface Source {
  /** Plain data as YAML gives it, `extends` removed. */
  value: Record<string, unknown>;
  /** From a dotted key path to `file:line` or `command line`. */
  places: Map<string, string>;
}

type Tree = Record<string, unknown>;

const HIDDEN = new Set(["__proto__", "constructor", "prototype"]);

/** Tells whether a value of YAML is a mapping. */
export function isTree(value: unknown): value is Tree {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function recordPlaces(
  node: ParsedNode | null,
  prefix: string,
  note: (key: string, offset: number) => void,
): void {
  if (isMap(node)) {
    for (const pair of node.items) {
      const key = `${prefix}${isScalar(pair.key) ? String(pair.key.value) : ""}`;
      note(key, (pair.key as ParsedNode).range[0]);
      recordPlaces(pair.value as ParsedNode | null, `${key}.`, note);
    }
  } else if (isSeq(node)) {
    node.items.forEach((item, index) => {
      note(`${prefix}${index}`, (item as ParsedNode).range[0]);
      recordPlaces(item as ParsedNode, `${prefix}${index}.`, note);
    });
  }
}

/**
 * Reads one YAML text as settings.
 *
 * @throws {ConfigError} `yaml-syntax` with the line, or `not-a-mapping`.
 */
export function parseSource(text: string, file: string): Source {
  const counter = new LineCounter();
  const document: Document.Parsed = parseDocument(text, { lineCounter: counter, version: "1.2" });
  const problem = document.errors[0];
  if (problem) {
    const { line, col } = counter.linePos(problem.pos[0]);
    const what = problem.message.split("\n")[0]!.replace(/ at line \d+, column \d+:?$/, "");
    throw new ConfigError("yaml-syntax", `${file}:${line}:${col} is not valid YAML: ${what}.`, {
      hint: "Correct the line; nested keys are indented by spaces, never by tabs.",
      cause: problem,
    });
  }
  const value: unknown = contentsOf(document, file) ?? {};
  if (!isTree(value)) {
    throw new ConfigError(
      "not-a-mapping",
      `${file} does not hold settings of the form key: value.`,
    );
  }
  const places = new Map<string, string>();
  recordPlaces(document.contents, "", (key, offset) => {
    places.set(key, `${file}:${counter.linePos(offset).line}`);
  });
  return { value, places };
}

/**
 * Returns the contents of a YAML text as a tree: an anchor may not be its own part, nor stand for
 * thousands.
 */
function contentsOf(document: Document.Parsed, what: string): unknown {
  try {
    const value: unknown = document.toJS();
    JSON.stringify(value);
    return value;
  } catch (cause) {
    const why = cause instanceof TypeError ? "an anchor holds itself" : (cause as Error).message;
    throw new ConfigError(
      "yaml-alias",
      `${what} cannot be read: ${shown(why.replace(/\.$/, ""))}.`,
      {
        hint: "Write the value out in place of the alias (*).",
        cause,
      },
    );
  }
}

function forget(places: Map<string, string>, key: string): void {
  for (const known of places.keys()) {
    if (known === key || known.startsWith(`${key}.`)) places.delete(known);
  }
}

function fieldOf(key: string): FieldSchema | undefined {
  return key.includes(".") ? undefined : runJsonSchema().properties?.[key];
}

/**
 * Returns what stays of a section under another one: all of it, but for the settings of a data set
 * where the other names one that has no such settings.
 */
function keptOf(below: Tree, above: Tree, field: FieldSchema | undefined): Tree {
  const variants = field && variantsOf(field);
  const { name } = above;
  if (variants === undefined || typeof name !== "string" || name === below["name"]) return below;
  const known = variants.get(name)?.properties;
  if (known === undefined) return below;
  return Object.fromEntries(Object.entries(below).filter(([key]) => Object.hasOwn(known, key)));
}

/** Lays settings over others: mappings merge key by key, everything else is replaced whole. */
export function mergeSources(base: Source, over: Source): Source {
  const places = new Map(base.places);
  const merge = (below: Tree, above: Tree, prefix: string): Tree => {
    const merged: Tree = { ...below };
    for (const [name, value] of Object.entries(above)) {
      const key = `${prefix}${name}`;
      const old = Object.hasOwn(below, name) ? below[name] : undefined;
      const both = isTree(old) && isTree(value);
      if (!both) forget(places, key);
      const kept = both ? keptOf(old, value, fieldOf(key)) : {};
      const result = both ? merge(kept, value, `${key}.`) : value;
      Object.defineProperty(merged, name, {
        value: result,
        enumerable: true,
        writable: true,
        configurable: true,
      });
    }
    return merged;
  };
  const value = merge(base.value, over.value, "");
  for (const [key, place] of over.places) places.set(key, place);
  return { value, places };
}

/** Returns the reason for which a file cannot be read, as a part of a sentence. */
function reasonOf(cause: unknown): string {
  if (cause instanceof AubadeError) return cause.code.replaceAll("-", " ");
  return cause instanceof Error ? cause.message : String(cause);
}

/**
 * Reads a file and everything that it extends; later files and the file itself win.
 *
 * @throws {ConfigError} when a file is missing, is not YAML, or extends itself.
 */
export async function readSource(
  file: string,
  readText: ReadText,
  above: readonly string[] = [],
): Promise<Source> {
  if (above.includes(file)) {
    throw new ConfigError(
      "extends-cycle",
      `${file} extends itself: ${[...above, file].join(" -> ")}.`,
      { hint: "Remove one of these `extends` lines." },
    );
  }
  let text: string;
  try {
    text = await readText(file);
  } catch (cause) {
    const reason = reasonOf(cause);
    const from = above.length > 0 ? ` (extended by ${above.at(-1)})` : "";
    throw new ConfigError("config-unreadable", `${file} cannot be read${from}: ${reason}.`, {
      hint: "Give the path of a YAML file, for example configs/tiny.yaml.",
      cause,
    });
  }
  const own = parseSource(text, file);
  const { extends: parents = [], ...value } = own.value;
  await placePaths(value, file);
  const list: unknown[] = Array.isArray(parents) ? parents : [parents];
  let source: Source = { value: {}, places: new Map() };
  for (const parent of list) {
    if (typeof parent !== "string") {
      throw new ConfigError(
        "bad-extends",
        `extends is ${quoted(parent)} (${own.places.get("extends")}).`,
        { hint: "Name one YAML file or a list of them, relative to this file." },
      );
    }
    const path = besideFile(file, parent);
    source = mergeSources(source, await readSource(path, readText, [...above, file]));
  }
  return mergeSources(source, { value, places: own.places });
}

/**
 * Lays one `a.b=c` override over settings; the value is read as YAML, list items are numbered, and
 * an item of a list that the file leaves out is an item of the default.
 *
 * @throws {ConfigError} `bad-override` when it has no `=` or names an item that is not there.
 */
export function applyOverride(source: Source, override: string): Source {
  const split = override.indexOf("=");
  const path = override.slice(0, split).trim().split(".");
  if (split < 1 || path.some((part) => part === "" || HIDDEN.has(part))) {
    throw new ConfigError("bad-override", `${quoted(override)} is not of the form key=value.`, {
      hint: "Write for example train.learning_rate=1e-5.",
    });
  }
  const text = override.slice(split + 1);
  const document = parseDocument(text);
  if (document.errors.length > 0) {
    throw new ConfigError("bad-override", `the value in ${quoted(override)} is not valid YAML.`, {
      hint: 'Quote it, for example model.path="a: b".',
      cause: document.errors[0],
    });
  }
  const root = structuredClone(source.value);
  let here: Tree | unknown[] = root;
  path.forEach((part, depth) => {
    const key = path.slice(0, depth + 1).join(".");
    if (Array.isArray(here) && !(/^\d+$/.test(part) && Number(part) < here.length)) {
      throw new ConfigError(
        "bad-override",
        `${shown(key)} in ${quoted(override)} is not an item of a list of ${here.length}.`,
        { hint: "Number the items from 0, or give the whole list in brackets." },
      );
    }
    const slot = here as Tree;
    if (depth === path.length - 1) {
      const value = contentsOf(document, `the value in ${quoted(override)}`);
      const [section = ""] = path;
      if (path.length === 2 && part === "name") {
        root[section] = keptOf(slot, { name: value }, fieldOf(section));
        (root[section] as Tree)["name"] = value;
      } else slot[part] = value;
    } else {
      if (typeof slot[part] !== "object" || slot[part] === null) {
        const initial = fieldAt(path.slice(0, depth + 1), root)?.default;
        slot[part] = typeof initial === "object" && initial ? structuredClone(initial) : {};
      }
      here = slot[part] as Tree;
    }
  });
  const places = new Map(source.places);
  const key = path.join(".");
  forget(places, key);
  path.forEach((_, depth) => {
    const known = path.slice(0, depth + 1).join(".");
    if (depth === path.length - 1 || !places.has(known)) places.set(known, "command line");
  });
  return { value: root, places };
}
