import { CheckpointError } from "../../core/errors.ts";
import type { OmniAudioConfig, OmniConfig, OmniTextConfig, OmniVisionConfig } from "./config.ts";

/** Tensor names of the thinker with their shapes, row-major. */
export type TensorShapes = ReadonlyMap<string, readonly number[]>;

/**
 * Brings the name of a stored tensor to the one that this code uses, without `thinker.`.
 *
 * @returns undefined for tensors of the speech half (`talker.`, `token2wav.`), which are not read.
 */
export function canonicalName(stored: string): string | undefined {
  if (stored.startsWith("talker.") || stored.startsWith("token2wav.")) return undefined;
  return stored.startsWith("thinker.") ? stored.slice("thinker.".length) : stored;
}

/**
 * Every tensor that a thinker of this configuration stores, by its canonical name.
 *
 * `lm_head.weight` is listed whether or not the head is tied: see {@link matchTensors}.
 */
export function expectedTensors(config: OmniConfig): Map<string, number[]> {
  return new Map([
    ...textTensors(config.text),
    ...visionTensors(config.vision),
    ...audioTensors(config.audio),
  ]);
}

/** Tensors that a checkpoint may lack, and what stands in for each. */
const STAND_INS: ReadonlyMap<string, string | undefined> = new Map([
  ["lm_head.weight", "model.embed_tokens.weight"],
  ["audio_tower.audio_bos_eos_token.weight", undefined],
]);

/**
 * Finds the stored name of every tensor that a model needs, and checks the shapes.
 *
 * A missing head is the embedding: if a head is stored it is used, whatever the configuration says
 * about tying. `audio_bos_eos_token` takes no part in the forward pass and may be missing.
 *
 * @param stored - stored names with shapes, for example `store.tensors`.
 * @returns canonical name to stored name; several names may share a stored one (a tied head).
 * @throws {CheckpointError} `missing-tensor`, `wrong-shape`, `unknown-tensor`.
 */
export function matchTensors(
  config: OmniConfig,
  stored: ReadonlyMap<string, { shape: readonly number[] }>,
  file: string,
): Map<string, string> {
  const storedNames = new Map<string, string>();
  for (const name of stored.keys()) {
    const canonical = canonicalName(name);
    if (canonical !== undefined) storedNames.set(canonical, name);
  }
  const matched = new Map<string, string>();
  const expected = expectedTensors(config);
  for (const [name, shape] of expected) {
    const found = storedNames.get(name) ?? storedNames.get(STAND_INS.get(name) ?? "");
    if (found === undefined) {
      if (STAND_INS.has(name) && STAND_INS.get(name) === undefined) continue;
      throw mismatch("missing-tensor", `${file} has no tensor "${name}"`);
    }
    const actual = stored.get(found)!.shape;
    if (actual.join() !== shape.join()) {
      const needs = `[${actual.join(", ")}]; config.json asks for [${shape.join(", ")}]`;
      throw mismatch("wrong-shape", `${file}: tensor "${found}" is ${needs}`);
    }
    matched.set(name, found);
  }
  const unknown = [...storedNames.keys()].find((name) => !expected.has(name));
  if (unknown === undefined) return matched;
  throw mismatch("unknown-tensor", `${file}: tensor "${unknown}" has no place in this model`);
}

function mismatch(code: string, message: string): CheckpointError {
  return new CheckpointError(code, `${message}.`, {
    hint: "Check that config.json and the weights belong together.",
  });
}

type Entry = [name: string, shape: number[]];

function linear(name: string, outputs: number, inputs: number, bias = true): Entry[] {
  const weight: Entry = [`${name}.weight`, [outputs, inputs]];
  return bias ? [weight, [`${name}.bias`, [outputs]]] : [weight];
}

function layerNorm(name: string, width: number): Entry[] {
  return [
    [`${name}.weight`, [width]],
    [`${name}.bias`, [width]],
  ];
}

function textTensors(text: OmniTextConfig): Entry[] {
  const { hiddenSize, intermediateSize, headDim, vocabSize } = text;
  const tensors: Entry[] = [["model.embed_tokens.weight", [vocabSize, hiddenSize]]];
  for (let i = 0; i < text.layers; i++) {
    const layer = `model.layers.${i}`;
    tensors.push(
      [`${layer}.input_layernorm.weight`, [hiddenSize]],
      ...linear(`${layer}.self_attn.q_proj`, text.heads * headDim, hiddenSize),
      ...linear(`${layer}.self_attn.k_proj`, text.kvHeads * headDim, hiddenSize),
      ...linear(`${layer}.self_attn.v_proj`, text.kvHeads * headDim, hiddenSize),
      ...linear(`${layer}.self_attn.o_proj`, hiddenSize, text.heads * headDim, false),
      [`${layer}.post_attention_layernorm.weight`, [hiddenSize]],
      ...linear(`${layer}.mlp.gate_proj`, intermediateSize, hiddenSize, false),
      ...linear(`${layer}.mlp.up_proj`, intermediateSize, hiddenSize, false),
      ...linear(`${layer}.mlp.down_proj`, hiddenSize, intermediateSize, false),
    );
  }
  tensors.push(["model.norm.weight", [hiddenSize]], ["lm_head.weight", [vocabSize, hiddenSize]]);
  return tensors;
}

function visionTensors(vision: OmniVisionConfig): Entry[] {
  const { hiddenSize, intermediateSize, patchSize, mergeSize } = vision;
  const kernel = [vision.inChannels, vision.temporalPatchSize, patchSize, patchSize];
  const tensors: Entry[] = [["visual.patch_embed.proj.weight", [hiddenSize, ...kernel]]];
  for (let i = 0; i < vision.depth; i++) {
    const block = `visual.blocks.${i}`;
    tensors.push(
      [`${block}.norm1.weight`, [hiddenSize]],
      ...["q", "k", "v", "proj"].flatMap((part) =>
        linear(`${block}.attn.${part}`, hiddenSize, hiddenSize),
      ),
      [`${block}.norm2.weight`, [hiddenSize]],
      ...linear(`${block}.mlp.gate_proj`, intermediateSize, hiddenSize),
      ...linear(`${block}.mlp.up_proj`, intermediateSize, hiddenSize),
      ...linear(`${block}.mlp.down_proj`, hiddenSize, intermediateSize),
    );
  }
  const merged = hiddenSize * mergeSize ** 2;
  tensors.push(
    ["visual.merger.ln_q.weight", [hiddenSize]],
    ...linear("visual.merger.mlp.0", merged, merged),
    ...linear("visual.merger.mlp.2", vision.outHiddenSize, merged),
  );
  return tensors;
}

function audioTensors(audio: OmniAudioConfig): Entry[] {
  const { width, ffnSize, melBins, outputDim } = audio;
  const tensors: Entry[] = [
    ["audio_tower.conv1.weight", [width, melBins, 3]],
    ["audio_tower.conv1.bias", [width]],
    ["audio_tower.conv2.weight", [width, width, 3]],
    ["audio_tower.conv2.bias", [width]],
  ];
  for (let i = 0; i < audio.layers; i++) {
    const layer = `audio_tower.layers.${i}`;
    tensors.push(
      ...layerNorm(`${layer}.self_attn_layer_norm`, width),
      ...linear(`${layer}.self_attn.q_proj`, width, width),
      ...linear(`${layer}.self_attn.k_proj`, width, width, false),
      ...linear(`${layer}.self_attn.v_proj`, width, width),
      ...linear(`${layer}.self_attn.out_proj`, width, width),
      ...layerNorm(`${layer}.final_layer_norm`, width),
      ...linear(`${layer}.fc1`, ffnSize, width),
      ...linear(`${layer}.fc2`, width, ffnSize),
    );
  }
  tensors.push(
    ...layerNorm("audio_tower.ln_post", width),
    ...linear("audio_tower.proj", outputDim, width),
    ["audio_tower.audio_bos_eos_token.weight", [2, outputDim]],
  );
  return tensors;
}
