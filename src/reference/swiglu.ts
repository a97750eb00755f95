const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

/**
 * SwiGLU's pointwise part: gate * sigmoid(gate) * up.
 *
 * Source: Shazeer 2020, "GLU Variants Improve Transformer", eq. 5.
 */
export function swiglu(gate: Float64Array, up: Float64Array): Float64Array {
  return gate.map((g, i) => g * sigmoid(g) * up[i]!);
}

/** Gradients of `swiglu` by gate and up. */
export function swigluBackward(
  dy: Float64Array,
  gate: Float64Array,
  up: Float64Array,
): { dgate: Float64Array; dup: Float64Array } {
  return {
    dgate: gate.map((g, i) => dy[i]! * up[i]! * sigmoid(g) * (1 + g * (1 - sigmoid(g)))),
    dup: gate.map((g, i) => dy[i]! * g * sigmoid(g)),
  };
}
