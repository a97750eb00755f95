import { DataError } from "../../core/errors.ts";
import type { PatchGrid } from "../media.ts";

/** The constants of a vision tower on which its layout depends. */
export interface VisionLayoutConfig {
  /** Pixels along the side of a patch. */
  patchSize: number;
  /** Patches along the side of a merge cell. */
  mergeSize: number;
  /** Pixels along the side of an attention window. */
  windowSize: number;
}

/** How the vision tower walks over pictures and videos packed into N patches. */
export interface VisionLayout {
  /** Number of patches, N. */
  patches: number;
  /** Number of merge cells, and so of feature rows: N / mergeSize^2. */
  cells: number;
  /** [cells] the cell that stands at each place in window order: `ordered[i] = x[order[i]]`. */
  order: Uint32Array<ArrayBuffer>;
  /** [cells] the place of each cell in window order: `x[j] = ordered[inverse[j]]`. */
  inverse: Uint32Array<ArrayBuffer>;
  /** Bounds of the windows in patches, in window order; starts with 0 and ends with N. */
  windows: Uint32Array<ArrayBuffer>;
  /** Bounds of the temporal slices in patches: the segments of full attention. */
  slices: Uint32Array<ArrayBuffer>;
  /** [N, 2] row and column of every patch within its frame, in the order of the patches. */
  coordinates: Uint32Array<ArrayBuffer>;
}

/**
 * Partitions pictures and videos into attention windows.
 *
 * Patches come cell by cell, so a permutation of cells moves mergeSize^2 consecutive rows. Windows
 * at the edges are smaller, never padded. A window lies within one temporal slice, so the bounds of
 * the slices hold in window order too.
 *
 * @param grids - temporal slices, rows and columns in patches; rows and columns in whole cells.
 * @throws {DataError} `bad-grid`.
 * Source: transformers 4.57.6, Qwen2_5OmniVisionEncoder.get_window_index.
 */
export function layoutVision(
  grids: readonly PatchGrid[],
  config: VisionLayoutConfig,
): VisionLayout {
  const { mergeSize } = config;
  const perCell = mergeSize ** 2;
  const side = Math.floor(config.windowSize / mergeSize / config.patchSize);
  for (const grid of grids) checkGrid(grid, mergeSize);
  const cells = grids.reduce((sum, [t, h, w]) => sum + (t * h * w) / perCell, 0);
  const order = new Uint32Array(cells);
  const coordinates = new Uint32Array(2 * cells * perCell);
  const windows = [0];
  const slices = [0];
  let base = 0;
  let placed = 0;
  for (const [t, h, w] of grids) {
    const rows = h / mergeSize;
    const columns = w / mergeSize;
    for (let slice = 0; slice < t; slice++, base += rows * columns) {
      writeCoordinates(coordinates.subarray(2 * base * perCell), rows, columns, mergeSize);
      for (let top = 0; top < rows; top += side) {
        for (let left = 0; left < columns; left += side) {
          for (let y = top; y < Math.min(top + side, rows); y++) {
            for (let x = left; x < Math.min(left + side, columns); x++) {
              order[placed++] = base + y * columns + x;
            }
          }
          windows.push(placed * perCell);
        }
      }
      slices.push(placed * perCell);
    }
  }
  const inverse = new Uint32Array(cells);
  order.forEach((cell, place) => (inverse[cell] = place));
  return {
    patches: cells * perCell,
    cells,
    order,
    inverse,
    windows: Uint32Array.from(windows),
    slices: Uint32Array.from(slices),
    coordinates,
  };
}

/** Row and column of the patches of one slice: cell by cell, row by row within a cell. */
function writeCoordinates(out: Uint32Array, rows: number, columns: number, merge: number): void {
  let i = 0;
  for (let cell = 0; cell < rows * columns; cell++) {
    for (let inner = 0; inner < merge * merge; inner++) {
      out[i++] = Math.floor(cell / columns) * merge + Math.floor(inner / merge);
      out[i++] = (cell % columns) * merge + (inner % merge);
    }
  }
}

function checkGrid([t, h, w]: PatchGrid, mergeSize: number): void {
  const whole = [t, h / mergeSize, w / mergeSize].every((n) => Number.isInteger(n) && n > 0);
  if (whole) return;
  throw new DataError("bad-grid", `A grid is [${t}, ${h}, ${w}] patches.`, {
    hint: `Rows and columns must be multiples of ${mergeSize}; resize frames with smartResize.`,
  });
}
