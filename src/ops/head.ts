import { assert } from "../core/errors.ts";
import { logitBackwardKernel, logitFinishKernel, logitStatsKernel } from "../kernels/logits.ts";
import { chooseMatmul } from "../kernels/choose.ts";
import { evaluate, type Environment, type Value } from "../graph/extent.ts";
import type { Chunk, ChunkBinding, Graph, Lowering, Op, Tensor, Tensors } from "../graph/graph.ts";

/** Rows and vocabulary columns of a tile of logits: all of the logits that is ever held. */
const TILE_ROWS = 1024;
const TILE_COLS = 8192;

/** A block of loss rows against a block of the vocabulary. */
interface Tile {
  chunk: Chunk;
  /** First row within the chunk, a multiple of 64 so that byte offsets are aligned. */
  firstRow: number;
  rows: Value;
  /** Maximum of rows that the tile can have. */
  capacity: number;
  weight: ChunkBinding;
  /** First vocabulary row, and how many. */
  first: number;
  cols: number;
}

/** Cuts rows and vocabulary into tiles; the tiles of one row block follow one another. */
function* tiles(to: Lowering, h: Tensor, weight: Tensor, tile: Tensor): Generator<Tile> {
  const [block] = to.chunks(tile);
  // At least 64 rows, so that the row offsets of bindings are aligned; a small limit narrows the tile.
  const tileRows = Math.max(64, block.capacity - (block.capacity % 64));
  const room = Math.floor((block.capacity * tile.width) / tileRows);
  // Likewise for the weight's rows, of any storage: 64 rows of whole words are 256 bytes.
  const tileCols = room < tile.width ? Math.max(64, room - (room % 64)) : tile.width;
  for (const chunk of to.chunks(h)) {
    for (let firstRow = 0; firstRow < chunk.capacity; firstRow += tileRows) {
      const rows = (environment: Environment) =>
        Math.max(0, Math.min(tileRows, evaluate(chunk.rows, environment) - firstRow));
      for (const part of to.chunks(weight)) {
        for (let within = 0; within < part.capacity; within += tileCols) {
          yield {
            chunk,
            firstRow,
            rows,
            capacity: Math.min(tileRows, chunk.capacity - firstRow),
            weight: { tensor: weight, chunk: part.index, firstRow: within },
            first: part.first + within,
            cols: Math.min(tileCols, part.capacity - within),
          };
        }
      }
    }
  }
}

const bind = (tensor: Tensor, { chunk, firstRow }: Tile): ChunkBinding => ({
  tensor,
  chunk: chunk.index,
  firstRow,
});

const tileFlops =
  ({ rows, cols }: Tile, width: number) =>
  (environment: Environment) =>
    2 * evaluate(rows, environment) * cols * width;

/** Returns the sizes of a tile's product, whichever way; the tile of logits is as wide as its columns. */
function productOf({ rows, cols }: Tile, { width }: Tensor) {
  return { m: rows, n: cols, k: width, yStride: cols, yOffset: 0 };
}

const sizeOf = ({ capacity, cols }: Tile, h: Tensor) => ({ m: capacity, n: cols, k: h.width });

/** Recomputes one tile of logits into the tile buffer. */
function logits(to: Lowering, tile: Tile, h: Tensor, weight: Tensor, buffer: Tensor): void {
  const x = bind(h, tile);
  const { kernel, consts } = chooseMatmul(to.profile, "nt", sizeOf(tile, h));
  to.dispatch({
    kernel,
    consts,
    library: { weight: weight.type },
    buffers: { x, weight: tile.weight, bias: x, residual: x, y: { tensor: buffer, chunk: 0 } },
    params: { ...productOf(tile, h), scale: weight.parameter?.scale ?? 1 },
    flops: tileFlops(tile, h.width),
  });
}

function backwardOp(
  inverseTemperature: Value,
): Op<
  Tensors<"h" | "weight" | "target" | "out" | "gradient">,
  Tensors<"dh" | "buffer"> & { dweight?: Tensor | undefined }
> {
  return {
    name: "log-prob-backward",
    lower({ h, weight, target, out, gradient }, { dh, buffer, dweight }, to) {
      for (const tile of tiles(to, h, weight, buffer)) {
        logits(to, tile, h, weight, buffer);
        const block = { tensor: buffer, chunk: 0 };
        const size = sizeOf(tile, h);
        const inputGradient = chooseMatmul(to.profile, "nn", size);
        to.dispatch({
          kernel: logitBackwardKernel,
          buffers: {
            logits: block,
            targets: bind(target, tile),
            out: bind(out, tile),
            grad: bind(gradient, tile),
          },
          params: {
            rows: tile.rows,
            cols: tile.cols,
            first: tile.first,
            invTemperature: inverseTemperature,
          },
        });
        to.dispatch({
          kernel: inputGradient.kernel,
          consts: { ...inputGradient.consts, ACCUMULATE: tile.first > 0 },
          library: { weight: weight.type },
          buffers: { dy: block, weight: tile.weight, dx: bind(dh, tile) },
          params: { ...productOf(tile, h), scale: weight.parameter?.scale ?? 1 },
          flops: tileFlops(tile, h.width),
        });
        if (dweight === undefined) continue;
        const weightGradient = chooseMatmul(to.profile, "tn", size);
        to.dispatch({
          kernel: weightGradient.kernel,
          consts: { ...weightGradient.consts, ACCUMULATE: true },
          buffers: {
            dy: block,
            x: bind(h, tile),
            partial: gradientRows(to, dweight, tile),
          },
          params: { ...productOf(tile, h), rowsPerSplit: TILE_ROWS, splits: 1 },
          flops: tileFlops(tile, h.width),
        });
      }
    },
  };
}

/** Returns the binding that starts at a vocabulary row of the weight's gradient. */
function gradientRows(to: Lowering, gradient: Tensor, { first, cols }: Tile): ChunkBinding {
  const chunk = to.chunks(gradient).findLast((candidate) => candidate.first <= first)!;
  const firstRow = first - chunk.first;
  // Holds while weight and gradient are cut alike, as storages of one element type are.
  assert(firstRow + cols <= chunk.capacity, `a tile straddles chunks of ${gradient.name}`);
  return { tensor: gradient, chunk: chunk.index, firstRow };
}

function logProbOp(
  inverseTemperature: Value,
): Op<Tensors<"h" | "weight" | "target">, Tensors<"out" | "running" | "buffer">> {
  return {
    name: "log-prob",
    lower({ h, weight, target }, { out, running, buffer }, to) {
      for (const tile of tiles(to, h, weight, buffer)) {
        logits(to, tile, h, weight, buffer);
        to.dispatch({
          kernel: logitStatsKernel,
          buffers: {
            logits: { tensor: buffer, chunk: 0 },
            targets: bind(target, tile),
            running: bind(running, tile),
          },
          params: {
            rows: tile.rows,
            cols: tile.cols,
            first: tile.first,
            invTemperature: inverseTemperature,
            reset: tile.first === 0 ? 1 : 0,
          },
        });
      }
      for (const chunk of to.chunks(out)) {
        to.dispatch({
          kernel: logitFinishKernel,
          buffers: {
            running: { tensor: running, chunk: chunk.index },
            out: { tensor: out, chunk: chunk.index },
          },
          params: { rows: chunk.rows },
        });
      }
    },
    backward({ h, weight, target }, { out }, tape) {
      const { graph } = tape;
      const dh = graph.value("dh", h.rows, h.width);
      const buffer = logitTile(graph, weight);
      const dweight = tape.needs(weight) ? tape.parameterGradient(weight) : undefined;
      const inputs = { h, weight, target, out, gradient: tape.gradient(out) };
      graph.add(backwardOp(inverseTemperature), inputs, { dh, buffer, dweight });
      tape.add(h, dh);
    },
  };
}

function logitTile(graph: Graph, weight: Tensor): Tensor {
  return graph.value("logit-tile", TILE_ROWS, Math.min(TILE_COLS, weight.rows as number));
}

/**
 * Log-probabilities of given tokens under the output head, without ever holding all logits.
 *
 * h: [rows, width] f32; weight: [vocabulary, width]; target: [rows, 1] u32. Returns [rows, 3] f32:
 * log-probability of the target, log-sum-exp and entropy of softmax(logits * inverseTemperature).
 * Its gradient has the shape [rows, 2]: by log-probability and by entropy; the backward pass
 * recomputes each tile of logits (Liger-Kernel's chunked selective log-softmax).
 */
export function logProb(
  graph: Graph,
  h: Tensor,
  weight: Tensor,
  target: Tensor,
  inverseTemperature: Value = 1,
): Tensor {
  const out = graph.value("log-prob", h.rows, 3);
  const running = graph.value("running-stats", h.rows, 4);
  const buffer = logitTile(graph, weight);
  graph.add(logProbOp(inverseTemperature), { h, weight, target }, { out, running, buffer });
  return out;
}
