import { NO_ROW } from "../../ops/rows.ts";
import { mropeTable } from "../rotary.ts";
import { treeSegments } from "../segments.ts";
import type { ModelConfig } from "../config.ts";
import type { Feed } from "../feed.ts";
import type { PromptTokens } from "../media.ts";

/** Label of a row that predicts nothing. */
export const IGNORE = -100;

/** Tokens that continue a prompt; branches of one tree do not see each other. */
export interface Branch {
  /** Target that the prompt's last row predicts for this branch, if any. */
  first?: number;
  ids: ArrayLike<number>;
  /** For each of `ids` the token that its row predicts, or `IGNORE`. */
  labels: ArrayLike<number>;
}

/** One prompt with the branches that continue it. */
export interface Tree {
  prompt: PromptTokens;
  /** For each prompt row a token that it is to predict, or `IGNORE`. */
  promptLabels?: ArrayLike<number>;
  branches: readonly Branch[];
}

/** Returns a completion as a branch: every token is predicted, the last one is not fed. */
export function completionBranch(completion: readonly number[]): Branch {
  return { first: completion[0]!, ids: completion.slice(0, -1), labels: completion.slice(1) };
}

/** A token whose probability a pass is to give: the packed row that predicts it, and its id. */
export interface LossRow {
  row: number;
  target: number;
}

/** Trees packed into one sequence of rows. */
export interface PackedTrees {
  tokens: number;
  /** First row of every tree. */
  starts: number[];
  ids: Uint32Array;
  /** [3, tokens] positions. */
  positions: Int32Array;
  /** Packed rows of vision and audio features, in the order of the features. */
  visionRows: Uint32Array;
  audioRows: Uint32Array;
  /** Predicted tokens, tree by tree: those of the prompt, then branch by branch. */
  lossRows: LossRow[];
  /** Tokens of every tree's prompt and branches, and its feature rows. */
  shapes: { prompt: number; branches: number[]; vision: number; audio: number }[];
}

/** Tokens that a tree takes in a packed pass. */
export function treeTokens({ prompt, branches }: Tree): number {
  return branches.reduce((sum, { ids }) => sum + ids.length, prompt.inputIds.length);
}

/**
 * Packs trees: every prompt once, then its branches, whose positions start at the prompt's `nextPos`.
 */
export function packTrees(trees: readonly Tree[]): PackedTrees {
  const tokens = trees.reduce((sum, tree) => sum + treeTokens(tree), 0);
  const count = (rows: "visionRows" | "audioRows") =>
    trees.reduce((sum, { prompt }) => sum + prompt[rows].length, 0);
  const packed: PackedTrees = {
    tokens,
    starts: [],
    ids: new Uint32Array(tokens),
    positions: new Int32Array(3 * tokens),
    visionRows: new Uint32Array(count("visionRows")),
    audioRows: new Uint32Array(count("audioRows")),
    lossRows: [],
    shapes: trees.map(({ prompt, branches }) => ({
      prompt: prompt.inputIds.length,
      branches: branches.map(({ ids }) => ids.length),
      vision: prompt.visionRows.length,
      audio: prompt.audioRows.length,
    })),
  };
  let row = 0;
  let vision = 0;
  let audio = 0;
  for (const { prompt, promptLabels, branches } of trees) {
    const length = prompt.inputIds.length;
    packed.starts.push(row);
    packed.ids.set(prompt.inputIds, row);
    for (let axis = 0; axis < 3; axis++) {
      const part = prompt.positions.subarray(axis * length, (axis + 1) * length);
      packed.positions.set(part, axis * tokens + row);
    }
    for (const feature of prompt.visionRows) packed.visionRows[vision++] = row + feature;
    for (const feature of prompt.audioRows) packed.audioRows[audio++] = row + feature;
    addLabels(packed.lossRows, promptLabels ?? [], row);
    row += length;
    const last = row - 1;
    for (const { first, ids, labels } of branches) {
      if (first !== undefined) packed.lossRows.push({ row: last, target: first });
      addLabels(packed.lossRows, labels, row);
      for (let i = 0; i < ids.length; i++) {
        packed.ids[row + i] = ids[i]!;
        for (let axis = 0; axis < 3; axis++) {
          packed.positions[axis * tokens + row + i] = prompt.nextPos + i;
        }
      }
      row += ids.length;
    }
  }
  return packed;
}

function addLabels(lossRows: LossRow[], labels: ArrayLike<number>, first: number): void {
  for (let i = 0; i < labels.length; i++) {
    if (labels[i] !== IGNORE) lossRows.push({ row: first + i, target: labels[i]! });
  }
}

/** Groups rows 0 .. index.length-1 by their index: order within a group is ascending. */
function groupRows(
  index: ArrayLike<number>,
  groups: number,
): { order: Uint32Array; start: Uint32Array } {
  const start = new Uint32Array(groups + 1);
  for (let i = 0; i < index.length; i++) start[index[i]! + 1]!++;
  for (let i = 0; i < groups; i++) start[i + 1]! += start[i]!;
  const next = start.slice();
  const order = new Uint32Array(index.length);
  for (let i = 0; i < index.length; i++) order[next[index[i]!]!++] = i;
  return { order, start };
}

/** Text tokens grouped by id, ascending, for the gradient of the embedding; `order` is padded. */
function tokenBuckets(ids: Uint32Array): {
  order: Uint32Array;
  start: Uint32Array;
  token: Uint32Array;
} {
  const order = Uint32Array.from(ids.keys())
    .filter((row) => ids[row] !== NO_ROW)
    .sort((a, b) => ids[a]! - ids[b]! || a - b);
  const start: number[] = [];
  const token: number[] = [];
  order.forEach((row, place) => {
    if (token.at(-1) === ids[row]) return;
    token.push(ids[row]!);
    start.push(place);
  });
  const padded = new Uint32Array(ids.length).fill(NO_ROW);
  padded.set(order);
  return {
    order: padded,
    start: Uint32Array.from([...start, order.length]),
    token: Uint32Array.from(token),
  };
}

/** The first row of a tree's features in the feature tensors. */
export interface FeatureOffset {
  vision: number;
  audio: number;
}

/**
 * Says which feature every placeholder takes, and which row every held feature goes to, or
 * `NO_ROW`.
 */
function spliceRows(
  packed: PackedTrees,
  kind: "vision" | "audio",
  offsets: readonly FeatureOffset[] | undefined,
): { source: Uint32Array; destination: Uint32Array } {
  const rows = kind === "vision" ? packed.visionRows : packed.audioRows;
  const source = new Uint32Array(packed.tokens).fill(NO_ROW);
  const features = new Uint32Array(rows.length);
  let at = 0;
  packed.shapes.forEach((shape, tree) => {
    const first = offsets === undefined ? at : offsets[tree]![kind];
    for (let i = 0; i < shape[kind]; i++) features[at++] = first + i;
  });
  const held = features.reduce((most, feature) => Math.max(most, feature + 1), 0);
  const destination = new Uint32Array(held).fill(NO_ROW);
  rows.forEach((row, i) => {
    source[row] = features[i]!;
    destination[features[i]!] = row;
  });
  return { source, destination };
}

/**
 * Makes what the host feeds the decoder for packed trees.
 *
 * @param offsets where each tree's features begin, when the features of more trees are held; no two
 *   trees of a pass may take the same features.
 */
export function packedFeed(
  config: ModelConfig,
  packed: PackedTrees,
  offsets?: readonly FeatureOffset[],
): Feed {
  const { tokens, lossRows } = packed;
  const ids = packed.ids.slice();
  for (const row of packed.visionRows) ids[row] = NO_ROW;
  for (const row of packed.audioRows) ids[row] = NO_ROW;
  const vision = spliceRows(packed, "vision", offsets);
  const audio = spliceRows(packed, "audio", offsets);
  const buckets = tokenBuckets(ids);
  const segments = treeSegments(packed.shapes);
  const index = Uint32Array.from(lossRows, ({ row }) => row);
  const groups = groupRows(index, tokens);
  const { rotaryAxes, ropeTheta } = config.text;
  return {
    inputs: {
      "text.ids": ids,
      ...(config.vision && {
        "text.visionSource": vision.source,
        "text.visionRows": vision.destination,
      }),
      ...(config.audio && {
        "text.audioSource": audio.source,
        "text.audioRows": audio.destination,
      }),
      "text.buckets.order": buckets.order,
      "text.buckets.start": buckets.start,
      "text.buckets.token": buckets.token,
      "text.table": mropeTable(packed.positions, tokens, rotaryAxes, ropeTheta),
      "text.segments": segments.segments,
      "text.keyRanges": segments.keyRanges,
      "loss.index": index,
      "loss.order": groups.order,
      "loss.start": groups.start,
      "loss.target": Uint32Array.from(lossRows, ({ target }) => target),
    },
    sizes: {
      tokens,
      buckets: buckets.token.length,
      bucketEnds: buckets.start.length,
      tokenEnds: tokens + 1,
      lossRows: lossRows.length,
      ...(config.vision && { cells: vision.destination.length }),
      ...(config.audio && { audioFeatures: audio.destination.length }),
    },
    scalars: { textPairs: segments.pairs },
  };
}
