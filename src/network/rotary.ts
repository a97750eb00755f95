/**
 * Rotary tables, made on the host: angles in float32 as the reference computes them, their cosine
 * and sine in float64, because WGSL promises sin and cos only on [-pi, pi].
 */

/** Inverse frequencies base^(-2j/dim) for j < dim/2, rounded to float32. */
function inverseFrequencies(base: number, dim: number): Float32Array {
  return Float32Array.from({ length: dim / 2 }, (_, j) => base ** ((-2 * j) / dim));
}

/**
 * Writes one table row: cosines of the angles, then their sines.
 *
 * @param angles float32 angles of the row, as many as half the row's length.
 */
function writeRow(table: Float32Array, row: number, angles: Float32Array): void {
  const half = angles.length;
  for (let j = 0; j < half; j++) {
    table[row * 2 * half + j] = Math.cos(angles[j]!);
    table[row * 2 * half + half + j] = Math.sin(angles[j]!);
  }
}

/**
 * Table of multimodal rotary positions (M-RoPE): each frequency follows one of three position rows.
 *
 * @param positions [3, tokens]: temporal, height and width position of every token.
 * @param axes [headDim / 2] the position row that each frequency follows.
 * @returns [tokens, headDim] f32. Source: Qwen2-VL, section 2.1; transformers `apply_multimodal_rotary_pos_emb`.
 */
export function mropeTable(
  positions: ArrayLike<number>,
  tokens: number,
  axes: readonly number[],
  theta: number,
): Float32Array<ArrayBuffer> {
  const headDim = 2 * axes.length;
  const frequencies = inverseFrequencies(theta, headDim);
  const table = new Float32Array(tokens * headDim);
  const angles = new Float32Array(headDim / 2);
  for (let token = 0; token < tokens; token++) {
    for (let j = 0; j < angles.length; j++) {
      angles[j] = Math.fround(positions[axes[j]! * tokens + token]!) * frequencies[j]!;
    }
    writeRow(table, token, angles);
  }
  return table;
}

/**
 * Table of two-dimensional rotary positions of image patches: half the frequencies follow the row,
 * half the column.
 *
 * @param coordinates [patches, 2]: row and column within the frame.
 * @returns [patches, headDim] f32. Source: transformers `Qwen2_5_VisionRotaryEmbedding`, theta 10000.
 */
export function rotary2dTable(
  coordinates: ArrayLike<number>,
  headDim: number,
): Float32Array<ArrayBuffer> {
  const frequencies = inverseFrequencies(10000, headDim / 2);
  const count = frequencies.length;
  const patches = coordinates.length / 2;
  const table = new Float32Array(patches * headDim);
  const angles = new Float32Array(headDim / 2);
  for (let patch = 0; patch < patches; patch++) {
    for (let j = 0; j < count; j++) {
      angles[j] = coordinates[2 * patch]! * frequencies[j]!;
      angles[count + j] = coordinates[2 * patch + 1]! * frequencies[j]!;
    }
    writeRow(table, patch, angles);
  }
  return table;
}
