import type { Extent } from "../../graph/extent.ts";
import type { Graph, Tensor } from "../../graph/graph.ts";
import { attention, type AttentionSegments } from "../../ops/attention.ts";
import { rope } from "../../ops/rope.ts";
import { permuteRows } from "../../ops/rows.ts";
import { gatedMlp, geluMlp, linearLayer, rmsNormLayer } from "../layers.ts";
import { rotary2dTable } from "../rotary.ts";
import type { Scope } from "../scope.ts";
import { blockSegments, segmentInputs } from "../segments.ts";
import type { Feed } from "../feed.ts";
import type { MediaTensors } from "../media.ts";
import { featureExtent, type PictureShape, type VisionTower } from "../tower.ts";
import { layoutVision } from "./vision-layout.ts";

const EPS = 1e-6;

/** Shape of a vision tower that attends inside windows, as Qwen2.5's does. */
export interface WindowVisionConfig extends PictureShape {
  depth: number;
  hiddenSize: number;
  heads: number;
  headDim: number;
  intermediateSize: number;
  outHiddenSize: number;
  /** Pixels along the side of an attention window. */
  windowSize: number;
  /** Blocks that attend over a whole temporal slice; the others attend inside windows. */
  fullAttentionBlocks: readonly number[];
}

/** Inputs of the vision tower in a graph. */
interface VisionInputs {
  /** [patches, patchDim] f32 in the processor's order. */
  pixels: Tensor;
  /** [cells, 1] u32: the cell at each place of the window order, and its inverse. */
  order: Tensor;
  inverse: Tensor;
  /** [patches, headDim] f32 rotary table, in window order. */
  table: Tensor;
  windows: AttentionSegments;
  slices: AttentionSegments;
}

/**
 * Returns the extent of merge cells, which are the rows of features; patches are four times as
 * many.
 */
function visionCells(config: WindowVisionConfig): Extent {
  const { hiddenSize, intermediateSize, patchDim, outHiddenSize, mergeSize } = config;
  const perCell = mergeSize ** 2;
  // Queries, keys and values are one tensor where a family stores their layer fused.
  const widest = perCell * Math.max(3 * hiddenSize, intermediateSize, patchDim);
  return featureExtent("vision", 4 * Math.max(widest, outHiddenSize));
}

/** Declares the inputs of the vision tower. */
function visionInputs(graph: Graph, config: WindowVisionConfig): VisionInputs {
  const cells = visionCells(config);
  const patches = cells.times(config.mergeSize ** 2);
  return {
    pixels: graph.input("vision.pixels", patches, config.patchDim),
    order: graph.input("vision.order", cells, 1, "u32"),
    inverse: graph.input("vision.inverse", cells, 1, "u32"),
    table: graph.input("vision.table", patches, config.headDim),
    windows: segmentInputs(graph, "vision.windows", patches),
    slices: segmentInputs(graph, "vision.slices", patches),
  };
}

/**
 * Makes what the host feeds the tower for the pictures and videos of prompts, packed in their
 * order.
 */
function visionFeed(config: WindowVisionConfig, prompts: readonly MediaTensors[]): Feed {
  const layout = layoutVision(
    prompts.flatMap(({ grids }) => grids),
    config,
  );
  const perCell = config.mergeSize ** 2;
  const pixels = new Float32Array(layout.patches * config.patchDim);
  let at = 0;
  for (const { patches } of prompts) {
    pixels.set(patches, at);
    at += patches.length;
  }
  const coordinates = new Uint32Array(layout.patches * 2);
  layout.order.forEach((cell, place) => {
    const from = cell * perCell * 2;
    coordinates.set(layout.coordinates.subarray(from, from + perCell * 2), place * perCell * 2);
  });
  const windows = blockSegments(layout.windows);
  const slices = blockSegments(layout.slices);
  return {
    inputs: {
      "vision.pixels": pixels,
      "vision.order": layout.order,
      "vision.inverse": layout.inverse,
      "vision.table": rotary2dTable(coordinates, config.headDim),
      "vision.windows.segments": windows.segments,
      "vision.windows.keyRanges": windows.keyRanges,
      "vision.slices.segments": slices.segments,
      "vision.slices.keyRanges": slices.keyRanges,
    },
    sizes: { cells: layout.cells },
    scalars: { windowPairs: windows.pairs, slicePairs: slices.pairs },
  };
}

/** Queries, keys and values of a block's attention over the same rows. */
type Projections = Record<"q" | "k" | "v", Tensor>;

/**
 * Returns a vision tower with window attention.
 *
 * @param project traces the layers of a block's attention before its projection, by the name of the
 *   block's attention: families store them apart or fused.
 * Source: transformers 4.57.6 `Qwen2_5OmniVisionEncoder`.
 */
export function windowVision(
  config: WindowVisionConfig,
  project: (scope: Scope, name: string, x: Tensor) => Projections,
): VisionTower {
  const { inChannels, patchSize, temporalPatchSize, mergeSize, patchDim } = config;
  return {
    ...{ inChannels, patchSize, temporalPatchSize, mergeSize, patchDim },
    rows: visionCells(config),
    deep: 0,
    trace: (scope, [into] = []) => [
      traceVision(scope, config, visionInputs(scope.graph, config), project, into),
    ],
    feed: (prompts) => visionFeed(config, prompts),
  };
}

/**
 * Returns the vision tower: patches of pictures and videos become feature rows, one per merge cell.
 *
 * Rows go into window order once; every attention is inside windows or temporal slices; the merger's
 * rows go back to raster order. Returns [cells, outHiddenSize] f32, in the storage `into` when given.
 */
function traceVision(
  scope: Scope,
  config: WindowVisionConfig,
  inputs: VisionInputs,
  project: (scope: Scope, name: string, x: Tensor) => Projections,
  into?: Tensor,
): Tensor {
  const { graph } = scope;
  const perCell = config.mergeSize ** 2;
  const { heads, headDim, hiddenSize } = config;
  const embedded = linearLayer(scope, "visual.patch_embed.proj", inputs.pixels);
  const cells = graph.reshape(embedded, hiddenSize * perCell);
  const ordered = permuteRows(graph, cells, inputs.order, inputs.inverse);
  let x = graph.reshape(ordered, hiddenSize);
  for (let block = 0; block < config.depth; block++) {
    const name = `visual.blocks.${block}`;
    const full = config.fullAttentionBlocks.includes(block);
    const n = rmsNormLayer(scope, `${name}.norm1`, x, EPS);
    const projected = project(scope, `${name}.attn`, n);
    const q = rope(graph, projected.q, inputs.table, headDim);
    const k = rope(graph, projected.k, inputs.table, headDim);
    const mixed = attention(
      graph,
      { q, k, v: projected.v },
      full ? inputs.slices : inputs.windows,
      {
        heads,
        kvHeads: heads,
        headDim,
        visible: full ? "slicePairs" : "windowPairs",
      },
    );
    const attended = linearLayer(scope, `${name}.attn.proj`, mixed, { residual: x });
    const m = rmsNormLayer(scope, `${name}.norm2`, attended, EPS);
    x = gatedMlp(scope, `${name}.mlp`, m, attended);
  }
  const normed = rmsNormLayer(scope, "visual.merger.ln_q", x, EPS);
  const merged = geluMlp(
    scope,
    ["visual.merger.mlp.0", "visual.merger.mlp.2"],
    graph.reshape(normed, hiddenSize * perCell),
  );
  return permuteRows(graph, merged, inputs.inverse, inputs.order, into);
}
