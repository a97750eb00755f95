import { openCheckpoint } from "../checkpoint/safetensors.ts";
import type { TensorToWrite } from "../checkpoint/safetensors-writer.ts";
import type { FamilyModel } from "../families/family.ts";
import type { ModelConfig } from "../network/config.ts";
import type { PatchGrid } from "../network/media.ts";
import { matchTensors } from "../checkpoint/match-tensors.ts";
import type { Model } from "../model/model.ts";
import { attentionMask, batchPositions, type PromptBatch, spreadRows } from "./prompt-batch.ts";
import { visionTokens } from "../prompt/layout.ts";
import type { ForwardPass } from "./forward.ts";

type PictureKind = "image" | "video";

/** A tensor to write whose bytes are made when their turn comes. */
type Lazy = TensorToWrite & { data: () => ArrayBufferView | Promise<ArrayBufferView> };

function whole(name: string, shape: readonly number[], values: ArrayLike<number>): Lazy {
  const data = () => BigInt64Array.from({ length: values.length }, (_, i) => BigInt(values[i]!));
  return { name, dtype: "I64", shape, data };
}

function float(name: string, shape: readonly number[], data: Lazy["data"]): Lazy {
  return { name, dtype: "F32", shape, data };
}

/** Everything that a model of transformers 4.57.6 is called with, by the names of its arguments. */
export function inputTensors(config: ModelConfig, batch: PromptBatch): Lazy[] {
  const { samples, length, labels } = batch;
  const plane = [samples.length, length];
  // The family without vision has plain positions, one row of them.
  const axes = config.vision === undefined ? 1 : 3;
  return [
    whole("input_ids", plane, batch.inputIds),
    whole("attention_mask", plane, attentionMask(batch)),
    whole("position_ids", axes === 1 ? plane : [3, ...plane], batchPositions(batch, axes)),
    ...(labels === undefined ? [] : [whole("labels", plane, labels)]),
    ...pictureTensors(config, batch, "image", ["pixel_values", "image_grid_thw"]),
    ...pictureTensors(config, batch, "video", ["pixel_values_videos", "video_grid_thw"]),
    ...secondsTensors(config, batch),
    ...soundTensors(config, batch),
  ];
}

/**
 * Returns the pictures of one kind in order: grid, first row among all feature rows, first patch.
 */
function* picturesOf({ samples }: PromptBatch, kind: PictureKind, mergeSize: number) {
  let featureRow = 0;
  for (const { grids, ledger, patches } of samples) {
    const kinds = ledger.filter((entry) => entry.kind !== "audio").map((entry) => entry.kind);
    let patch = 0;
    for (const [i, grid] of grids.entries()) {
      if (kinds[i] === kind) yield { grid, featureRow, patch, patches };
      patch += grid[0] * grid[1] * grid[2];
      featureRow += visionTokens(grid, mergeSize);
    }
  }
}

const patchCount = ([t, h, w]: PatchGrid): number => t * h * w;

function pictureTensors(
  { vision }: ModelConfig,
  batch: PromptBatch,
  kind: PictureKind,
  [pixels, grids]: readonly [string, string],
): Lazy[] {
  const pictures = vision === undefined ? [] : [...picturesOf(batch, kind, vision.mergeSize)];
  if (pictures.length === 0) return [];
  const { patchDim } = vision!;
  const rows = pictures.reduce((sum, { grid }) => sum + patchCount(grid), 0);
  const data = () => {
    const parts = pictures.map(({ grid, patch, patches }) =>
      patches.subarray(patch * patchDim, (patch + patchCount(grid)) * patchDim),
    );
    return joined(parts, rows * patchDim);
  };
  const values = pictures.flatMap(({ grid }) => [...grid]);
  return [float(pixels, [rows, patchDim], data), whole(grids, [pictures.length, 3], values)];
}

function joined(parts: readonly Float32Array[], length: number): Float32Array {
  const all = new Float32Array(length);
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** Omni and VL name the same number differently; both count it once per video. */
function secondsTensors({ audio }: ModelConfig, { secondsPerGrid }: PromptBatch): Lazy[] {
  if (secondsPerGrid.length === 0) return [];
  const name = audio === undefined ? "second_per_grid_ts" : "video_second_per_grid";
  return [float(name, [secondsPerGrid.length], () => Float32Array.from(secondsPerGrid))];
}

function soundTensors({ audio }: ModelConfig, { sounds }: PromptBatch): Lazy[] {
  if (sounds.length === 0) return [];
  const columns = sounds[0]!.columns;
  const bins = audio!.melBins;
  const mask = new Uint8Array(sounds.length * columns);
  sounds.forEach(({ frames }, clip) => mask.fill(1, clip * columns, clip * columns + frames));
  const mel = () =>
    joined(
      sounds.map(({ data }) => data()),
      sounds.length * bins * columns,
    );
  return [
    float("input_features", [sounds.length, bins, columns], mel),
    whole("feature_attention_mask", [sounds.length, columns], mask),
  ];
}

/** Returns a model's outputs, by the names that transformers gives them. */
export function outputTensors(config: ModelConfig, batch: PromptBatch, pass: ForwardPass): Lazy[] {
  const { hiddenSize, vocabSize, layers } = config.text;
  const plane = [batch.samples.length, batch.length];
  const hidden = Array.from({ length: layers + 1 }, (_, i) =>
    float(`hidden_states.${i}`, [...plane, hiddenSize], async () =>
      spreadRows(batch, await pass.hidden(i), hiddenSize),
    ),
  );
  const logits = async () => spreadRows(batch, await pass.logits(0, pass.tokens), vocabSize);
  const { loss } = pass;
  return [
    ...pictureEmbeds(config, batch, pass, "image"),
    ...pictureEmbeds(config, batch, pass, "video"),
    ...audioEmbeds(batch, pass, hiddenSize),
    ...hidden,
    float("logits", [...plane, vocabSize], logits),
    ...(loss === undefined ? [] : [float("loss", [], () => Float32Array.of(loss))]),
  ];
}

function pictureEmbeds(
  { vision, text }: ModelConfig,
  batch: PromptBatch,
  pass: ForwardPass,
  kind: PictureKind,
): Lazy[] {
  const pictures = vision === undefined ? [] : [...picturesOf(batch, kind, vision.mergeSize)];
  if (pictures.length === 0) return [];
  const rowsOf = (grid: PatchGrid) => visionTokens(grid, vision!.mergeSize);
  const rows = pictures.reduce((sum, { grid }) => sum + rowsOf(grid), 0);
  const width = text.hiddenSize;
  const data = async () => {
    const all = await pass.features("vision");
    const parts = pictures.map(({ grid, featureRow }) =>
      all.subarray(featureRow * width, (featureRow + rowsOf(grid)) * width),
    );
    return joined(parts, rows * width);
  };
  return [float(`${kind}_embeds`, [rows, width], data)];
}

function audioEmbeds({ samples }: PromptBatch, pass: ForwardPass, width: number): Lazy[] {
  const rows = samples.reduce((sum, { audioRows }) => sum + audioRows.length, 0);
  return rows === 0 ? [] : [float("audio_embeds", [rows, width], () => pass.features("audio"))];
}

/** Gradients under stored names, and the stored names of parameters that the pass did not use. */
export interface Gradients {
  tensors: Lazy[];
  unused: string[];
}

/**
 * Returns the gradients of a pass as tensors `grad.<name>`, named as the checkpoint's files name
 * them.
 *
 * A tied head has no gradient of its own: its embedding's is the sum. Parameters of towers without
 * media, and tables that never train, have none.
 */
export async function gradientTensors(
  model: Model,
  folder: string,
  batch: PromptBatch,
): Promise<Gradients> {
  const { config, weights } = model;
  const stored = await storedNames(config, folder);
  const sees = batch.samples.some(({ grids }) => grids.length > 0);
  const hears = batch.sounds.length > 0;
  const gradients: Gradients = { tensors: [], unused: [] };
  for (const { name, shape, gradient } of weights.distinct) {
    const spelled = stored.get(name)!;
    const { part } = config.tensors.get(name)!;
    const used = part === "decoder" || (part === "vision" ? sees : hears);
    if (gradient === undefined || !used) gradients.unused.push(spelled);
    else gradients.tensors.push(float(`grad.${spelled}`, shape, () => gradient.download()));
  }
  return gradients;
}

async function storedNames(config: FamilyModel, folder: string): Promise<Map<string, string>> {
  const store = await openCheckpoint(folder);
  try {
    return matchTensors(config, store.tensors, folder);
  } finally {
    await store.close();
  }
}
