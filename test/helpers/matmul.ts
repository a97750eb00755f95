import { expect } from "vitest";
import type { Kernel } from "../../src/gpu/kernel.ts";
import { fuzz } from "./cases.ts";

/** m, n, k: multiples of nothing, single elements, the tiny model's, and random ones. */
export const SHAPES = [
  [1, 1, 1],
  [3, 7, 5],
  [33, 65, 64],
  [65, 33, 3],
  [7, 1000, 6],
  [100, 48, 144],
  ...fuzz(81, 3, [1, 150], [1, 150], [1, 150]),
] as [number, number, number][];

/** One case of a kernel: y is a part of a wider matrix. */
export interface MatmulCase {
  kernel: Kernel;
  shape: [number, number, number];
  consts?: Record<string, number | boolean>;
  weight?: "f32" | "f16s";
}

/** The part that is columns 3 .. 3 + n of n + 8; in millions of rows, the whole matrix. */
export function wide([m, n, k]: MatmulCase["shape"]): {
  m: number;
  n: number;
  k: number;
  yStride: number;
  yOffset: number;
} {
  return m > 65_535 ? { m, n, k, yStride: n, yOffset: 0 } : { m, n, k, yStride: n + 8, yOffset: 3 };
}

/** The tunables' smallest values, which overflow a grid with the least work. */
export function smallest(kernel: Kernel): Record<string, number> {
  return Object.fromEntries(
    Object.entries(kernel.tunables).map(([name, values]) => [
      name,
      Math.min(...values.map(Number)),
    ]),
  );
}

/** Rows that need a few more workgroups than 65,535 and leave a ragged end. */
export function rowsToOverflow(
  kernel: Kernel,
  consts: Record<string, number>,
  params: (rows: number) => Record<string, number>,
): number {
  const rows = (consts["TILE"] ?? consts["ROWS"]!) * 65_540 - (consts["ROWS"] === 1 ? 0 : 1);
  expect(kernel.grid(params(rows), consts)[1]).toBeGreaterThan(1);
  return rows;
}
