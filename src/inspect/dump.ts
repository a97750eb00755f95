import type { StorageName } from "../core/storage-types.ts";
import { modelFolder } from "#hub";
import { exists, fileSource, readText } from "#io";
import type { Events } from "../core/events.ts";
import { report } from "../core/run-events.ts";
import type { Device } from "../gpu/device.ts";
import { joinPath } from "../io/path.ts";
import { openSafetensors } from "../checkpoint/safetensors.ts";
import { type TensorToWrite, writeSafetensors } from "../checkpoint/safetensors-writer.ts";
import { parseGenerationConfig } from "../model/generation-config.ts";
import { Model } from "../model/model.ts";
import { readPrepared } from "./prepared.ts";
import { Processor } from "../model/processor.ts";
import { type PromptBatch, shiftedLabels } from "./prompt-batch.ts";
import type { Sample } from "../prompt/sample.ts";
import type { TensorSpec } from "../checkpoint/tensor-specs.ts";
import { trains } from "../checkpoint/tuning.ts";
import { Generator } from "../rollout/generator.ts";
import { type TokenFacts, tokenFacts } from "../rollout/token-facts.ts";
import { DEFAULT_SAMPLING } from "../rollout/types.ts";
import { inspectConversation, readConversation } from "./conversation.ts";
import { ForwardPass } from "./forward.ts";
import { gradientTensors, inputTensors, outputTensors } from "./tensors.ts";

/** Options of a dump. */
export interface DumpOptions {
  /** Checkpoint folder, or a name on the Hub. */
  model: string;
  /** JSON file of a conversation, or else `inputs`. */
  conversation?: string | undefined;
  /** Safetensors file of prepared tensors. */
  inputs?: string | undefined;
  /** Safetensors file to write. */
  out: string;
  /** Write the loss and every parameter's gradient. */
  grads: boolean;
  /** Tokens to generate greedily; none when left out. */
  generate?: number | undefined;
  storage: StorageName;
  /** Facts for the file's metadata. */
  metadata: Readonly<Record<string, string>>;
}

/** One line of the table that a dump ends with. */
export interface DumpedTensor {
  name: string;
  shape: readonly number[];
  /** Euclidean length over all elements. */
  norm: number;
}

/** The result of a dump. */
export interface DumpResult {
  tensors: DumpedTensor[];
  /** Stored names of parameters without a gradient. */
  unused: string[];
}

/**
 * Runs a model once and writes what went in and what came out under transformers' names.
 *
 * One tensor at a time is in memory; gradients and hidden states wait on the GPU.
 *
 * @throws {DataError | CheckpointError | DeviceError} with what to do about it.
 */
export async function dumpModel(
  device: Device,
  options: DumpOptions,
  events: Events,
): Promise<DumpResult> {
  const started = performance.now();
  const progress = (what: string, done: number, total: number, unit: string) =>
    report(events, "progress", { what, done, total, unit });
  const folder = await modelFolder(options.model);
  const model = await loadForDump(device, folder, options, (done, total) =>
    progress("loading weights", done, total, "B"),
  );
  try {
    const { config } = model;
    const { batch, prompts, facts } = await readRequest(model, folder, options);
    for (const { warnings } of batch.samples) {
      for (const warning of warnings) report(events, "warning", warning);
    }
    const labels = options.grads ? shiftedLabels(batch) : undefined;
    progress("running the model", 0, 1, "passes");
    const pass = await ForwardPass.run(model, batch.samples, labels);
    progress("running the model", 1, 1, "passes");
    const gradients = options.grads
      ? await gradientTensors(model, folder, batch)
      : { tensors: [], unused: [] };
    const generated = await generateIds(model, prompts, facts, options.generate);
    const tensors = [
      ...inputTensors(config, batch),
      ...outputTensors(config, batch, pass),
      ...gradients.tensors,
      ...generated,
    ];
    const metadata = {
      ...options.metadata,
      ...{ format: "pt", model: options.model, family: config.name },
      ...{ storage: options.storage, dtype: "f32", tier: device.capabilities.tier },
      adapter: device.capabilities.adapter,
      seconds: ((performance.now() - started) / 1000).toFixed(3),
      ledger: JSON.stringify(batch.samples.map(({ id: row, ledger }) => ({ row, ledger }))),
      prompt_length: JSON.stringify(prompts.map(({ inputIds }) => inputIds.length)),
      without_gradient: JSON.stringify(gradients.unused),
      // Ids that generation never takes, and from which on the rows of the vocabulary have no token.
      suppressed: JSON.stringify({ ids: facts.placeholderIds, from: facts.vocabSize }),
    };
    const written: DumpedTensor[] = [];
    const measured = tensors.map((tensor) => ({
      ...tensor,
      data: async () => {
        const data = typeof tensor.data === "function" ? await tensor.data() : tensor.data;
        written.push({ name: tensor.name, shape: tensor.shape, norm: normOf(data) });
        progress("writing", written.length, tensors.length, "tensors");
        return data;
      },
    }));
    await writeSafetensors(options.out, measured, metadata);
    pass.destroy();
    return { tensors: written, unused: gradients.unused };
  } finally {
    model.weights.destroy();
  }
}

function loadForDump(
  device: Device,
  folder: string,
  { grads, storage }: DumpOptions,
  onProgress: (done: number, total: number) => void,
): Promise<Model> {
  const groups = {
    ...{ tune_mm_llm: true, tune_mm_vision: true, tune_mm_audio: true, tune_mm_mlp: true },
    freeze: [],
  };
  const training = {
    trains: (name: string, spec: TensorSpec) => grads && trains(name, spec, groups),
    storage,
  };
  return Model.load(device, folder, training, { onProgress });
}

interface Request {
  batch: PromptBatch;
  /** The prompts that generation continues, row by row. */
  prompts: readonly Sample[];
  facts: TokenFacts;
}

async function readRequest(model: Model, folder: string, options: DumpOptions): Promise<Request> {
  if (options.inputs !== undefined) {
    const store = await openSafetensors(await fileSource(options.inputs), options.inputs);
    try {
      const batch = await readPrepared(store, model.config);
      const facts = await factsWithoutTokenizer(model, folder);
      return { batch, prompts: batch.samples, facts };
    } finally {
      await store.close();
    }
  }
  const path = options.conversation!;
  const processor = await Processor.load(folder);
  const conversation = await readConversation(path);
  const wanted = { labels: options.grads, prompt: options.generate !== undefined };
  const { batch, prompt } = await inspectConversation(processor, conversation, path, wanted);
  return { batch, prompts: [prompt], facts: tokenFacts(processor) };
}

/** Returns the tokens of a folder that may have no tokenizer: what its configuration names. */
async function factsWithoutTokenizer({ config }: Model, folder: string): Promise<TokenFacts> {
  const { text, tokens } = config;
  const path = joinPath(folder, "generation_config.json");
  const read = (await exists(path)) ? await readText(path) : undefined;
  const { eosIds, padId } = parseGenerationConfig(read, path);
  const eos = eosIds ?? (tokens.eos === undefined ? [] : [tokens.eos]);
  return {
    // An id beyond the vocabulary ends nothing.
    eosIds: eos.length > 0 ? eos : [text.vocabSize],
    padId: padId ?? tokens.pad ?? 0,
    placeholderIds: [tokens.audio, tokens.image, tokens.video].filter((id) => id !== undefined),
    vocabSize: text.vocabSize,
  };
}

async function generateIds(
  model: Model,
  prompts: readonly Sample[],
  facts: TokenFacts,
  count: number | undefined,
): Promise<TensorToWrite[]> {
  if (count === undefined) return [];
  const generator = new Generator(model, facts);
  try {
    const requests = prompts.map((sample) => ({ sample, generations: 1, draw: 0 }));
    const options = { ...DEFAULT_SAMPLING, temperature: 0, maxNewTokens: count };
    const groups = await generator.generate(requests, options);
    const rows = groups.map(([completion]) => completion!.ids);
    const length = Math.max(...rows.map((ids) => ids.length));
    const ids = rows.flatMap((row) =>
      Array.from({ length }, (_, i) => BigInt(row[i] ?? facts.padId)),
    );
    const data = BigInt64Array.from(ids);
    return [{ name: "generated_ids", dtype: "I64", shape: [rows.length, length], data }];
  } finally {
    generator.destroy();
  }
}

function normOf(data: ArrayBufferView): number {
  if (data instanceof Float32Array) return Math.sqrt(data.reduce((sum, x) => sum + x * x, 0));
  const whole = data as BigInt64Array;
  return Math.sqrt(whole.reduce((sum, x) => sum + Number(x) ** 2, 0));
}
