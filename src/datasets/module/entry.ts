import { z } from "zod";
import { ConfigError, DataError } from "../../core/errors.ts";
import { loadModule } from "../../io/load-module.ts";
import type {
  DataContext,
  DataRow,
  DataSet,
  OfficialScorer,
  OpenedData,
  Scorer,
} from "../../data/dataset.ts";
import { parseRow } from "../../data/forms/parse-row.ts";
import { folderOf } from "../../data/media-paths.ts";
import { ofRows } from "../../data/rows.ts";

const settings = {
  module: z
    .string()
    .min(1)
    .meta({ format: "module" })
    .describe("A module of your own that exports a data set, relative to this file."),
  options: z
    .record(z.string(), z.unknown())
    .default({})
    .describe("Options that the module is given."),
};

/** Its settings, checked. */
export interface ModuleSettings {
  module: string;
  options: Record<string, unknown>;
}

/** The exports of a user's own module: rows or a data set, and a scorer where it is a benchmark. */
export interface DataModule {
  /**
   * Returns the rows, in a form of docs/data.md, or a data set that makes them.
   *
   * @param options those of the configuration, unchecked.
   */
  open(
    options: Readonly<Record<string, unknown>>,
    context: DataContext,
  ): readonly object[] | DataSet | Promise<readonly object[] | DataSet>;
  /** Scores answers, where the data set is a benchmark of its own. */
  scorer?: Scorer;
  /** The rule of its authors, told beside the scores under its own name. */
  official?: OfficialScorer;
}

/** Data sets of modules of the user's own. */
export const MODULE = {
  doc: "a data set of your own, which a module exports (docs/data.md)",
  settings,
  asked: settings,
  async open({ module, options }: ModuleSettings, context: DataContext): Promise<OpenedData> {
    const found = await loadModule("data", module);
    const what = `The data module ${module}`;
    const own = checkedModule(found, what);
    let opened: readonly object[] | DataSet;
    try {
      opened = await own.open(options, context);
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new DataError("data-module-threw", `${what} cannot open its rows: ${reason}`, {
        hint: "Correct the module or its options.",
        cause,
      });
    }
    const folder = folderOf(module);
    const set = Array.isArray(opened)
      ? await ofRows(opened as object[], module, folder, context.answered)
      : checkedSet(opened as DataSet, what, context.answered);
    return { set, scorer: own.scorer, official: own.official };
  },
};

function checkedModule(found: unknown, what: string): DataModule {
  const given = (typeof found === "object" ? (found ?? {}) : {}) as Partial<DataModule>;
  const { open, scorer, official } = given;
  if (typeof open !== "function") {
    throw new ConfigError("data-module-shape", `${what} exports nothing with a function open.`, {
      hint: "Export { open(options, context) { return rows; } }.",
    });
  }
  if (scorer !== undefined && typeof (scorer as Partial<Scorer>).score !== "function") {
    throw new ConfigError("data-module-shape", `${what} has a scorer without a function score.`, {
      hint: "Give it score(completion, row), which returns { overall }.",
    });
  }
  const named = official as Partial<OfficialScorer> | undefined;
  if (
    named !== undefined &&
    (typeof named.name !== "string" || typeof named.score !== "function")
  ) {
    throw new ConfigError(
      "data-module-shape",
      `${what} has an official rule without name or score.`,
      {
        hint: "Give it a name, and score(text, row), which returns a number or null.",
      },
    );
  }
  const own = found as DataModule;
  return {
    open: (options, context) => own.open(options, context),
    ...(scorer && { scorer }),
    ...(official && { official }),
  };
}

/** Returns a data set of a module, whose rows are checked when they are asked for. */
function checkedSet(set: DataSet, what: string, answered = false): DataSet {
  const { length, digest } = (set ?? {}) as Partial<DataSet>;
  const whole = Number.isSafeInteger(length) && length! > 0;
  if (!whole || typeof digest !== "string" || typeof set.row !== "function") {
    throw new ConfigError(
      "data-module-shape",
      `${what} opens neither rows nor a data set with length, digest and row.`,
      { hint: "Return a list of rows, or { length, digest, row(index) }." },
    );
  }
  return {
    length: length!,
    digest,
    alike: set.alike ?? false,
    row: (index) => checkedRow(set.row(index), `${what} row ${index}`, answered),
    ...(set.prepare && { prepare: (indices, events) => set.prepare!(indices, events) }),
  };
}

function checkedRow(row: DataRow, place: string, answered: boolean): DataRow {
  const { id, answer, conversation } = (row ?? {}) as Partial<DataRow>;
  if (typeof id !== "string" || id === "" || typeof answer !== "string") {
    throw new DataError("bad-row", `${place} has no id or no answer.`, {
      hint: "Give it id, conversation and answer as texts; an answer may be empty.",
    });
  }
  const { kind = "all", mediaNames = "" } = row as Partial<DataRow>;
  const read = parseRow({ prompt: conversation, answer }, place, {
    template: "default",
    format: "aubade",
    folder: ".",
    answered,
  });
  return { ...row, kind, mediaNames: mediaNames || read.mediaNames };
}
