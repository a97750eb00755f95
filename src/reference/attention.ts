/** Tensors and sizes of packed attention; keys and rows are counted globally from 0. */
export interface AttentionCase {
  /** [rows, heads, headDim] */
  q: Float64Array;
  /** [keys, kvHeads, headDim] */
  k: Float64Array;
  /** [keys, kvHeads, headDim] */
  v: Float64Array;
  /** [rows, 4]: the row sees keys [s0, s1) and [s2, s3). */
  segments: Uint32Array;
  heads: number;
  kvHeads: number;
  headDim: number;
  scale: number;
}

/** The log-sum-exp that stands for a row without keys. */
const NO_KEYS_LSE = -3e38;

/** The keys that a row sees, in ascending order. */
function keysOf(segments: Uint32Array, row: number): number[] {
  const keys: number[] = [];
  for (let part = 0; part < 2; part++) {
    const end = segments[row * 4 + part * 2 + 1]!;
    for (let key = segments[row * 4 + part * 2]!; key < end; key++) keys.push(key);
  }
  return keys;
}

function dot(a: Float64Array, aAt: number, b: Float64Array, bAt: number, count: number): number {
  let sum = 0;
  for (let i = 0; i < count; i++) sum += a[aAt + i]! * b[bAt + i]!;
  return sum;
}

/**
 * o = softmax(scale * q k^T) v over the keys that each row sees.
 *
 * Query head j reads key head floor(j / (heads / kvHeads)). A row without keys gives o = 0 and
 * lse = -3e38. Source: Vaswani et al. 2017, eq. 1; Ainslie et al. 2023 (grouped heads).
 *
 * @returns o: [rows, heads, headDim] and lse: [rows, heads], the log of the softmax denominator.
 */
export function attention(c: AttentionCase): { o: Float64Array; lse: Float64Array } {
  const rows = c.segments.length / 4;
  const o = new Float64Array(rows * c.heads * c.headDim);
  const lse = new Float64Array(rows * c.heads).fill(NO_KEYS_LSE);
  for (let row = 0; row < rows; row++) {
    const keys = keysOf(c.segments, row);
    if (keys.length === 0) continue;
    for (let head = 0; head < c.heads; head++) {
      const kvHead = Math.floor(head / (c.heads / c.kvHeads));
      const at = (row * c.heads + head) * c.headDim;
      const keyAt = (key: number) => (key * c.kvHeads + kvHead) * c.headDim;
      const scores = keys.map((key) => c.scale * dot(c.q, at, c.k, keyAt(key), c.headDim));
      const top = scores.reduce((a, b) => Math.max(a, b));
      const total = scores.reduce((sum, score) => sum + Math.exp(score - top), 0);
      lse[row * c.heads + head] = top + Math.log(total);
      keys.forEach((key, i) => {
        const p = Math.exp(scores[i]! - top) / total;
        for (let d = 0; d < c.headDim; d++) o[at + d]! += p * c.v[keyAt(key) + d]!;
      });
    }
  }
  return { o, lse };
}

/**
 * Gradients of attention given dO = dL/do: [rows, heads, headDim].
 *
 * With p the softmax and dP = dO v: dS = p (dP - sum p dP), dq = scale dS k, dk = scale dS^T q,
 * dv = p^T dO. Source: Dao et al. 2022, appendix B.4.
 *
 * @returns dq, dk, dv in the shapes of q, k, v, and delta: [rows, heads] = sum_d o dO.
 */
export function attentionBackward(
  c: AttentionCase,
  dO: Float64Array,
): { dq: Float64Array; dk: Float64Array; dv: Float64Array; delta: Float64Array } {
  const rows = c.segments.length / 4;
  const { lse } = attention(c);
  const dq = new Float64Array(c.q.length);
  const dk = new Float64Array(c.k.length);
  const dv = new Float64Array(c.v.length);
  const delta = new Float64Array(rows * c.heads);
  for (let row = 0; row < rows; row++) {
    const keys = keysOf(c.segments, row);
    for (let head = 0; head < c.heads; head++) {
      const kvHead = Math.floor(head / (c.heads / c.kvHeads));
      const slot = row * c.heads + head;
      const at = slot * c.headDim;
      const keyAt = (key: number) => (key * c.kvHeads + kvHead) * c.headDim;
      const p = keys.map((key) =>
        Math.exp(c.scale * dot(c.q, at, c.k, keyAt(key), c.headDim) - lse[slot]!),
      );
      const dP = keys.map((key) => dot(dO, at, c.v, keyAt(key), c.headDim));
      delta[slot] = p.reduce((sum, value, i) => sum + value * dP[i]!, 0);
      keys.forEach((key, i) => {
        const dS = p[i]! * (dP[i]! - delta[slot]!) * c.scale;
        for (let d = 0; d < c.headDim; d++) {
          dq[at + d]! += dS * c.k[keyAt(key) + d]!;
          dk[keyAt(key) + d]! += dS * c.q[at + d]!;
          dv[keyAt(key) + d]! += p[i]! * dO[at + d]!;
        }
      });
    }
  }
  return { dq, dk, dv, delta };
}
