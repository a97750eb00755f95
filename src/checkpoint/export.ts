/**
 * Writes a model as a checkpoint that transformers loads: weights of one type in shards, config.json
 * that says so, and the base's other small files. Weights pass through in slices of rows.
 */
import { makeFolder, readBytes, readText, writeFileAtomic } from "#io";
import { bf16ToF32, f16ToF32, f32ToBf16, f32ToF16 } from "../core/convert16.ts";
import { CheckpointError } from "../core/errors.ts";
import { STORAGE_TYPES } from "../core/storage-types.ts";
import { type Parameter, storageName } from "../graph/storage.ts";
import { joinPath } from "../io/path.ts";
import { openCheckpoint, type TensorStore } from "./safetensors.ts";
import { writeShards } from "./safetensors-shards.ts";
import type { AdaptedModel } from "./adapter-folder.ts";
import type { TensorForm } from "./tensor-names.ts";
import { elementBytes, matrixShape, storedSource, type WeightSource } from "./weight-source.ts";

/** Types in which weights are exported. */
export const EXPORT_DTYPES = ["f32", "bf16", "f16"] as const;

/** A type in which weights are exported. */
export type ExportDType = (typeof EXPORT_DTYPES)[number];

const SAFETENSORS = { f32: "F32", bf16: "BF16", f16: "F16" } as const;
const TORCH = { f32: "float32", bf16: "bfloat16", f16: "float16" } as const;
/** The file that says what a model is. */
export const CONFIG_FILE = "config.json";
/** Elements that are in memory at a time, as f32: 4 MiB. */
const SLICE = 2 ** 20;

/** Files of the base that an exported model needs beside its weights and config.json. */
export const COMPANIONS: readonly string[] = [
  "tokenizer.json",
  "tokenizer_config.json",
  "vocab.json",
  "merges.txt",
  "added_tokens.json",
  "special_tokens_map.json",
  "processor_config.json",
  "preprocessor_config.json",
  "video_preprocessor_config.json",
  "generation_config.json",
  "chat_template.json",
  "chat_template.jinja",
];

/** A weight to be exported. */
export interface ExportTensor {
  /** Canonical name. */
  name: string;
  shape: readonly number[];
  /** Gives rows, which count along the first dimension, as f32 of its own or read before the next. */
  rows: (first: number, count: number) => Promise<Float32Array>;
}

/** Counts of what became of the difference between the exported weights and those of the base. */
export interface Changes {
  /** Weights that were compared, and how many of them training changed. */
  compared: number;
  changed: number;
  /** Changed weights whose rounded value is the base's rounded value: the export lost the change. */
  lost: number;
}

/** The files that an export wrote, and how exact they are. */
export interface ExportReport {
  dtype: ExportDType;
  /** Names of the weight files. */
  files: string[];
  tensors: number;
  /** Bytes of all tensors. */
  bytes: number;
  /** Weights that the type does not hold exactly; the infinite ones are among them. */
  inexact: number;
  /** Finite weights that became infinite. */
  overflow: number;
  /** Null where there is nothing to compare with: adapters, new random weights. */
  changes: Changes | null;
}

/** How a model is exported. */
export interface ExportOptions {
  dtype: ExportDType;
  /** Folder whose config.json, small files and spelling are taken, and weights that lack. */
  like: string;
  /** Folder of the model that training started from: weights are compared with it. */
  origin?: string | undefined;
  /** As in {@link writeShards}. */
  maxShardBytes?: number;
}

/** Copies the small files of a checkpoint, but for config.json. */
export async function copyCompanions(
  { names }: Pick<TensorForm, "names">,
  from: string,
  to: string,
): Promise<void> {
  await makeFolder(to);
  for (const name of [...COMPANIONS, ...(names.companions ?? [])]) {
    const bytes = await optionalBytes(joinPath(from, name));
    if (bytes !== undefined) await writeFileAtomic(joinPath(to, name), bytes);
  }
}

/** Copies config.json as it is: adapters change nothing that it says. */
export async function copyConfig(from: string, to: string): Promise<void> {
  await writeFileAtomic(joinPath(to, CONFIG_FILE), await readBytes(joinPath(from, CONFIG_FILE)));
}

async function optionalBytes(path: string): Promise<Uint8Array | undefined> {
  return readBytes(path).catch((error: unknown) => {
    if (error instanceof CheckpointError && error.code === "missing-file") return undefined;
    throw error;
  });
}

/**
 * Returns the weights of a model on a device, in the order of the model; a tied head is its
 * embedding.
 */
export function modelTensors({ weights }: Pick<AdaptedModel, "weights">): ExportTensor[] {
  return weights.distinct.map((parameter) => ({
    name: parameter.name,
    shape: parameter.shape,
    rows: (first, count) => readRows(parameter, first, count),
  }));
}

async function readRows(
  { value, scale }: Parameter,
  first: number,
  count: number,
): Promise<Float32Array> {
  const words = await value.download(count, first);
  const type = STORAGE_TYPES[storageName(value.type)];
  return type.unpack(new Uint32Array(words.buffer), value.width, scale);
}

/** Rows of any source as f32, exactly. */
export async function rowsF32(
  source: WeightSource,
  first: number,
  count: number,
): Promise<Float32Array> {
  const { width } = matrixShape(source.shape);
  const scratch = new Uint8Array(count * width * elementBytes(source.dtype));
  const values = await source.rows(first, count, scratch);
  if (values instanceof Float32Array) return values;
  const wide = new Float32Array(values.length);
  (source.dtype === "BF16" ? bf16ToF32 : f16ToF32)(values, wide);
  return wide;
}

/**
 * Writes weights, config.json and the small files of another folder into a folder.
 *
 * Tensors of that folder that no forward pass uses, and `weights` lacks, are carried along.
 *
 * Numerics: values are rounded once, to nearest even.
 *
 * @throws {CheckpointError} `disk-full`, `no-permission`, or about the folders read.
 */
export async function exportModel(
  folder: string,
  form: TensorForm,
  weights: readonly ExportTensor[],
  options: ExportOptions,
): Promise<ExportReport> {
  const { dtype, like, origin, maxShardBytes } = options;
  const given = await openWeights(form, like);
  const before = origin === undefined || origin === like ? given : await openWeights(form, origin);
  try {
    const settings = await readJson(joinPath(like, CONFIG_FILE));
    const spelling = { settings, names: [...given.names.values()] };
    const changes: Changes = { compared: 0, changed: 0, lost: 0 };
    const old = (name: string) => (origin === undefined ? undefined : sourceOf(before, name));
    const all = [...weights, ...carried(weights, form, given)].map((tensor) => ({
      name: form.names.stored(tensor.name, spelling),
      shape: tensor.shape,
      slices: () => slicesOf(tensor, old(tensor.name), dtype, changes),
    }));
    await copyCompanions(form, like, folder);
    await writeFileAtomic(joinPath(folder, CONFIG_FILE), configText(form, settings, dtype));
    const saved = await writeShards(folder, all, {
      dtype: SAFETENSORS[dtype],
      ...(maxShardBytes !== undefined && { maxShardBytes }),
    });
    const compared = changes.compared > 0 ? changes : null;
    return { dtype, ...saved, tensors: all.length, changes: compared };
  } finally {
    await given.store?.close();
    if (before !== given) await before.store?.close();
  }
}

/** The weights of a folder, if it has any, and their stored names by canonical name. */
export interface OpenWeights {
  store: TensorStore | undefined;
  names: ReadonlyMap<string, string>;
}

/** Opens the weights of a folder; a model of new random weights starts from one without any. */
export async function openWeights(
  { names }: Pick<TensorForm, "names">,
  folder: string,
): Promise<OpenWeights> {
  const store = await openCheckpoint(folder, (name) => names.canonical(name) !== undefined).catch(
    (error: unknown) => {
      if (error instanceof CheckpointError && error.code === "missing-weights") return undefined;
      throw error;
    },
  );
  const found = new Map<string, string>();
  for (const stored of store?.tensors.keys() ?? []) {
    const canonical = names.canonical(stored);
    if (canonical !== undefined) found.set(canonical, stored);
  }
  return { store, names: found };
}

/** Returns a weight of a folder by its canonical name; undefined where the folder lacks it. */
export function sourceOf({ store, names }: OpenWeights, name: string): WeightSource | undefined {
  const stored = names.get(name);
  return store && stored !== undefined ? storedSource(store, stored) : undefined;
}

async function readJson(path: string): Promise<Record<string, unknown>> {
  return JSON.parse(await readText(path)) as Record<string, unknown>;
}

/** Tensors of the folder that no forward pass uses, as they are. */
function carried(
  weights: readonly ExportTensor[],
  { tensors }: TensorForm,
  open: OpenWeights,
): ExportTensor[] {
  const given = new Set(weights.map(({ name }) => name));
  return [...tensors].flatMap(([name, { unused }]) => {
    const source = !unused || given.has(name) ? undefined : sourceOf(open, name);
    return source === undefined ? [] : [sourceTensor(name, source)];
  });
}

/** Returns a weight of a checkpoint as it is. */
export function sourceTensor(name: string, source: WeightSource): ExportTensor {
  const { shape } = source;
  return { name, shape, rows: (first, count) => rowsF32(source, first, count) };
}

/** Returns the base's config.json for weights of a type. */
function configText(
  { names }: Pick<TensorForm, "names">,
  settings: Readonly<Record<string, unknown>>,
  dtype: ExportDType,
): string {
  const typed = (value: unknown): unknown => {
    if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
    const entries = Object.entries(value).map(([key, entry]) => {
      const isType = (key === "torch_dtype" || key === "dtype") && typeof entry === "string";
      return [key, isType ? TORCH[dtype] : typed(entry)];
    });
    return Object.fromEntries(entries) as unknown;
  };
  const key = "dtype" in settings ? "dtype" : "torch_dtype";
  const result = { ...(typed(settings) as Record<string, unknown>), [key]: TORCH[dtype] };
  return `${JSON.stringify(names.exportedSettings?.(result) ?? result, null, 2)}\n`;
}

async function* slicesOf(
  { shape, rows }: ExportTensor,
  origin: WeightSource | undefined,
  dtype: ExportDType,
  changes: Changes,
): AsyncGenerator<Float32Array> {
  const { rows: all, width } = matrixShape(shape);
  const step = Math.max(1, Math.floor(SLICE / width));
  for (let first = 0; first < all; first += step) {
    const count = Math.min(step, all - first);
    const values = await rows(first, count);
    if (origin !== undefined) {
      countChanges(values, await rowsF32(origin, first, count), dtype, changes);
    }
    yield values;
  }
}

/** Adds to the counts what rounding does to the differences of two arrays. */
function countChanges(
  values: Float32Array,
  origin: Float32Array,
  dtype: ExportDType,
  changes: Changes,
): void {
  changes.compared += values.length;
  const differs: number[] = [];
  for (let i = 0; i < values.length; i++) if (values[i] !== origin[i]) differs.push(i);
  changes.changed += differs.length;
  if (dtype === "f32" || differs.length === 0) return;
  const narrow = dtype === "bf16" ? f32ToBf16 : f32ToF16;
  const [is, was] = [new Uint16Array(values.length), new Uint16Array(values.length)];
  narrow(values, is);
  narrow(origin, was);
  for (const i of differs) if (is[i] === was[i]) changes.lost++;
}
