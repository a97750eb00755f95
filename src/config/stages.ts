import { ConfigError } from "../core/errors.ts";
import { quoted } from "../core/quoted.ts";
import { checkSource, type LoadConfigOptions, placed } from "./load.ts";
import { besideFile, placePaths } from "./paths.ts";
import type { RunConfig } from "./schema.ts";
import { applyOverride, isTree, mergeSources, readSource, type Source } from "./source.ts";

/** One stage of a recipe: a run of its own. */
export interface Stage {
  /** Its name, which is that of its folder. */
  readonly name: string;
  readonly config: RunConfig;
  /** True where it goes on with the model that the stage before it left. */
  readonly continues: boolean;
}

/** Names of stages, since they are folders. */
const NAME = /^[A-Za-z0-9][\w-]*$/;

/**
 * Loads the stages of a recipe: a YAML file with the list `stages`, of which each has a `name`, the
 * settings in which it differs from the rest of the file, and where it likes `extends`. A stage that
 * names no `model.path` goes on with the model of the one before it.
 *
 * Overrides lie over every stage; those that begin with `stages.NAME.` over that one alone.
 *
 * @returns undefined for a file without stages, which is a single run.
 * @throws {ConfigError} `bad-stages`, and those of `loadConfig` for each stage.
 */
export async function loadStages(
  file: string,
  { readText, overrides = [] }: LoadConfigOptions,
): Promise<Stage[] | undefined> {
  const source = await readSource(file, readText);
  const { stages: list, ...common } = source.value;
  if (list === undefined) return undefined;
  const named = checkedList(list, source);
  const known = new Set(named.map(({ name }) => name));
  const own = (name: string) => overridesOf(overrides, name, known);
  const stages: Stage[] = [];
  for (const [index, { name, extends: parent, ...settings }] of named.entries()) {
    await placePaths(settings, file);
    const over = { value: settings, places: placesOf(source, `stages.${index}.`) };
    const base = parent === undefined ? EMPTY : await parentOf(parent, file, readText);
    let merged = mergeSources(base, mergeSources({ value: common, places: source.places }, over));
    for (const override of own(name)) merged = applyOverride(merged, override);
    const continues = index > 0 && !namesModel(name, settings, overrides);
    const config = await placed(checkSource(merged, `${file}, stage ${name}`));
    if (continues && stages.at(-1)!.config.output.export_dtype === null) {
      throw bad(
        `stage ${name} goes on with the model of ${stages.at(-1)!.name}, which leaves none`,
        {
          hint: "Set output.export_dtype of that stage, or model.path of this one.",
        },
      );
    }
    stages.push({ name, config, continues });
  }
  return stages;
}

const EMPTY: Source = { value: {}, places: new Map() };

type Named = Record<string, unknown> & { name: string; extends?: unknown };

function bad(what: string, { hint }: { hint: string }): ConfigError {
  return new ConfigError("bad-stages", `${what[0]!.toUpperCase()}${what.slice(1)}.`, { hint });
}

function checkedList(list: unknown, { places }: Source): Named[] {
  const where = (key: string) => ` (${places.get(key) ?? "command line"})`;
  if (!Array.isArray(list) || list.length === 0 || !list.every((entry) => isTree(entry))) {
    throw bad(`stages is ${quoted(list, 60)}${where("stages")}`, {
      hint: "Give a list of stages, each with a name and the settings in which it differs.",
    });
  }
  list.forEach(({ name }, index) => {
    const at = where(`stages.${index}`);
    if (typeof name !== "string" || !NAME.test(name)) {
      throw bad(`the name of stage ${index} is ${quoted(name)}${at}`, {
        hint: "Use letters, digits, hyphens and underscores: it becomes a folder.",
      });
    }
    if (list.findIndex((other) => other["name"] === name) < index) {
      throw bad(`two stages are called ${name}${at}`, { hint: "Give each a name of its own." });
    }
  });
  return list as Named[];
}

/** The places of a stage's own keys, as if it were a file. */
function placesOf({ places }: Source, prefix: string): Map<string, string> {
  const found = [...places].filter(([key]) => key.startsWith(prefix));
  return new Map(found.map(([key, place]) => [key.slice(prefix.length), place]));
}

async function parentOf(parent: unknown, file: string, readText: LoadConfigOptions["readText"]) {
  if (typeof parent !== "string") {
    throw bad(`extends of a stage is ${quoted(parent)}`, { hint: "Name one YAML file." });
  }
  return readSource(besideFile(file, parent), readText, [file]);
}

function overridesOf(overrides: readonly string[], name: string, known: ReadonlySet<string>) {
  return overrides.flatMap((override) => {
    const [, stage, rest] = /^stages\.([\w-]+)\.(.*)$/s.exec(override) ?? [];
    if (stage === undefined) return [override];
    if (!known.has(stage)) {
      throw bad(`${quoted(override)} names no stage`, {
        hint: `Stages: ${[...known].join(", ")}.`,
      });
    }
    return stage === name ? [rest!] : [];
  });
}

/** Tells whether a stage names its own model, in the file or on the command line. */
function namesModel(
  name: string,
  { model }: Record<string, unknown>,
  overrides: readonly string[],
) {
  if (overrides.some((override) => override.startsWith(`stages.${name}.model.path=`))) return true;
  return isTree(model) && "path" in model;
}
