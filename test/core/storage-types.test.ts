import { describe, expect, it } from "vitest";
import { STORAGE_NAMES, STORAGE_TYPES, type StorageType } from "../../src/core/storage-types.ts";
import { SHADER_LIBRARY } from "../../src/gpu/shader-library.ts";
import { filesUnder, textOf } from "../helpers/source-tree.ts";

/** Rows of five: magnitudes apart, a zero, a subnormal of f16 at this scale. */
const WIDTH = 5;
const VALUES = Float32Array.of(1, -0.5, 3.140625, 0, 1e-3, -2, 65504, 0.333251953125, 7, -1e-6);

/** Files that name a type, since they choose it or are its arithmetic. */
const NAMES_IT = [
  "src/core/convert16.ts",
  "src/core/f16s.ts",
  "src/core/storage-types.ts",
  "src/gpu/shader-library.ts",
];

describe("storage types of weights", () => {
  it.each(Object.entries<StorageType>(STORAGE_TYPES))(
    "%s packs whole rows, and gives back what it holds",
    (name, type) => {
      const scale = type.scaleFor?.(65504) ?? 1;
      const { words, inexact } = type.pack(VALUES, WIDTH, scale);
      expect(words.byteLength).toBe(2 * type.rowBytes(WIDTH));
      const back = type.unpack(words, WIDTH, scale);
      expect(back).toHaveLength(VALUES.length);
      let changed = 0;
      VALUES.forEach((value, i) => {
        if (back[i] !== value) changed++;
        // Half an f16 unit of the value, or of the smallest step at this scale.
        expect(Math.abs(back[i]! - value)).toBeLessThanOrEqual(
          Math.max(Math.abs(value) * 2 ** -11, scale * 2 ** -25),
        );
      });
      expect(inexact).toBe(changed);
      if (type.plain) expect(type.rowBytes(WIDTH)).toBe(4 * WIDTH);
      // Values that were given back are held as they are.
      expect(type.pack(back, WIDTH, scale).words).toEqual(words);
      expect(Object.keys(SHADER_LIBRARY["weight"]!)).toContain(name);
    },
  );

  it.each(Object.entries<StorageType>(STORAGE_TYPES))(
    "%s packs a checkpoint's 16-bit values as their f32 values",
    (_, type) => {
      // 1, -2, 0.15625, the largest bf16 below 2^7, 0, and one more row of the same.
      const bits = Uint16Array.of(0x3f80, 0xc000, 0x3e20, 0x42ff, 0, 0x3f80, 0xc000, 0x3e20, 0, 1);
      const wide = Float32Array.from(bits, (each) => {
        const sign = each & 0x8000 ? -1 : 1;
        const exponent = (each >> 7) & 0xff;
        const fraction = each & 0x7f;
        if (exponent === 0) return sign * 2 ** -126 * (fraction / 128);
        return sign * 2 ** (exponent - 127) * (1 + fraction / 128);
      });
      const scale = type.scaleFor?.(128) ?? 1;
      const out = new Uint32Array((2 * type.rowBytes(WIDTH)) / 4);
      const packed = type.pack16(bits, "BF16", WIDTH, scale, out);
      expect(packed).toEqual(type.pack(wide, WIDTH, scale));
    },
  );

  it("are named where they are chosen, and nowhere else", () => {
    const names = STORAGE_NAMES.filter((name) => name !== "f32");
    const literal = new RegExp(`["'\`](?:${names.join("|")})["'\`]`);
    const found = filesUnder("src", ".ts").filter((path) =>
      textOf(path)
        .split("\n")
        .some((line) => literal.test(line) && !/^\s*(\*|\/\/|\/\*)/.test(line)),
    );
    expect(found.filter((path) => !NAMES_IT.includes(path))).toEqual([]);
  });
});
