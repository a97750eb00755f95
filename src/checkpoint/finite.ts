import { CheckpointError } from "../core/errors.ts";

/** The code of errors about values that are not finite. */
export const NON_FINITE = "non-finite";

const EXPONENT = 0x7f800000;

/** Returns the number of values that are infinite or NaN. */
function countNonFinite(values: Float32Array): number {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  let count = 0;
  // All exponent bits are set in these alone; a comparison of integers is faster than isFinite.
  for (let i = 0; i < bits.length; i++) if ((bits[i]! & EXPONENT) === EXPONENT) count++;
  return count;
}

/**
 * Returns values that are all finite.
 *
 * @throws {CheckpointError} `non-finite` naming the tensor.
 */
export function allFinite(name: string, values: Float32Array): Float32Array {
  const count = countNonFinite(values);
  if (count === 0) return values;
  const what = `${count} of ${values.length} values that were read of ${name} are not finite`;
  throw new CheckpointError(NON_FINITE, `${what}.`);
}

/**
 * Returns values of a checkpoint that a run is to go on from, all finite: training on would only
 * spread what is not.
 *
 * @param what the file and the tensor.
 * @throws {CheckpointError} `non-finite` naming both.
 */
export function allFiniteAgain(what: string, values: Float32Array): Float32Array {
  const count = countNonFinite(values);
  if (count === 0) return values;
  const found = `${what}: ${count} of ${values.length} values are not finite`;
  throw new CheckpointError(NON_FINITE, `${found}.`, {
    hint: "Remove its checkpoint's folder, and --resume goes on from the one before.",
  });
}
