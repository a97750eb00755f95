const floatView = new Float32Array(1);
const bitsView = new Uint32Array(floatView.buffer);

/** Rounds a float32 to bfloat16 bits, to nearest even; NaN stays NaN. */
export function toBf16(value: number): number {
  floatView[0] = value;
  const bits = bitsView[0]!;
  if ((bits & 0x7fffffff) > 0x7f800000) return (bits >>> 16) | 0x40;
  return ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16) & 0xffff;
}

/** Widens bfloat16 bits to a float32, exactly. */
export function fromBf16(bits: number): number {
  bitsView[0] = (bits << 16) >>> 0;
  return floatView[0]!;
}

/** Rounds a float32 to IEEE binary16 bits, to nearest even, with subnormals; overflow is infinity. */
export function toF16(value: number): number {
  floatView[0] = value;
  const bits = bitsView[0]!;
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00;
  if (magnitude >= 0x477ff000) return sign | 0x7c00;
  if (magnitude < 0x38800000) {
    // Subnormal target: the unit is 2^-24, and the sum with 0.5 lets float32 do the rounding.
    floatView[0] = Math.abs(Math.fround(value)) + 0.5;
    return sign | (bitsView[0]! - 0x3f000000);
  }
  const rounded = magnitude + 0xfff + ((magnitude >>> 13) & 1);
  return sign | ((rounded - 0x38000000) >>> 13);
}

/** Widens IEEE binary16 bits to a float32, exactly. */
export function fromF16(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >>> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

let halfTable: Uint32Array<ArrayBuffer> | undefined;

/**
 * Returns the float32 bits of all 65,536 IEEE binary16 patterns, with their NaN payloads; made
 * once.
 */
export function halfWords(): Uint32Array<ArrayBuffer> {
  if (halfTable !== undefined) return halfTable;
  halfTable = new Uint32Array(0x10000);
  for (let bits = 0; bits < halfTable.length; bits++) {
    if ((bits & 0x7c00) === 0x7c00) {
      halfTable[bits] = ((bits & 0x8000) << 16) | 0x7f800000 | ((bits & 0x3ff) << 13);
      continue;
    }
    floatView[0] = fromF16(bits);
    halfTable[bits] = bitsView[0]!;
  }
  return halfTable;
}
