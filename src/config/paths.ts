import { exists } from "#io";
import { isHubName } from "../io/hub/name.ts";
import { isUrl } from "../io/path.ts";
import { allFields, withoutNull } from "./fields.ts";

/**
 * Paths of a configuration, by one rule: a relative path is relative to the file that names it, one
 * of the command line or of a program to the current folder. A setting is a path when its schema
 * has one of these formats.
 */
const NOT_PATHS: Readonly<Record<string, (value: string, path: string) => Promise<boolean>>> = {
  path: async () => false,
  /** A folder, or else a name on the Hub. */
  model: async (value, path) => isHubName(value) && !(await exists(path)),
  /** A file of a program, or else the name of a package. */
  module: async (value) => !/^[./]|\.[cm]?[jt]s$/.test(value),
};

/** Resolves `path` against the folder of the file that names it. */
export function besideFile(file: string, path: string): string {
  if (isAbsolute(path)) return path;
  const folders = file.split("/").slice(0, -1);
  for (const part of path.split("/")) {
    if (part === ".." && folders.length > 0 && !["..", ""].includes(folders.at(-1)!)) folders.pop();
    else if (part !== ".") folders.push(part);
  }
  return folders.join("/");
}

function isAbsolute(path: string): boolean {
  return path.startsWith("/") || /^[A-Za-z]:/.test(path) || isUrl(path);
}

/** Replaces every path of settings, in place; values of another type are left to the schema. */
async function mapPaths(settings: unknown, change: (path: string) => string): Promise<void> {
  for (const { path, schema } of allFields()) {
    const notPath = NOT_PATHS[withoutNull(schema).format ?? ""];
    if (notPath === undefined) continue;
    const segments = path.replaceAll("[]", ".[]").split(".");
    for (const [holder, key] of holdersOf(settings, segments)) {
      const value = holder[key];
      if (typeof value !== "string" || value === "") continue;
      const changed = change(value);
      if (!(await notPath(value, changed))) holder[key] = changed;
    }
  }
}

/**
 * Returns the mappings in which a dotted path ends, each with its last key; `[]` is every item of a
 * list.
 */
function holdersOf(
  value: unknown,
  [segment, ...rest]: readonly string[],
): [Record<string, unknown>, string][] {
  if (segment === "[]") return Array.isArray(value) ? value.flatMap((v) => holdersOf(v, rest)) : [];
  if (typeof value !== "object" || value === null || Array.isArray(value)) return [];
  if (!Object.hasOwn(value, segment!)) return [];
  const holder = value as Record<string, unknown>;
  return rest.length === 0 ? [[holder, segment!]] : holdersOf(holder[segment!], rest);
}

/** Makes the paths that a file names relative to where the file itself is looked for, in place. */
export async function placePaths(settings: unknown, file: string): Promise<void> {
  await mapPaths(settings, (path) => besideFile(file, path));
}

/**
 * Makes every path of settings absolute, in place: a run's own record is read from other folders.
 *
 * @param absolute resolves a path against the current folder.
 */
export async function resolvePaths(
  settings: unknown,
  absolute: (path: string) => string,
): Promise<void> {
  await mapPaths(settings, absolute);
}
