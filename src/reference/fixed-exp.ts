/** High 32 bits of a 64-bit product of two u32. */
function mulHigh(a: number, b: number): number {
  return Number((BigInt(a) * BigInt(b)) >> 32n);
}

const TABLE = Array.from({ length: 16 }, (_, j) => Math.round(2 ** (31 - j / 16)));
const LOG2_E = Math.round(Math.LOG2E * 2 ** 31);
const LN_2 = Math.round(Math.LN2 * 2 ** 32);

/**
 * round(2^30 exp(-d)) for d >= 0 in integer arithmetic, to a relative 8e-8 (d is cut to 2^-24) or half a unit.
 *
 * The twin of shaders/lib/fixed-exp.wgsl, bit for bit; 0 from d = 24 on, where exp is below half.
 */
export function fixedExp(d: number): number {
  if (d >= 24) return 0;
  const scaled = mulHigh(Math.floor(d * 2 ** 24) * 8, LOG2_E);
  const shift = scaled >>> 26;
  const a = mulHigh((scaled & 0x3fffff) << 6, LN_2);
  const one = 2 ** 31;
  let series = one;
  for (let k = 5; k > 0; k--) series = one - Math.floor(mulHigh(a, series) / k);
  const mantissa = mulHigh(TABLE[(scaled >>> 22) & 15]!, series);
  const half = shift > 0 ? 2 ** (shift - 1) : 0;
  return Math.floor((mantissa + half) / 2 ** shift);
}
