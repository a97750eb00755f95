import type { LoadedMedium } from "../prompt/media.ts";

/** Bytes of decoded media that are kept by default. */
const DEFAULT_BYTES = 2 ** 30;

interface Entry {
  medium: Promise<LoadedMedium>;
  /** Known once it is decoded. */
  bytes: number;
}

/**
 * Decoded media by name, the least recently used given up first.
 *
 * A tiny data set stays whole, so that a file is decoded once; of a large one only so much is kept.
 */
export class MediaCache {
  readonly #entries = new Map<string, Entry>();
  readonly #limit: number;
  #bytes = 0;

  /** @param limit bytes of pictures and samples that may stay. */
  constructor(limit = DEFAULT_BYTES) {
    this.#limit = limit;
  }

  /** Bytes that are kept. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The medium of a name, decoded by `load` unless it is there or on its way; failures are not kept. */
  get(name: string, load: () => Promise<LoadedMedium>): Promise<LoadedMedium> {
    const known = this.#entries.get(name);
    if (known !== undefined) {
      this.#entries.delete(name);
      this.#entries.set(name, known);
      return known.medium;
    }
    const entry: Entry = { medium: load(), bytes: 0 };
    this.#entries.set(name, entry);
    entry.medium.then(
      (medium) => this.#count(entry, bytesOf(medium)),
      () => this.#entries.delete(name),
    );
    return entry.medium;
  }

  #count(entry: Entry, bytes: number): void {
    entry.bytes = bytes;
    this.#bytes += bytes;
    for (const [name, old] of this.#entries) {
      if (this.#bytes <= this.#limit) break;
      if (old.bytes === 0) continue;
      this.#entries.delete(name);
      this.#bytes -= old.bytes;
    }
  }
}

function bytesOf(medium: LoadedMedium): number {
  if (medium.kind === "image") return medium.frame.rgb.byteLength;
  const sound = medium.audio?.samples.byteLength ?? 0;
  if (medium.kind === "audio") return sound;
  return medium.video.frames.reduce((sum, { rgb }) => sum + rgb.byteLength, sound);
}
