import type { DType16 } from "../core/convert16.ts";
import { CheckpointError } from "../core/errors.ts";
import { quoted } from "../core/quoted.ts";
import type { TensorStore } from "./safetensors.ts";

/** Types in which weights are stored. */
export type WeightDType = "F32" | DType16;

/** Values of weights: 16-bit types as their bits. */
export type WeightValues = Float32Array | Uint16Array;

/** The source of one weight: its form, and its values, some rows at a time. */
export interface WeightSource {
  readonly shape: readonly number[];
  readonly dtype: WeightDType;
  /**
   * Gives rows, which count along the first dimension.
   *
   * Ownership: the result lies in `scratch` or is the source's own; it is only read, and only until
   * `scratch` is used again.
   *
   * @param scratch room for these rows, aligned to 4 bytes.
   */
  rows(
    first: number,
    count: number,
    scratch: Uint8Array<ArrayBuffer>,
  ): WeightValues | Promise<WeightValues>;
}

/** Returns the matrix that a weight of any shape is stored as: [shape[0], product of the rest]. */
export function matrixShape(shape: readonly number[]): { rows: number; width: number } {
  return { rows: shape[0] ?? 1, width: shape.slice(1).reduce((a, b) => a * b, 1) };
}

/** Bytes of an element. */
export function elementBytes(dtype: WeightDType): number {
  return dtype === "F32" ? 4 : 2;
}

/** Bytes of a weight where it comes from. */
export function sourceBytes({ shape, dtype }: WeightSource): number {
  return shape.reduce((a, b) => a * b, elementBytes(dtype));
}

/**
 * Returns a tensor of a checkpoint, which is read as its rows are asked for.
 *
 * @throws {CheckpointError} `not-floating` for integers and other types that are no weights.
 */
export function storedSource(store: TensorStore, name: string): WeightSource {
  const { dtype, shape } = store.tensors.get(name)!;
  if (dtype !== "F32" && dtype !== "F16" && dtype !== "BF16") {
    throw new CheckpointError(
      "not-floating",
      `${store.name}: tensor ${quoted(name)} is ${dtype}; weights are read as F32, F16 and BF16.`,
      { hint: "Use a checkpoint that is not quantized." },
    );
  }
  const rowBytes = matrixShape(shape).width * elementBytes(dtype);
  return {
    shape,
    dtype,
    async rows(first, count, scratch) {
      const bytes = scratch.subarray(0, count * rowBytes);
      await store.readInto(name, first * rowBytes, bytes);
      const { buffer, byteOffset, length } = bytes;
      if (dtype === "F32") return new Float32Array(buffer, byteOffset, length / 4);
      return new Uint16Array(buffer, byteOffset, length / 2);
    },
  };
}

/** Values in memory, new random weights for instance. */
export function arraySource(shape: readonly number[], data: Float32Array): WeightSource {
  const { width } = matrixShape(shape);
  return {
    shape,
    dtype: "F32",
    rows: (first, count) => data.subarray(first * width, (first + count) * width),
  };
}
