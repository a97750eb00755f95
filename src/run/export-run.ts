import { removePath, writeFileAtomic } from "#io";
import { joinPath } from "../io/path.ts";
import type { ExportDType } from "../checkpoint/export.ts";
import { Model, type ModelLoading } from "../model/model.ts";
import type { BaseModel } from "../model/run-model.ts";
import { saveModel } from "./checkpoint.ts";
import type { RunExport } from "./run-interface.ts";

/** What an export says of itself, beside its weights. */
export const EXPORT_FILE = "export.json";

/**
 * Writes the trained model into a folder, in place of what an earlier session left there, and
 * `export.json` beside it.
 *
 * @param compare whether training started from the base's weights, which are then compared with.
 * @throws {CheckpointError} `disk-full`, `no-permission`.
 */
export async function exportRun(
  folder: string,
  model: Model,
  base: BaseModel,
  options: { dtype: ExportDType; compare: boolean },
): Promise<RunExport> {
  await removePath(folder);
  const report = await saveModel(model, base, folder, options);
  const exported: RunExport = { base: base.name, revision: base.revision, ...report };
  await writeFileAtomic(joinPath(folder, EXPORT_FILE), `${JSON.stringify(exported, null, 2)}\n`);
  return exported;
}

/**
 * Loads what {@link exportRun} wrote, on the base at hand where it is adapters.
 *
 * Whole weights are loaded as f32, which holds every export type exactly.
 *
 * @param trained the model that was exported; @param storage of the base under adapters.
 */
export async function loadExported(
  trained: Model,
  base: BaseModel,
  folder: string,
  { storage, loading }: { storage: "f32" | "f16s"; loading: ModelLoading },
): Promise<Model> {
  const frozen = { trains: () => false };
  if (trained.weights.adapters.size === 0) {
    return Model.load(trained.device, folder, frozen, loading);
  }
  const model = await Model.load(trained.device, base.folder, { ...frozen, storage }, loading);
  await model.addAdapters(folder);
  return model;
}
