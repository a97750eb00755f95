import type { Tensor } from "../../../src/graph/graph.ts";
import { attention } from "../../../src/ops/attention.ts";
import { rope } from "../../../src/ops/rope.ts";
import { geluMlp, layerNormLayer, linearLayer } from "../../../src/network/layers.ts";
import { rotary2dTable } from "../../../src/network/rotary.ts";
import type { Scope } from "../../../src/network/scope.ts";
import { blockSegments, segmentInputs } from "../../../src/network/segments.ts";
import {
  type AudioTower,
  featureExtent,
  type PictureShape,
  type VisionTower,
} from "../../../src/network/tower.ts";
import { layoutVision } from "../../../src/network/towers/vision-layout.ts";

/** Shape of the made-up vision tower: every block has features of its own for the decoder. */
export interface GlimpseVision extends PictureShape {
  depth: number;
  width: number;
  heads: number;
  outWidth: number;
}

/** Mel frames that the made-up audio tower takes for one row. */
export const FRAMES_PER_ROW = 5;

const EPS = 1e-6;

/** LayerNorms and full attention inside a temporal slice; block i also feeds decoder layer i. */
export function glimpseVision(config: GlimpseVision): VisionTower {
  const { inChannels, patchSize, temporalPatchSize, mergeSize, patchDim, depth, width } = config;
  const perCell = mergeSize ** 2;
  const rows = featureExtent("vision", 4 * perCell * Math.max(4 * width, patchDim));
  const headDim = width / config.heads;
  const merged = (scope: Scope, name: string, x: Tensor, into?: Tensor) => {
    const normed = layerNormLayer(scope, `${name}.norm`, x, EPS);
    return linearLayer(scope, `${name}.proj`, scope.graph.reshape(normed, perCell * width), {
      into,
    });
  };
  return {
    ...{ inChannels, patchSize, temporalPatchSize, mergeSize, patchDim, rows },
    deep: depth,
    trace(scope, into = []) {
      const { graph } = scope;
      const patches = rows.times(perCell);
      const table = graph.input("vision.table", patches, headDim);
      const slices = segmentInputs(graph, "vision.slices", patches);
      const shape = { heads: config.heads, kvHeads: config.heads, headDim, visible: "slicePairs" };
      let x = linearLayer(scope, "eye.patches", graph.input("vision.pixels", patches, patchDim));
      const deep: Tensor[] = [];
      for (let block = 0; block < depth; block++) {
        const name = `eye.blocks.${block}`;
        const n = layerNormLayer(scope, `${name}.norm1`, x, EPS);
        const q = rope(graph, linearLayer(scope, `${name}.q`, n), table, headDim);
        const k = rope(graph, linearLayer(scope, `${name}.k`, n), table, headDim);
        const v = linearLayer(scope, `${name}.v`, n);
        const mixed = attention(graph, { q, k, v }, slices, shape);
        const seen = linearLayer(scope, `${name}.o`, mixed, { residual: x });
        const m = layerNormLayer(scope, `${name}.norm2`, seen, EPS);
        x = geluMlp(scope, [`${name}.fc1`, `${name}.fc2`], m, seen);
        deep.push(merged(scope, `eye.deep.${block}`, x, into[1 + block]));
      }
      return [merged(scope, "eye.merger", x, into[0]), ...deep];
    },
    feed(prompts) {
      const grids = prompts.flatMap((prompt) => prompt.grids);
      const layout = layoutVision(grids, { patchSize, mergeSize, windowSize: 64 * patchSize });
      const slices = blockSegments(layout.slices);
      const pixels = new Float32Array(layout.patches * patchDim);
      let at = 0;
      for (const { patches } of prompts) {
        pixels.set(patches, at);
        at += patches.length;
      }
      return {
        inputs: {
          "vision.pixels": pixels,
          "vision.table": rotary2dTable(layout.coordinates, headDim),
          "vision.slices.segments": slices.segments,
          "vision.slices.keyRanges": slices.keyRanges,
        },
        sizes: { cells: layout.cells },
        scalars: { slicePairs: slices.pairs },
      };
    },
  };
}

/** No encoder: five mel frames side by side become a row through one linear layer. */
export function glimpseAudio(melBins: number, outWidth: number): AudioTower {
  const width = FRAMES_PER_ROW * melBins;
  const rows = featureExtent("audio", 4 * Math.max(width, outWidth));
  const tokens = (frames: number) => Math.ceil(frames / FRAMES_PER_ROW);
  return {
    ...{ melBins, minFrames: 1, maxFrames: Infinity, rows, tokens },
    columns: (frames) => frames,
    deep: 0,
    trace: (scope, [into] = []) => [
      linearLayer(scope, "ear.proj", scope.graph.input("audio.mel", rows, width), { into }),
    ],
    feed(prompts) {
      const clips = prompts.flatMap(({ mel }) => mel);
      const count = clips.reduce((sum, { frames }) => sum + tokens(frames), 0);
      const values = new Float32Array(count * width);
      let first = 0;
      for (const { data, frames } of clips) {
        for (let t = 0; t < frames; t++) {
          for (let bin = 0; bin < melBins; bin++) {
            values[first + t * melBins + bin] = data[bin * frames + t]!;
          }
        }
        first += tokens(frames) * width;
      }
      return { inputs: { "audio.mel": values }, sizes: { audioFeatures: count }, scalars: {} };
    },
  };
}
