import { modelFolder, type HubOptions } from "#hub";
import { inFolder } from "#io";
import { writeAdapters } from "../checkpoint/adapter-folder.ts";
import {
  copyCompanions,
  copyConfig,
  exportModel,
  type ExportDType,
  type ExportReport,
  modelTensors,
} from "../checkpoint/export.ts";
import { allFinite } from "../checkpoint/finite.ts";
import { type ExportRecord, type Occupied, writeOutput } from "../checkpoint/output-folder.ts";
import { refuseUnknown } from "../core/options.ts";
import type { Model } from "./model.ts";
import type { BaseModel } from "./run-model.ts";

/** How a model is saved. */
export interface SaveOptions {
  /**
   * The checkpoint that the model was loaded from, whose configuration, tokenizer and spelling of
   * names are taken: a folder, a URL, or a name on the Hub.
   */
  base: string;
  /** The revision of `base` on the Hub; null for its main branch. Default null. */
  revision?: string | null;
  /** Type of the weights; adapters are always f32. Default f32. */
  dtype?: ExportDType;
  /** The cache, endpoint and so on of a name on the Hub. */
  hub?: Omit<HubOptions, "revision">;
}

const SAVE_OPTIONS = ["base", "revision", "dtype", "hub"] as const;

/**
 * Saves a model as a folder that transformers loads, or its adapters as one that PEFT loads; whole or
 * not at all.
 *
 * @param folder a path (Node), or a directory that a page was given: the user's
 *   (`showDirectoryPicker()`), or the page's own (`navigator.storage.getDirectory()`). It is new or
 *   empty.
 * @throws {CheckpointError} `folder-not-empty`; `non-finite` for a trained weight that is infinite or
 *   NaN; `disk-full`, `no-permission`.
 * @example
 * await saveModel(model, "trained", { base: "Qwen/Qwen2.5-Omni-3B", dtype: "bf16" });
 */
export async function saveModel(
  model: Model,
  folder: string | FileSystemDirectoryHandle,
  options: SaveOptions,
): Promise<ExportRecord> {
  refuseUnknown(options, SAVE_OPTIONS, "saveModel");
  const { base: name, revision = null, dtype = "f32", hub } = options;
  const base = { name, revision, folder: await modelFolder(name, { ...hub, revision }) };
  return inFolder(folder, (path) => writeExport(path, model, base, { dtype, occupied: "refuse" }));
}

/** How the weights of a model are written. */
interface WeightOptions {
  dtype?: ExportDType;
  /** Counts the changes of training that the type loses. Default false. */
  compare?: boolean;
}

/**
 * Writes a model into a folder whole or not at all, and `export.json` beside it.
 *
 * @param options `occupied` says how a folder is treated that has something in it; the others are
 *   those of {@link writeModel}.
 * @throws {CheckpointError} as `writeOutput` and `writeModel`.
 */
export async function writeExport(
  folder: string,
  model: Model,
  base: BaseModel,
  { occupied, ...options }: WeightOptions & { occupied: Occupied },
): Promise<ExportRecord & { base: string }> {
  return writeOutput(folder, { reads: [base.folder], occupied }, async (part) => ({
    ...{ base: base.name, revision: base.revision },
    ...(await writeModel(model, base, part, options)),
  }));
}

/**
 * Writes a model in Hugging Face layout, with the base's other files.
 *
 * A model with adapters is written as PEFT does it: the adapters alone, for the base that they name,
 * in f32 whatever the type.
 *
 * @param base the checkpoint that the run started from.
 * @param options the type of whole weights, and whether they are compared with the base's.
 * @throws {CheckpointError} `disk-full`, `no-permission`, or `non-finite` for a trained weight that is
 *   infinite or NaN.
 */
export async function writeModel(
  model: Model,
  base: BaseModel,
  folder: string,
  { dtype = "f32", compare = false }: WeightOptions = {},
): Promise<ExportReport> {
  const { adapterParameters, adapters, trained } = model.weights;
  if (adapters.size > 0) {
    for (const { name, value } of adapterParameters) allFinite(name, await value.download());
    await copyCompanions(model.config, base.folder, folder);
    await copyConfig(base.folder, folder);
    const written = await writeAdapters(model, base.name, folder, base.revision);
    return { dtype: "f32", ...written, inexact: 0, overflow: 0, changes: null };
  }
  const options = { dtype, like: base.folder, ...(compare && { origin: base.folder }) };
  const names = new Set(trained.map(({ name }) => name));
  const tensors = modelTensors(model).map((tensor) => {
    if (!names.has(tensor.name)) return tensor;
    const rows: typeof tensor.rows = async (first, count) =>
      allFinite(tensor.name, await tensor.rows(first, count));
    return { ...tensor, rows };
  });
  return exportModel(folder, model.config, tensors, options);
}
