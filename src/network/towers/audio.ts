import { Extent } from "../../graph/extent.ts";
import type { Graph, Tensor } from "../../graph/graph.ts";
import { gelu } from "../../ops/activation.ts";
import { attention, type AttentionSegments } from "../../ops/attention.ts";
import { convPack, poolRows, type ConvWindows } from "../../ops/conv.ts";
import { addRows, NO_ROW } from "../../ops/rows.ts";
import { geluMlp, layerNormLayer, linearLayer } from "../layers.ts";
import type { Scope } from "../scope.ts";
import { blockSegments, segmentInputs } from "../segments.ts";
import type { Feed } from "../feed.ts";
import type { MelClip } from "../media.ts";
import { type AudioTower, featureExtent } from "../tower.ts";
import {
  audioTokens,
  layoutAudio,
  melColumns,
  MIN_AUDIO_FRAMES,
  type AudioLayout,
  type AudioLayoutConfig,
} from "./audio-layout.ts";

const EPS = 1e-5;
const TAPS = 3;

/** Shape of an audio tower of Whisper's form. */
export interface WhisperConfig extends AudioLayoutConfig {
  melBins: number;
  width: number;
  heads: number;
  headDim: number;
  layers: number;
  ffnSize: number;
  outputDim: number;
  /** Names of the norm and the projection after the pooling. */
  norm: string;
  projection: string;
  /** Name of the checkpoint's table of positions; left out where they are sinusoids. */
  positions?: string;
}

/** Inputs of the audio tower in a graph. */
interface AudioInputs {
  /** [frames, melBins] f32 log-mel, clips one after the other, only the frames that count. */
  mel: Tensor;
  conv1: ConvWindows;
  conv2: ConvWindows;
  /** [positions, width] f32 sinusoids, where the checkpoint has no table of positions. */
  sinusoids?: Tensor;
  /** [rows, 1] u32 the position of each convolved row. */
  place: Tensor;
  chunks: AttentionSegments;
  /** [features, 1] u32 first row of each pooled pair, and the pair of each row. */
  pairs: Tensor;
  pairOf: Tensor;
}

/**
 * Returns the extents of the audio tower: mel frames, rows after the convolutions, feature rows.
 */
function audioExtents(config: WhisperConfig): {
  frames: Extent;
  rows: Extent;
  features: Extent;
} {
  const { melBins, width, ffnSize, outputDim } = config;
  return {
    frames: new Extent("frames", 4 * Math.max(TAPS * melBins, width)),
    rows: new Extent("audioRows", 4 * Math.max(TAPS * width, ffnSize)),
    features: featureExtent("audio", 4 * Math.max(width, outputDim)),
  };
}

/** Declares the inputs of the audio tower. */
function audioInputs(graph: Graph, config: WhisperConfig): AudioInputs {
  const { frames, rows, features } = audioExtents(config);
  return {
    mel: graph.input("audio.mel", frames, config.melBins),
    conv1: {
      index: graph.input("audio.conv1.index", frames, TAPS, "u32"),
      inverse: graph.input("audio.conv1.inverse", frames, TAPS, "u32"),
    },
    conv2: {
      index: graph.input("audio.conv2.index", rows, TAPS, "u32"),
      inverse: graph.input("audio.conv2.inverse", frames, TAPS, "u32"),
    },
    ...(config.positions === undefined && {
      sinusoids: graph.input("audio.sinusoids", config.chunkFrames / 2, config.width),
    }),
    place: graph.input("audio.place", rows, 1, "u32"),
    chunks: segmentInputs(graph, "audio.chunks", rows),
    pairs: graph.input("audio.pairs", features, 1, "u32"),
    pairOf: graph.input("audio.pairOf", rows, 1, "u32"),
  };
}

/**
 * Sinusoidal positions: sin(p g_k) in the first half, cos(p g_k) in the second.
 *
 * Frequencies and angles in float32 as in transformers 4.57.6 `SinusoidsPositionEmbedding`.
 */
function sinusoidTable(positions: number, width: number): Float32Array<ArrayBuffer> {
  const half = width / 2;
  const step = Math.log(10000) / (half - 1);
  const table = new Float32Array(positions * width);
  for (let k = 0; k < half; k++) {
    const frequency = Math.fround(Math.exp(Math.fround(-step * k)));
    for (let p = 0; p < positions; p++) {
      const angle = Math.fround(p * frequency);
      table[p * width + k] = Math.sin(angle);
      table[p * width + half + k] = Math.cos(angle);
    }
  }
  return table;
}

/** Taps of a convolution of kernel 3 and padding 1 inside each chunk, and their inverse. */
function windows(
  chunks: readonly { from: number; columns: number; to: number; rows: number }[],
  stride: number,
): { index: Uint32Array; inverse: Uint32Array } {
  const last = chunks.at(-1);
  const inputs = last === undefined ? 0 : last.from + last.columns;
  const outputs = last === undefined ? 0 : last.to + last.rows;
  const index = new Uint32Array(outputs * TAPS).fill(NO_ROW);
  const inverse = new Uint32Array(inputs * TAPS).fill(NO_ROW);
  const used = new Uint8Array(inputs);
  for (const { from, columns, to, rows } of chunks) {
    for (let row = 0; row < rows; row++) {
      for (let tap = 0; tap < TAPS; tap++) {
        const frame = row * stride + tap - 1;
        if (frame < 0 || frame >= columns) continue;
        const place = (to + row) * TAPS + tap;
        index[place] = from + frame;
        inverse[(from + frame) * TAPS + used[from + frame]!++] = place;
      }
    }
  }
  return { index, inverse };
}

/** Makes what the host feeds the tower for a list of clips, packed in their order. */
function audioFeed(config: WhisperConfig, clips: readonly MelClip[]): Feed {
  const layout = layoutAudio(
    clips.map(({ frames }) => frames),
    config,
  );
  const mel = new Float32Array(layout.columns * config.melBins);
  clips.forEach((clip, i) => transposeInto(mel, layout.clips[i]!, clip.data, config.melBins));
  const chunks = layout.chunks.map(({ clip, frameStart, columns, rowStart, rows }) => ({
    ...{ from: layout.clips[clip]!.columnStart + frameStart, columns, to: rowStart, rows },
  }));
  const conv1 = windows(
    chunks.map(({ from, columns }) => ({ from, columns, to: from, rows: columns })),
    1,
  );
  const conv2 = windows(chunks, 2);
  const attention = blockSegments(layout.segments);
  return {
    inputs: {
      "audio.mel": mel,
      "audio.conv1.index": conv1.index,
      "audio.conv1.inverse": conv1.inverse,
      "audio.conv2.index": conv2.index,
      "audio.conv2.inverse": conv2.inverse,
      ...(config.positions === undefined && {
        "audio.sinusoids": sinusoidTable(config.chunkFrames / 2, config.width),
      }),
      "audio.place": places(layout),
      "audio.chunks.segments": attention.segments,
      "audio.chunks.keyRanges": attention.keyRanges,
      "audio.pairs": layout.pairs,
      "audio.pairOf": pairOf(layout),
    },
    sizes: { frames: layout.columns, audioRows: layout.rows, audioFeatures: layout.features },
    scalars: { audioPairs: attention.pairs },
  };
}

/** Turns a log-mel, [melBins, at least columns], into the rows of frames that the tower reads. */
function transposeInto(
  target: Float32Array,
  { columnStart, columns }: { columnStart: number; columns: number },
  mel: Float32Array,
  bins: number,
): void {
  const given = mel.length / bins;
  for (let bin = 0; bin < bins; bin++) {
    for (let t = 0; t < columns; t++) {
      target[(columnStart + t) * bins + bin] = mel[bin * given + t]!;
    }
  }
}

/** Position of every convolved row: it starts again at 0 in each chunk. */
function places(layout: AudioLayout): Uint32Array {
  const place = new Uint32Array(layout.rows);
  for (const { rowStart, rows } of layout.chunks) {
    for (let i = 0; i < rows; i++) place[rowStart + i] = i;
  }
  return place;
}

function pairOf(layout: AudioLayout): Uint32Array {
  const pairs = new Uint32Array(layout.rows).fill(NO_ROW);
  layout.pairs.forEach((first, pair) => pairs.fill(pair, first, first + 2));
  return pairs;
}

/**
 * Returns an audio tower of Whisper's form: convolutions and layers, pooled in pairs and projected.
 */
export function whisper(config: WhisperConfig): AudioTower {
  const { melBins, maxFrames } = config;
  return {
    ...{ melBins, minFrames: MIN_AUDIO_FRAMES, maxFrames },
    columns: (frames) => melColumns(frames, config),
    tokens: audioTokens,
    rows: audioExtents(config).features,
    deep: 0,
    trace(scope, [into] = []) {
      const inputs = audioInputs(scope.graph, config);
      const { positions } = config;
      const places = positions === undefined ? inputs.sinusoids! : scope.weight(positions);
      const pooled = traceWhisper(scope, config, inputs, places);
      const normed = layerNormLayer(scope, config.norm, pooled, EPS);
      return [linearLayer(scope, config.projection, normed, { into })];
    },
    feed: (prompts) =>
      audioFeed(
        config,
        prompts.flatMap(({ mel }) => mel),
      ),
  };
}

/**
 * Returns the convolutions, layers and pooling of an audio tower: log-mel frames become about 25
 * rows a second.
 *
 * Convolutions, positions and attention never leave a chunk. Returns [features, width] f32.
 *
 * @param positions [positions, width] f32.
 * Source: transformers 4.57.6 `Qwen2_5OmniAudioEncoder`, `Qwen2AudioEncoder`.
 */
function traceWhisper(
  scope: Scope,
  config: WhisperConfig,
  inputs: AudioInputs,
  positions: Tensor,
): Tensor {
  const { graph } = scope;
  const { heads, headDim } = config;
  const wide = convPack(graph, inputs.mel, inputs.conv1);
  const first = gelu(graph, linearLayer(scope, "audio_tower.conv1", wide));
  const strided = convPack(graph, first, inputs.conv2);
  const second = gelu(graph, linearLayer(scope, "audio_tower.conv2", strided));
  let x = addRows(graph, second, positions, inputs.place);
  for (let layer = 0; layer < config.layers; layer++) {
    const name = `audio_tower.layers.${layer}`;
    const n = layerNormLayer(scope, `${name}.self_attn_layer_norm`, x, EPS);
    const q = linearLayer(scope, `${name}.self_attn.q_proj`, n);
    const k = linearLayer(scope, `${name}.self_attn.k_proj`, n);
    const v = linearLayer(scope, `${name}.self_attn.v_proj`, n);
    const layout = { heads, kvHeads: heads, headDim, visible: "audioPairs" };
    const mixed = attention(graph, { q, k, v }, inputs.chunks, layout);
    const attended = linearLayer(scope, `${name}.self_attn.out_proj`, mixed, { residual: x });
    const m = layerNormLayer(scope, `${name}.final_layer_norm`, attended, EPS);
    x = geluMlp(scope, [`${name}.fc1`, `${name}.fc2`], m, attended);
  }
  return poolRows(graph, x, inputs.pairs, inputs.pairOf);
}
