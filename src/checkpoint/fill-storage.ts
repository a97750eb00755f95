import { CheckpointError } from "../core/errors.ts";
import type { Storage } from "../graph/storage.ts";
import { allFiniteAgain } from "./finite.ts";
import type { TensorStore } from "./safetensors.ts";

/** Bytes that are in host memory at a time, unless one row is longer. */
const SLICE_BYTES = 16 * 2 ** 20;

/** Returns the rows of a matrix in slices of about 16 MiB of f32: first row and how many. */
export function* slicesOf({ rows, width }: Pick<Storage, "rows" | "width">): Generator<{
  first: number;
  count: number;
}> {
  const step = Math.max(1, Math.floor(SLICE_BYTES / (4 * Math.max(1, width))));
  for (let first = 0; first < rows; first += step) {
    yield { first, count: Math.min(step, rows - first) };
  }
}

/**
 * Gives an f32 storage the values of a tensor in a file, bit for bit, slice by slice.
 *
 * @throws {CheckpointError} `missing-tensor`, `non-finite`, or `bad-state` when the tensor is not F32
 *   of this size.
 */
export async function fillStorage(
  store: TensorStore,
  name: string,
  storage: Storage,
): Promise<void> {
  const { rows, width } = storage;
  const info = store.tensors.get(name);
  if (info !== undefined && (info.dtype !== "F32" || info.bytes !== 4 * rows * width)) {
    throw new CheckpointError(
      "bad-state",
      `${store.name}: ${name} is ${info.dtype} of ${info.bytes} bytes; the run needs F32 of ${4 * rows * width}.`,
      { hint: "Resume with the model that the run was started with." },
    );
  }
  let scratch = new Uint8Array(0);
  for (const { first, count } of slicesOf(storage)) {
    const bytes = 4 * count * width;
    if (scratch.length < bytes) scratch = new Uint8Array(bytes);
    const into = scratch.subarray(0, bytes);
    await store.readInto(name, 4 * first * width, into);
    const values = new Float32Array(into.buffer, 0, count * width);
    storage.upload(allFiniteAgain(`${store.name}: ${name}`, values), first);
  }
}
