import { describe, expect, it } from "vitest";
import { fromBf16, fromF16, toBf16, toF16 } from "../../src/core/dtype.ts";

const view = new DataView(new ArrayBuffer(4));

/** The value of a binary floating-point format, from its definition. */
function decode(bits: number, exponentBits: number, fractionBits: number): number {
  const sign = bits >>> (exponentBits + fractionBits) === 1 ? -1 : 1;
  const exponent = (bits >>> fractionBits) & (2 ** exponentBits - 1);
  const fraction = bits & (2 ** fractionBits - 1);
  const bias = 2 ** (exponentBits - 1) - 1;
  if (exponent === 2 ** exponentBits - 1) return fraction === 0 ? sign * Infinity : NaN;
  if (exponent === 0) return sign * fraction * 2 ** (1 - bias - fractionBits);
  return sign * (1 + fraction * 2 ** -fractionBits) * 2 ** (exponent - bias);
}

/** The float32 neighbours of a value. */
function neighbours(value: number): number[] {
  view.setFloat32(0, value);
  const bits = view.getUint32(0);
  return [bits - 1, bits + 1].map((word) => (view.setUint32(0, word), view.getFloat32(0)));
}

const finite = (bits: number, exponentBits: number, fractionBits: number): boolean =>
  Number.isFinite(decode(bits, exponentBits, fractionBits));

describe.each([
  ["f16", 5, 10, fromF16, toF16],
  ["bf16", 8, 7, fromBf16, toBf16],
] as const)("%s", (_, exponentBits, fractionBits, widen, narrow) => {
  it("widens all 65,536 patterns exactly, and narrows them back to the same bits", () => {
    for (let bits = 0; bits < 0x10000; bits++) {
      const want = decode(bits, exponentBits, fractionBits);
      const got = widen(bits);
      if (!Object.is(got, want)) throw new Error(`${bits.toString(16)}: ${got} is not ${want}`);
      const back = narrow(want);
      if (Number.isNaN(want)) {
        expect(Number.isNaN(widen(back))).toBe(true);
      } else if (back !== bits) {
        throw new Error(`${want} became ${back.toString(16)}, not ${bits.toString(16)}`);
      }
    }
  });

  it("rounds to the nearest, ties to even, at every midpoint and beside it", () => {
    for (let bits = 0; bits < 0x7fff; bits++) {
      if (!finite(bits, exponentBits, fractionBits)) break;
      const low = decode(bits, exponentBits, fractionBits);
      // Above the largest value lies infinity; its rounding border is half a unit away.
      const high = finite(bits + 1, exponentBits, fractionBits)
        ? decode(bits + 1, exponentBits, fractionBits)
        : 2 * low - decode(bits - 1, exponentBits, fractionBits);
      const middle = (low + high) / 2;
      // Half of a unit of the smallest bf16 subnormals is still a float32, like every other midpoint.
      const even = bits % 2 === 0 ? bits : bits + 1;
      const [below, above] = neighbours(middle);
      const got = [narrow(below!), narrow(middle), narrow(above!)];
      if (got[0] !== bits || got[1] !== even || got[2] !== bits + 1) {
        throw new Error(`around ${middle}: ${got.join(", ")} instead of ${bits}, ${even}`);
      }
      if (narrow(-middle) !== (even | 0x8000)) throw new Error(`the sign of ${middle} is lost`);
    }
  });

  it("keeps the signs of zero and infinity, and NaN", () => {
    expect(narrow(-0)).toBe(0x8000);
    expect(widen(narrow(-Infinity))).toBe(-Infinity);
    expect(widen(narrow(NaN))).toBeNaN();
    view.setUint32(0, 0x7f800001);
    expect(widen(narrow(view.getFloat32(0)))).toBeNaN();
  });
});
