import { linearTensors, type TensorEntry, vectorTensor } from "../../checkpoint/tensor-specs.ts";
import { type ConfigReader, MAX_LAYERS, MAX_SMALL } from "../../io/config-reader.ts";
import type { WindowVisionConfig } from "../../network/towers/vision.ts";

/** Parses the section of a vision tower with window attention; what it leaves out takes the defaults of transformers. */
export function parseVision(section: ConfigReader): WindowVisionConfig {
  section.only("hidden_act", "silu");
  const hiddenSize = section.size("hidden_size", 3584);
  const heads = section.size("num_heads", 16);
  const depth = section.size("depth", 32, MAX_LAYERS);
  const patchSize = section.size("patch_size", 14, MAX_SMALL);
  const temporalPatchSize = section.size("temporal_patch_size", 2, MAX_SMALL);
  const inChannels = section.size(section.either("in_channels", "in_chans"), 3);
  const mergeSize = section.size("spatial_merge_size", 2, MAX_SMALL);
  const windowSize = section.size("window_size", 112, MAX_SMALL);
  const fullAttentionBlocks = section.integers("fullatt_block_indexes", [7, 15, 23, 31]);
  if (hiddenSize % (4 * heads) !== 0) {
    throw section.error("hidden_size", hiddenSize, `a multiple of 4 * ${heads} heads`);
  }
  if (windowSize % (patchSize * mergeSize) !== 0) {
    throw section.error("window_size", windowSize, `a multiple of ${patchSize * mergeSize}`);
  }
  return {
    depth,
    hiddenSize,
    heads,
    headDim: hiddenSize / heads,
    intermediateSize: section.size("intermediate_size", 3420),
    outHiddenSize: section.size("out_hidden_size", 3584),
    inChannels,
    patchSize,
    temporalPatchSize,
    mergeSize,
    windowSize,
    fullAttentionBlocks,
    patchDim: inChannels * temporalPatchSize * patchSize ** 2,
  };
}

/**
 * Returns the tensors of a vision tower.
 *
 * @param attention the layers of a block's attention before its projection, with their rows as
 *   multiples of the hidden size: `{ q: 1, k: 1, v: 1 }` or `{ qkv: 3 }`.
 */
export function visionTensors(
  vision: WindowVisionConfig,
  attention: Readonly<Record<string, number>>,
): TensorEntry[] {
  const { hiddenSize, intermediateSize, patchSize, mergeSize } = vision;
  const kernel = [vision.inChannels, vision.temporalPatchSize, patchSize, patchSize];
  const part = { part: "vision" } as const;
  const joint = { part: "vision", joins: true } as const;
  const tensors: TensorEntry[] = [
    ["visual.patch_embed.proj.weight", { shape: [hiddenSize, ...kernel], ...part }],
  ];
  for (let i = 0; i < vision.depth; i++) {
    const block = `visual.blocks.${i}`;
    tensors.push(
      vectorTensor(`${block}.norm1.weight`, hiddenSize, part),
      ...Object.entries({ ...attention, proj: 1 }).flatMap(([layer, rows]) =>
        linearTensors(`${block}.attn.${layer}`, rows * hiddenSize, hiddenSize, part),
      ),
      vectorTensor(`${block}.norm2.weight`, hiddenSize, part),
      ...linearTensors(`${block}.mlp.gate_proj`, intermediateSize, hiddenSize, part),
      ...linearTensors(`${block}.mlp.up_proj`, intermediateSize, hiddenSize, part),
      ...linearTensors(`${block}.mlp.down_proj`, hiddenSize, intermediateSize, part),
    );
  }
  const merged = hiddenSize * mergeSize ** 2;
  tensors.push(
    vectorTensor("visual.merger.ln_q.weight", hiddenSize, joint),
    ...linearTensors("visual.merger.mlp.0", merged, merged, joint),
    ...linearTensors("visual.merger.mlp.2", vision.outHiddenSize, merged, joint),
  );
  return tensors;
}
