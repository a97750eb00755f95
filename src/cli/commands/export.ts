import { resolve } from "node:path";
import { exists, readText } from "#io";
import { Command, Option } from "commander";
import { checkSource } from "../../config/load.ts";
import { parseSource } from "../../config/source.ts";
import { CheckpointError, ConfigError } from "../../core/errors.ts";
import { joinPath } from "../../io/path.ts";
import { isAdapterFolder } from "../../checkpoint/adapter-folder.ts";
import { exportFolder } from "../../model/export-folder.ts";
import { EXPORT_FILE, type ExportRecord } from "../../checkpoint/output-folder.ts";
import { EXPORT_DTYPES, type ExportDType, type ExportReport } from "../../checkpoint/export.ts";
import { lostText } from "../../observe/model-card.ts";
import { findCheckpoint } from "../../run/checkpoint-folder.ts";
import { RUN_FILES } from "../../run/folder.ts";
import { parseCommandLine } from "../usage.ts";
import { ownVersion } from "../package.ts";

interface Origin {
  base?: string;
  revision?: string | null;
}

interface Flags {
  out: string;
  dtype: ExportDType;
  merge: boolean;
  maxShardSize: number;
  base?: string;
  json: boolean;
  overwrite: boolean;
}

const UNITS: Record<string, number> = {
  ...{ B: 1, KB: 1e3, MB: 1e6, GB: 1e9 },
  ...{ KIB: 2 ** 10, MIB: 2 ** 20, GIB: 2 ** 30 },
};

/**
 * Bytes of a size as transformers writes it: `5GB`, `500MB`, `2GiB`, or a number of bytes.
 *
 * @throws {ConfigError} `usage`.
 */
export function parseSize(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(text.trim());
  const unit = match && UNITS[match[2]!.toUpperCase() || "B"];
  const bytes = unit ? Math.floor(Number(match[1]) * unit) : 0;
  if (bytes >= 1) return bytes;
  throw new ConfigError("usage", `${text} is no size.`, { hint: "Write it as 5GB or 500MB." });
}

/**
 * Returns the folder with weights that is meant by a run (its newest whole checkpoint) or is named
 * itself.
 */
async function weightsOf(folder: string): Promise<string> {
  const files = ["model.safetensors", "model.safetensors.index.json"];
  for (const name of files) if (await exists(joinPath(folder, name))) return folder;
  if (await isAdapterFolder(folder)) return folder;
  const final = joinPath(folder, RUN_FILES.model);
  if (await exists(joinPath(folder, RUN_FILES.config))) {
    // Checkpoints are f32; the final model may have been rounded already.
    const checkpoint = await findCheckpoint(folder).catch(async (error: unknown) => {
      if (await exists(final)) return { folder: final };
      throw error;
    });
    return checkpoint.folder;
  }
  throw new CheckpointError("missing-weights", `${folder} holds no weights and no run.`, {
    hint: "Name a run, a checkpoint, a model or an adapter folder.",
  });
}

/**
 * Returns the model from which training started: as `export.json` says, or the configuration of the
 * run around it.
 */
async function originOf(folder: string): Promise<Origin> {
  const file = joinPath(folder, EXPORT_FILE);
  if (await exists(file)) {
    const { base, revision, changes } = JSON.parse(await readText(file)) as Partial<ExportRecord>;
    return base === undefined || base === null || changes === null
      ? {}
      : { base, revision: revision ?? null };
  }
  const config = joinPath(folder, "..", RUN_FILES.config);
  if (!(await exists(config))) return {};
  const { model } = checkSource(parseSource(await readText(config), config), config);
  return model.init === "random" ? {} : { base: model.path, revision: model.revision };
}

/** Returns a folder as its whole path, a name on the Hub as it is. */
async function named(base: string): Promise<string> {
  return (await exists(base)) ? resolve(base) : base;
}

function closing({ dtype, files, tensors, bytes, ...rest }: ExportReport, out: string): string {
  const lines = [`${out}: ${tensors} tensors, ${bytes} bytes in ${files.join(", ")}, ${dtype}`];
  const { inexact, overflow, changes } = rest;
  if (dtype !== "f32") lines.push(`${inexact} weights rounded, ${overflow} became infinite`);
  if (changes !== null) lines.push(lostText(changes, dtype));
  return `${lines.join("\n")}\n`;
}

/**
 * Runs the `export` command: a trained model becomes a folder that transformers, PEFT and aubade
 * load.
 *
 * @returns the exit code 0; errors are raised.
 */
export async function main(argv: string[]): Promise<number> {
  const program = new Command("aubade export")
    .description("Writes a trained model or its adapters as a folder in Hugging Face layout.")
    .argument("<folder>", "a run, a checkpoint, a model or an adapter folder")
    .requiredOption("--out <folder>", "folder to write")
    .addOption(
      new Option("--dtype <type>", "type of the weights; adapters stay f32")
        .choices(EXPORT_DTYPES)
        .default("bf16"),
    )
    .option("--merge", "add adapters to the weights of their base, and write whole weights", false)
    .option("--max-shard-size <size>", "largest file, unless one tensor has more", parseSize, 5e9)
    .option("--base <model>", "model that training started from, where the folder does not say it")
    .option("--overwrite", "replace the files of an earlier export in the folder", false)
    .option("--json", "print export.json instead of a summary", false)
    .version(ownVersion(), "-v, --version");
  if (!parseCommandLine(program, argv, (text) => process.stdout.write(text))) return 0;
  const flags = program.opts<Flags>();
  const source = await weightsOf(resolve(program.args[0]!));
  const out = resolve(flags.out);
  // Adapters name their base themselves.
  const found = (await isAdapterFolder(source)) ? {} : await originOf(source);
  const origin: Origin = flags.base === undefined ? found : { base: await named(flags.base) };
  const record = await exportFolder({
    ...{ source, out, dtype: flags.dtype, merge: flags.merge, overwrite: flags.overwrite },
    ...{ ...origin, maxShardBytes: flags.maxShardSize },
  });
  const text = `${JSON.stringify(record, null, 2)}\n`;
  process.stdout.write(flags.json ? text : closing(record, flags.out));
  return 0;
}
