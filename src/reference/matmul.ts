/** Sizes and options of a linear layer's products, as the matmul kernels take them. */
export interface MatmulShape {
  /** Rows of x and y. */
  m: number;
  /** Output features: rows of the weight. */
  n: number;
  /** Input features: columns of x and of the weight. */
  k: number;
  /** Columns of the matrix that y is a part of. */
  yStride: number;
  /** First column of y in that matrix. */
  yOffset: number;
  scale: number;
}

/** The terms that are added to the product, each when it is given. */
export interface MatmulTerms {
  /** Indexed by column of the matrix that y is a part of. */
  bias?: Float64Array;
  /** Laid out as y. */
  residual?: Float64Array;
}

/**
 * Adds scale * x weight^T + bias + residual to the columns yOffset .. yOffset + n of `y`.
 *
 * x: [m, k]; weight: [n, k]; y: [m, yStride], zero to begin with unless the product accumulates.
 */
export function matmulNt(
  x: Float64Array,
  weight: Float64Array,
  y: Float64Array,
  { m, n, k, yStride, yOffset, scale }: MatmulShape,
  { bias, residual }: MatmulTerms = {},
): void {
  for (let i = 0; i < m; i++) {
    for (let j = 0; j < n; j++) {
      let sum = 0;
      for (let p = 0; p < k; p++) sum += x[i * k + p]! * weight[j * k + p]!;
      const at = i * yStride + yOffset + j;
      y[at] = y[at]! + scale * sum + (bias?.[yOffset + j] ?? 0) + (residual?.[at] ?? 0);
    }
  }
}

/**
 * Gradient of `matmulNt` by x: adds scale * dy weight to `dx`.
 *
 * dy: [m, yStride], of which the columns yOffset .. yOffset + n count; weight: [n, k]; dx: [m, k].
 */
export function matmulNn(
  dy: Float64Array,
  weight: Float64Array,
  dx: Float64Array,
  { m, n, k, yStride, yOffset, scale }: MatmulShape,
): void {
  for (let i = 0; i < m; i++) {
    for (let j = 0; j < n; j++) {
      const slope = scale * dy[i * yStride + yOffset + j]!;
      for (let p = 0; p < k; p++) dx[i * k + p] = dx[i * k + p]! + slope * weight[j * k + p]!;
    }
  }
}

/**
 * Gradient of `matmulNt` (with scale 1) by the weight, over the rows [from, to): adds dy^T x to `dw`.
 *
 * dy: [m, yStride], of which the columns yOffset .. yOffset + n count; x: [m, k]; dw: [n, k].
 */
export function matmulTn(
  dy: Float64Array,
  x: Float64Array,
  dw: Float64Array,
  { m, n, k, yStride, yOffset }: Omit<MatmulShape, "scale">,
  from = 0,
  to = m,
): void {
  for (let i = from; i < to; i++) {
    for (let j = 0; j < n; j++) {
      const slope = dy[i * yStride + yOffset + j]!;
      for (let p = 0; p < k; p++) dw[j * k + p] = dw[j * k + p]! + slope * x[i * k + p]!;
    }
  }
}
