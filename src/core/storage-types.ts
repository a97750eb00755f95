/**
 * The types that weights are stored in on the GPU: what a row takes, how values come in and out, and
 * whether a tensor has a scale. A further type is an entry here, and the functions
 * that read it on the GPU in src/gpu/shader-library.ts, and nothing else.
 */
import { bf16ToF32, type DType16, f16ToF32, packRows16 } from "./convert16.ts";
import { packF16s, scaleFor, unpackF16s } from "./f16s.ts";

/** Rows as they are stored, and how many of their elements are not what they were. */
export interface PackedRows {
  words: Uint32Array;
  inexact: number;
}

/** One storage type. */
export interface StorageType {
  /** Its description, as a phrase for the reference. */
  readonly doc: string;
  /** True where a row is its elements one after the other, so that a matrix may be cut anywhere. */
  readonly plain: boolean;
  /** Bytes of one row of so many elements. */
  rowBytes(width: number): number;
  /** Scale of a tensor by its largest magnitude; null for a type without, whose scale is 1. */
  readonly scaleFor: ((largest: number) => number) | null;
  /** Packs whole rows of f32, into `out` where the type has another form than theirs. */
  pack(values: Float32Array, width: number, scale: number, out?: Uint32Array): PackedRows;
  /** Packs whole rows of a checkpoint's 16-bit values into `out`. */
  pack16(
    bits: Uint16Array,
    dtype: DType16,
    width: number,
    scale: number,
    out: Uint32Array,
  ): PackedRows;
  /** Gives the values of whole rows back as f32, exactly. */
  unpack(words: Uint32Array, width: number, scale: number): Float32Array;
}

const floats = ({ buffer, byteOffset, length }: Uint32Array): Float32Array =>
  new Float32Array(buffer, byteOffset, length);

/** The storage types by name; the first is that of trained weights. */
export const STORAGE_TYPES = {
  f32: {
    doc: "32-bit floats",
    plain: true,
    rowBytes: (width) => width * 4,
    scaleFor: null,
    pack: ({ buffer, byteOffset, length }) => ({
      words: new Uint32Array(buffer, byteOffset, length),
      inexact: 0,
    }),
    pack16(bits, dtype, _width, _scale, out) {
      if (dtype === "BF16") bf16ToF32(bits, floats(out));
      else f16ToF32(bits, floats(out));
      return { words: out, inexact: 0 };
    },
    unpack: floats,
  },
  f16s: {
    doc: "16-bit floats times a power of two",
    plain: false,
    // Rows are padded to four elements.
    rowBytes: (width) => Math.ceil(width / 4) * 8,
    scaleFor,
    pack: packF16s,
    pack16: packRows16,
    unpack: unpackF16s,
  },
} as const satisfies Record<string, StorageType>;

/** Name of a storage type. */
export type StorageName = keyof typeof STORAGE_TYPES;

/** The names of the storage types, as schemas and kernels list them. */
export const STORAGE_NAMES = Object.keys(STORAGE_TYPES) as [StorageName, ...StorageName[]];
