/**
 * Exports what lies in a folder, without a GPU: a whole model in another type, adapters as they are,
 * or adapters merged into the model that they belong to.
 */
import { modelFolder, type HubOptions } from "#hub";
import { exists, readText } from "#io";
import { CheckpointError } from "../core/errors.ts";
import { joinPath } from "../io/path.ts";
import {
  isAdapterFolder,
  readAdapterConfig,
  readAdapters,
  writeAdapterFolder,
  type StoredAdapter,
} from "../checkpoint/adapter-folder.ts";
import {
  copyCompanions,
  copyConfig,
  exportModel,
  openWeights,
  rowsF32,
  sourceOf,
  sourceTensor,
  type ExportDType,
  type ExportReport,
  type ExportTensor,
} from "../checkpoint/export.ts";
import { type ExportRecord, writeOutput } from "../checkpoint/output-folder.ts";
import { parseModelConfig } from "../families/registry.ts";
import { matchTensors } from "../checkpoint/match-tensors.ts";
import type { FamilyModel } from "../families/family.ts";
import { matrixShape, type WeightSource } from "../checkpoint/weight-source.ts";

/** The parts and options of an export. */
export interface FolderExport {
  /** A folder of whole weights or of adapters. */
  source: string;
  out: string;
  dtype: ExportDType;
  /** Adapters only: whether they are added to their base's weights. Default false. */
  merge?: boolean;
  /** The model that training started from: a folder or a name on the Hub; adapters name their own. */
  base?: string | undefined;
  /** Its branch, tag or commit on the Hub. */
  revision?: string | null;
  /** As in `writeShards`. */
  maxShardBytes?: number | undefined;
  hub?: HubOptions;
  /**
   * True when the files of an earlier export in `out` are replaced. Default false: a folder with
   * something in it is refused.
   */
  overwrite?: boolean;
}

/**
 * Exports a folder of weights or adapters.
 *
 * Numerics of a merge: scale * B A is summed in float64 on top of the weight, in the order of the
 * ranks, and rounded once to f32, then to the type.
 *
 * @returns what `export.json` in the folder says.
 * @throws {CheckpointError} `same-folder`, `folder-not-empty`, `not-adapters` for `merge` of whole
 *   weights, or about the folders.
 */
export async function exportFolder(options: FolderExport): Promise<ExportRecord> {
  const { source, out, base, revision, merge = false, overwrite = false } = options;
  const adapters = await isAdapterFolder(source);
  const reads = [source, ...(await baseFolders(options, adapters))];
  const how = { reads, occupied: overwrite ? "replace-export" : "refuse" } as const;
  return writeOutput(out, how, async (folder) => {
    if (merge && !adapters) {
      throw new CheckpointError("not-adapters", `${source} holds whole weights, not adapters.`, {
        hint: "Leave --merge out.",
      });
    }
    const inside = { ...options, out: folder };
    const write = !adapters ? exportWhole : merge ? exportMerged : exportAdapters;
    return { base: base ?? null, revision: revision ?? null, ...(await write(inside)) };
  });
}

/**
 * Returns the folders of the models that an export belongs to: the one that is named, and an
 * adapter's own.
 */
async function baseFolders(options: FolderExport, adapters: boolean): Promise<string[]> {
  const { source, base } = options;
  const folders = adapters || base !== undefined ? [await baseFolder(options)] : [];
  if (!adapters || base === undefined) return folders;
  const { base: own } = await readAdapterConfig(source);
  return (await exists(own)) ? [...folders, own] : folders;
}

/** Returns the weights of a folder in another type. */
async function exportWhole(options: FolderExport): Promise<ExportReport> {
  const { source, out } = options;
  const config = await readConfig(source);
  const open = await openWeights(config, source);
  try {
    const origin = options.base === undefined ? undefined : await baseFolder(options);
    const tensors = modelSources(config, open, source).map(([name, weight]) =>
      sourceTensor(name, weight),
    );
    return await exportModel(out, config, tensors, {
      ...shardOptions(options),
      like: source,
      origin,
    });
  } finally {
    await open.store?.close();
  }
}

function shardOptions({ dtype, maxShardBytes }: FolderExport) {
  return { dtype, ...(maxShardBytes !== undefined && { maxShardBytes }) };
}

async function baseFolder(options: FolderExport): Promise<string> {
  const { base, revision, source } = options;
  if (base !== undefined) return modelFolder(base, { ...options.hub, revision: revision ?? null });
  const adapter = await readAdapterConfig(source);
  return modelFolder(adapter.base, { ...options.hub, revision: adapter.revision });
}

async function readConfig(folder: string): Promise<FamilyModel> {
  const path = joinPath(folder, "config.json");
  return parseModelConfig(await readText(path), path);
}

/** Returns every weight that a folder stores, once, in the order of the model. */
function modelSources(
  config: FamilyModel,
  open: Awaited<ReturnType<typeof openWeights>>,
  folder: string,
): [string, WeightSource][] {
  if (open.store === undefined) {
    throw new CheckpointError("missing-weights", `${folder} holds no weights.`, {
      hint: "Name a run, a checkpoint, a model or an adapter folder.",
    });
  }
  matchTensors(config, open.store.tensors, folder);
  return [...config.tensors.keys()].flatMap((name) => {
    const source = sourceOf(open, name);
    return source === undefined ? [] : [[name, source] as [string, WeightSource]];
  });
}

/**
 * Returns the adapters of a folder as they are, in f32, under PEFT's names for this transformers.
 */
async function exportAdapters(options: FolderExport): Promise<ExportReport> {
  const { source, out, base, revision } = options;
  const settings = await readAdapterConfig(source);
  const folder = await baseFolder(options);
  const config = await readConfig(folder);
  const adapters = await readAdapters(source, config, settings.r);
  const factors = [...adapters].flatMap(([layer, { a, b }]) => [
    { name: `${layer}.lora_A.weight`, shape: [settings.r, a.length / settings.r], data: () => a },
    { name: `${layer}.lora_B.weight`, shape: [b.length / settings.r, settings.r], data: () => b },
  ]);
  const like = (await exists(joinPath(source, "config.json"))) ? source : folder;
  await copyCompanions(config, like, out);
  await copyConfig(like, out);
  const named = base === undefined ? {} : { base, revision: revision ?? null };
  const written = await writeAdapterFolder(out, {
    ...{ names: config.names, ...settings, ...named },
    factors,
  });
  return { dtype: "f32", ...written, inexact: 0, overflow: 0, changes: null };
}

async function exportMerged(options: FolderExport): Promise<ExportReport> {
  const { source, out } = options;
  const folder = await baseFolder(options);
  const config = await readConfig(folder);
  const { r, scale } = await readAdapterConfig(source);
  const adapters = await readAdapters(source, config, r);
  const open = await openWeights(config, folder);
  try {
    const tensors = modelSources(config, open, folder).map(([name, weight]) => {
      const adapter = adapters.get(name.replace(/\.weight$/, ""));
      return adapter === undefined || !name.endsWith(".weight")
        ? sourceTensor(name, weight)
        : merged(name, weight, adapter, scale, r);
    });
    const folders = { like: folder, origin: folder };
    return await exportModel(out, config, tensors, { ...shardOptions(options), ...folders });
  } finally {
    await open.store?.close();
  }
}

/** W + scale * B A of one layer, row by row in float64. */
function merged(
  name: string,
  source: WeightSource,
  { a, b }: StoredAdapter,
  scale: number,
  rank: number,
): ExportTensor {
  const { width } = matrixShape(source.shape);
  const sum = new Float64Array(width);
  return {
    name,
    shape: source.shape,
    async rows(first, count) {
      const values = await rowsF32(source, first, count);
      for (let row = 0; row < count; row++) {
        const weights = values.subarray(row * width, (row + 1) * width);
        sum.set(weights);
        for (let k = 0; k < rank; k++) {
          const factor = scale * b[(first + row) * rank + k]!;
          const from = k * width;
          for (let i = 0; i < width; i++) sum[i]! += factor * a[from + i]!;
        }
        weights.set(sum);
      }
      return values;
    },
  };
}
