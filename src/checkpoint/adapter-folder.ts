/**
 * Low-rank adapters as PEFT stores them: `adapter_config.json` and `adapter_model.safetensors`,
 * whose names are those of transformers' modules. Source: huggingface/peft 0.21, LoraConfig,
 * `get_peft_model_state_dict`.
 */
import { exists, readBytes, readText, writeFileAtomic } from "#io";
import { CheckpointError } from "../core/errors.ts";
import { quoted } from "../core/quoted.ts";
import { bytesSource } from "../io/byte-source.ts";
import { joinPath } from "../io/path.ts";
import { openSafetensors } from "./safetensors.ts";
import { byteLength, writeSafetensors } from "./safetensors-writer.ts";
import type { TensorForm, TensorNames } from "./tensor-names.ts";
import { takesAdapter } from "./tensor-specs.ts";
import type { ModelWeights } from "./weights.ts";

const CONFIG_FILE = "adapter_config.json";
const WEIGHTS_FILE = "adapter_model.safetensors";
/** The names of all files of an adapter folder. */
export const ADAPTER_FILES: readonly string[] = [CONFIG_FILE, WEIGHTS_FILE];
/** The prefix that PEFT puts before the name of a module. */
const PREFIX = "base_model.model.";
/** A factor's name: the module, the letter. A name as PEFT holds it in memory has `.default`. */
const FACTOR = /^base_model\.model\.(.+)\.lora_(A|B)(?:\.default)?\.weight$/;

/** The contents of an `adapter_config.json`. */
export interface AdapterConfig {
  /** The model that the adapters belong to: a folder, or a name on the Hub. */
  base: string;
  /** Branch, tag or commit of a base on the Hub; null for its main branch. */
  revision: string | null;
  r: number;
  /** The factor of B A x. */
  scale: number;
  /** True when that is alpha / sqrt(r). */
  rslora: boolean;
}

/** The owner of adapters: a model, or what is left of one. */
export interface AdaptedModel {
  config: TensorForm;
  weights: ModelWeights;
}

/** Tells whether a folder holds adapters and no weights of a whole model. */
export async function isAdapterFolder(folder: string): Promise<boolean> {
  if (!(await exists(joinPath(folder, CONFIG_FILE)))) return false;
  const whole = ["model.safetensors", "model.safetensors.index.json"];
  for (const name of whole) if (await exists(joinPath(folder, name))) return false;
  return true;
}

/**
 * Reads `adapter_config.json`.
 *
 * @throws {CheckpointError} `bad-adapter` for what is not a plain LoRA on linear layers.
 */
export async function readAdapterConfig(folder: string): Promise<AdapterConfig> {
  const path = joinPath(folder, CONFIG_FILE);
  const fail = (what: string, cause?: unknown) =>
    new CheckpointError("bad-adapter", `${path}: ${what}.`, {
      hint: "Only plain LoRA without trained biases or modules is read.",
      cause,
    });
  let config: Record<string, unknown>;
  try {
    config = JSON.parse(await readText(path)) as Record<string, unknown>;
  } catch (cause) {
    if (cause instanceof CheckpointError) throw cause;
    throw fail("it is not JSON", cause);
  }
  const { peft_type: type, r, lora_alpha: alpha, base_model_name_or_path: base } = config;
  if (type !== "LORA") throw fail(`peft_type is ${quoted(type)}`);
  if (!Number.isSafeInteger(r) || (r as number) < 1) throw fail(`r is ${quoted(r)}`);
  if (typeof alpha !== "number") throw fail(`lora_alpha is ${quoted(alpha)}`);
  if (typeof base !== "string" || base === "") throw fail("it names no base model");
  const revision = config["revision"] ?? null;
  if (typeof revision !== "string" && revision !== null) {
    throw fail(`revision is ${quoted(revision)}`);
  }
  for (const name of ["use_dora", "fan_in_fan_out", "lora_bias", "use_qalora", "use_bdlora"]) {
    if (config[name] === true) throw fail(`${name} is true`);
  }
  for (const name of ["rank_pattern", "alpha_pattern"]) {
    if (Object.keys((config[name] as object | null) ?? {}).length > 0) throw fail(`${name} is set`);
  }
  if ((config["bias"] ?? "none") !== "none") throw fail(`bias is ${quoted(config["bias"])}`);
  for (const name of ["modules_to_save", "trainable_token_indices", "layer_replication"]) {
    if ((config[name] ?? null) !== null) throw fail(`${name} is set`);
  }
  const rank = r as number;
  const rslora = config["use_rslora"] === true;
  const scale = alpha / (rslora ? Math.sqrt(rank) : rank);
  return { base, revision, r: rank, scale, rslora };
}

/** Adapters as they are written: what the folder says of itself, and the factors by name. */
export interface AdaptersToWrite extends AdapterConfig {
  names: Pick<TensorNames, "module">;
  /** A then B of every layer, under canonical names such as `model.layers.0.mlp.up_proj.lora_A.weight`. */
  factors: readonly {
    name: string;
    shape: readonly number[];
    data: () => Float32Array | Promise<Float32Array>;
  }[];
}

/** The contents of an adapter folder. */
export interface WrittenAdapters {
  files: string[];
  tensors: number;
  /** Bytes of all tensors. */
  bytes: number;
}

/**
 * Writes all adapters of a model as PEFT does, byte for byte in the tensors, in f32.
 *
 * @param base what PEFT is to load them on.
 * @throws {CheckpointError} `disk-full`, `no-permission`.
 */
export async function writeAdapters(
  { config: { names }, weights }: AdaptedModel,
  base: string,
  folder: string,
  revision: string | null = null,
): Promise<WrittenAdapters> {
  const [first] = weights.adapters.values();
  const { scale, rslora, a } = first!;
  const factors = weights.adapterParameters.map(({ name, shape, value }) => ({
    ...{ name, shape },
    data: () => value.download(),
  }));
  const settings = { base, revision, r: a.value.rows, scale, rslora };
  return writeAdapterFolder(folder, { names, ...settings, factors });
}

/**
 * {@link writeAdapters} without a model on a device.
 *
 * @throws {CheckpointError} `disk-full`, `no-permission`.
 */
export async function writeAdapterFolder(
  folder: string,
  { names, base, revision, r, scale, rslora, factors }: AdaptersToWrite,
): Promise<WrittenAdapters> {
  const layers = factors.flatMap(({ name }) => /^(.*)\.lora_A\.weight$/.exec(name)?.[1] ?? []);
  const config = {
    base_model_name_or_path: base,
    bias: "none",
    fan_in_fan_out: false,
    inference_mode: true,
    init_lora_weights: true,
    // The product of a quotient: its last digits are rounding.
    lora_alpha: Number((scale * (rslora ? Math.sqrt(r) : r)).toPrecision(12)),
    lora_dropout: 0,
    modules_to_save: null,
    peft_type: "LORA",
    r,
    revision,
    // Whole paths: their last parts would name layers of other parts as well.
    target_modules: layers.map((layer) => names.module(layer)),
    task_type: "CAUSAL_LM",
    use_dora: false,
    use_rslora: rslora,
  };
  await writeFileAtomic(joinPath(folder, CONFIG_FILE), `${JSON.stringify(config, null, 2)}\n`);
  const tensors = factors.map(({ name, shape, data }) => ({
    name: `${PREFIX}${names.module(name)}`,
    dtype: "F32" as const,
    ...{ shape, data },
  }));
  await writeSafetensors(joinPath(folder, WEIGHTS_FILE), tensors, { format: "pt" });
  const bytes = tensors.reduce((sum, tensor) => sum + byteLength(tensor), 0);
  return { files: [CONFIG_FILE, WEIGHTS_FILE], tensors: tensors.length, bytes };
}

/** The factors of one layer's adapter as stored. */
export interface StoredAdapter {
  /** [r, inputs] f32. */
  a: Float32Array;
  /** [outputs, r] f32. */
  b: Float32Array;
}

/**
 * Reads the adapters of a folder by layer, and checks that each fits its layer.
 *
 * Layers may be spelled as any version of transformers spells its modules, or as the Hub spells
 * its tensors.
 *
 * @throws {CheckpointError} `bad-adapter` that names the file and the tensor.
 */
export async function readAdapters(
  folder: string,
  { names, tensors }: TensorForm,
  r: number,
): Promise<Map<string, StoredAdapter>> {
  const path = joinPath(folder, WEIGHTS_FILE);
  const fail = (what: string) =>
    new CheckpointError("bad-adapter", `${path}: ${what}.`, {
      hint: "Check that the adapter belongs to this base model, and sits on linear layers alone.",
    });
  const store = await openSafetensors(bytesSource(await readBytes(path), path), path);
  const found = new Map<string, StoredAdapter>();
  for (const stored of store.tensors.keys()) {
    const match = FACTOR.exec(stored);
    if (match === null) throw fail(`${quoted(stored)} is no factor of an adapter`);
    if (match[2] === "B") continue;
    const weight = names.canonical(`${match[1]!}.weight`);
    const spec = weight === undefined ? undefined : tensors.get(weight);
    if (weight === undefined || spec === undefined) {
      throw fail(`${quoted(stored)} belongs to no layer of the model`);
    }
    const layer = weight.replace(/\.weight$/, "");
    const [outputs, inputs] = spec.shape;
    if (!takesAdapter(weight, spec)) {
      throw fail(`${quoted(stored)} belongs to ${layer}, which takes no adapter here`);
    }
    if (found.has(layer)) throw fail(`${quoted(stored)} is a second adapter on ${layer}`);
    const other = stored.replace(/A((?:\.default)?\.weight)$/, "B$1");
    for (const [name, want] of [
      [stored, [r, inputs!]],
      [other, [outputs!, r]],
    ] as const) {
      const actual = store.tensors.get(name)?.shape;
      if (actual === undefined) throw fail(`it has no "${name}"`);
      if (actual.join() === want.join()) continue;
      throw fail(`"${name}" is [${actual.join(", ")}]; its layer asks for [${want.join(", ")}]`);
    }
    found.set(layer, { a: await store.readF32(stored), b: await store.readF32(other) });
  }
  if (found.size * 2 === store.tensors.size && found.size > 0) return found;
  throw fail(`it has ${store.tensors.size} tensors, of which ${found.size} are first factors`);
}
