import type { Source } from "mediabunny";

/** The answer of mediabunny's sources to its own readers; the method is not in their types. */
interface Readable {
  _read(
    start: number,
    end: number,
    least: number,
    most: number,
  ): MaybePromise<{ bytes: Uint8Array; offset: number } | null>;
}

type MaybePromise<T> = T | Promise<T>;

/**
 * Random access to the bytes of a medium, beside mediabunny and through its cache, for the few
 * facts of a header that mediabunny does not hand on.
 */
export class MediaBytes {
  readonly size: number;
  readonly #source: Readable;

  private constructor(source: Source, size: number) {
    this.#source = source as unknown as Readable;
    this.size = size;
  }

  /** The bytes behind a source; null where their number is not known (a stream of a server). */
  static async of(source: Source): Promise<MediaBytes | null> {
    const size = await source.getSizeOrNull();
    return size === null ? null : new MediaBytes(source, size);
  }

  /** Reads `length` bytes from `start`, fewer at the end of the file. */
  async read(start: number, length: number): Promise<Uint8Array> {
    const end = Math.min(start + length, this.size);
    if (start >= end) return new Uint8Array(0);
    const piece = await this.#source._read(start, end, 0, Infinity);
    if (!piece) return new Uint8Array(0);
    return piece.bytes.subarray(start - piece.offset, end - piece.offset);
  }

  /** Reads as `read` does, with a view for numbers. */
  async view(start: number, length: number): Promise<DataView> {
    const bytes = await this.read(start, length);
    return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }
}

/** Returns four bytes as letters. */
export function fourLetters(view: DataView, at: number): string {
  return String.fromCharCode(...Array.from({ length: 4 }, (_, i) => view.getUint8(at + i)));
}
