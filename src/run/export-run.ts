import type { ExportDType } from "../checkpoint/export.ts";
import { Model, type ModelLoading } from "../model/model.ts";
import type { BaseModel } from "../model/run-model.ts";
import { writeModel } from "../model/save.ts";
import { writeOutput } from "../checkpoint/output-folder.ts";
import type { RunExport } from "./options.ts";

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
  const how = { reads: [base.folder], occupied: "replace-all" } as const;
  return writeOutput(folder, how, async (part) => {
    const report = await writeModel(model, base, part, options);
    return { base: base.name, revision: base.revision, ...report };
  });
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
