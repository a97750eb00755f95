import { stringify } from "yaml";
import { absolutePath } from "#io";
import { ConfigError } from "../core/errors.ts";
import { explain } from "./explain.ts";
import { resolvePaths } from "./paths.ts";
import { type RunConfig, type RunInput, runSchema } from "./schema.ts";
import { applyOverride, readSource, type ReadText, type Source } from "./source.ts";

/** Options of loading a configuration. */
export interface LoadConfigOptions {
  /** Reads a file of the configuration, as UTF-8. */
  readText: ReadText;
  /** `a.b=c` settings laid over the file, in order. */
  overrides?: readonly string[];
}

function freeze<T>(value: T): T {
  if (typeof value === "object" && value !== null) {
    for (const child of Object.values(value)) freeze(child);
    Object.freeze(value);
  }
  return value;
}

/**
 * Checks merged settings and fills in the defaults.
 *
 * @returns the run, frozen to its leaves.
 * @throws {ConfigError} naming every wrong key, its value, its place and a remedy.
 */
export function checkSource(source: Source, file: string): RunConfig {
  const result = runSchema.safeParse(source.value);
  if (!result.success) throw explain(result.error.issues, source, file);
  return freeze(result.data);
}

/**
 * Loads the configuration of a run: the YAML file, what it `extends`, then the overrides; its paths
 * are absolute afterwards.
 *
 * @throws {ConfigError} when a file is missing or not YAML, a key is unknown or a value is wrong;
 *   `staged` for a recipe of stages.
 * @example
 * const config = await loadConfig("configs/tiny.yaml", { readText, overrides: ["train.seed=7"] });
 */
export async function loadConfig(file: string, options: LoadConfigOptions): Promise<RunConfig> {
  let source = await readSource(file, options.readText);
  if (source.value["stages"] !== undefined) {
    throw new ConfigError("staged", `${file} is a recipe of stages, not one run.`, {
      hint: "Start it with train, which runs its stages in turn; evaluate the run folder of one.",
    });
  }
  for (const override of options.overrides ?? []) source = applyOverride(source, override);
  return await placed(checkSource(source, file));
}

/**
 * Checks the settings that a program gives, as YAML has them; their paths, relative to the current
 * folder or page, are absolute afterwards.
 *
 * @throws {ConfigError} naming every wrong key, its value and a remedy.
 */
export async function checkInput(input: RunInput): Promise<RunConfig> {
  return await placed(checkSource({ value: { ...input }, places: new Map() }, "the configuration"));
}

/** Makes the paths of a checked run absolute. */
export async function placed(config: RunConfig): Promise<RunConfig> {
  const copy = structuredClone(config);
  await resolvePaths(copy, absolutePath);
  return freeze(copy);
}

/** Writes a checked run as YAML with every default spelled out; loading it gives the same run. */
export function resolvedYaml(config: RunConfig): string {
  return stringify(config, { lineWidth: 100, aliasDuplicateObjects: false });
}
