import type { StorageName } from "../core/storage-types.ts";
import { modelFolder } from "#hub";
import type { Events } from "../core/events.ts";
import { report } from "../core/run-events.ts";
import type { Device } from "../gpu/device.ts";
import { Model } from "../model/model.ts";
import { Generator } from "../rollout/generator.ts";
import { DEFAULT_SAMPLING } from "../rollout/types.ts";
import { ForwardPass } from "./forward.ts";
import { verifyPrompts, type VerifyPrompt } from "./verify-prompts.ts";
import { type VerifiedPrompt, tensorFacts, type VerifyReport } from "./verify-report.ts";

const GREEDY_TOKENS = 16;
const TOP = 5;

/** Options of a verification. */
export interface VerifyOptions {
  /** Checkpoint folder, or a name on the Hub. */
  model: string;
  storage: StorageName;
  /** Version of this program, for the report. */
  version: string;
}

/**
 * Runs a model over fixed prompts and returns numbers that another program can be held against.
 *
 * @throws {CheckpointError | DeviceError} with what to do about it.
 */
export async function verifyModel(
  device: Device,
  { model: reference, storage, version }: VerifyOptions,
  events: Events,
): Promise<VerifyReport> {
  const folder = await modelFolder(reference);
  const training = { trains: () => false, storage };
  const model = await Model.load(device, folder, training, {
    onProgress: (done, total) =>
      report(events, "progress", { what: "loading weights", done, total, unit: "B" }),
  });
  try {
    const prompts = await verifyPrompts(model.config);
    const facts: VerifyReport["prompts"] = {};
    for (const [i, prompt] of prompts.entries()) {
      const progress = { what: prompt.name, done: i, total: prompts.length, unit: "prompts" };
      report(events, "progress", progress);
      facts[prompt.name] = await promptFacts(model, prompt);
    }
    return { version: 1, program: `aubade ${version}`, dtype: "float32", prompts: facts };
  } finally {
    model.weights.destroy();
  }
}

async function promptFacts(model: Model, { sample }: VerifyPrompt): Promise<VerifiedPrompt> {
  const { hiddenSize, layers, vocabSize } = model.config.text;
  const pass = await ForwardPass.run(model, [sample]);
  try {
    const tensors: VerifiedPrompt["tensors"] = {};
    for (const tower of ["vision", "audio"] as const) {
      const values = await pass.features(tower);
      if (values.length === 0) continue;
      tensors[`${tower}_embeds`] = tensorFacts([values.length / hiddenSize, hiddenSize], values);
    }
    const length = pass.tokens;
    for (let i = 0; i <= layers; i++) {
      const values = await pass.hidden(i);
      tensors[`hidden_states.${i}`] = tensorFacts([length, hiddenSize], values);
    }
    const logits = await pass.logits(length - 1, 1);
    tensors["logits"] = tensorFacts([vocabSize], logits);
    const order = [...logits.keys()].sort((a, b) => logits[b]! - logits[a]! || a - b);
    const top = order.slice(0, TOP).map((id): [number, number] => [id, logits[id]!]);
    return { tensors, top, ids: await greedyIds(model, sample) };
  } finally {
    pass.destroy();
  }
}

async function greedyIds(model: Model, sample: VerifyPrompt["sample"]): Promise<number[]> {
  const { text, tokens } = model.config;
  const placeholderIds = [tokens.audio, tokens.image, tokens.video].filter(
    (id) => id !== undefined,
  );
  const { vocabSize } = text;
  // An id beyond the vocabulary ends nothing.
  const generator = new Generator(model, {
    ...{ eosIds: [vocabSize], padId: tokens.pad ?? 0, placeholderIds, vocabSize },
  });
  try {
    const options = { ...DEFAULT_SAMPLING, temperature: 0, maxNewTokens: GREEDY_TOKENS };
    const [group] = await generator.generate([{ sample, generations: 1, draw: 0 }], options);
    return group![0]!.ids;
  } finally {
    generator.destroy();
  }
}
