import type { LoadedMedium } from "../models/process/media.ts";
import { loadMedium } from "../models/process/media.ts";
import type { Processor, ProcessOptions } from "../models/process/processor.ts";
import type { Sample } from "../models/process/sample.ts";
import { mediaParts, type Conversation, type MediaPart } from "../text/chat-template.ts";

/** A row that can be made into a sample. */
export interface SampleRow {
  id: string;
  conversation: Conversation;
}

/** Files that are decoded at a time; the decoders have threads of their own. */
const CONCURRENCY = 2;

/** Decodes and processes rows; decoded media are kept, so that a file is decoded once. */
export class SampleLoader {
  readonly #processor: Processor;
  readonly #options: ProcessOptions;
  readonly #media = new Map<string, Promise<LoadedMedium>>();

  /** @param options how rows are processed: controls, budget, limits of pixels. */
  constructor(processor: Processor, options: ProcessOptions = {}) {
    this.#processor = processor;
    this.#options = options;
  }

  /**
   * The sample of a row.
   *
   * @throws {DataError} that names the row and the file; nothing is skipped or replaced.
   */
  async load(row: SampleRow): Promise<Sample> {
    const parts = mediaParts(row.conversation);
    const media = await Promise.all(
      parts.map((part) => {
        // Bytes have no name that tells them apart; only files and addresses are kept.
        const key = isNamed(part) ? JSON.stringify(part) : undefined;
        let medium = key === undefined ? undefined : this.#media.get(key);
        if (medium === undefined) {
          medium = loadMedium(part, this.#processor.media, this.#options);
          if (key !== undefined) this.#media.set(key, medium);
        }
        return medium;
      }),
    );
    return this.#processor.process(
      { row: row.id, conversation: row.conversation, media },
      this.#options,
    );
  }

  /** The samples of several rows, in their order; the processor's listener hears their warnings. */
  async loadAll(rows: readonly SampleRow[]): Promise<Sample[]> {
    const samples: Sample[] = [];
    let next = 0;
    const work = async () => {
      while (next < rows.length) {
        const index = next++;
        samples[index] = await this.load(rows[index]!);
      }
    };
    await Promise.all(Array.from({ length: Math.min(CONCURRENCY, rows.length) }, work));
    // In the order of the rows, whichever was decoded first: logs must not depend on that.
    for (const { warnings } of samples) {
      for (const warning of warnings) this.#processor.onWarning?.(warning);
    }
    return samples;
  }

  /** A loader that shares the decoded media and processes them otherwise. */
  with(options: ProcessOptions): SampleLoader {
    const loader = new SampleLoader(this.#processor, { ...this.#options, ...options });
    for (const [key, medium] of this.#media) loader.#media.set(key, medium);
    return loader;
  }
}

function isNamed(part: MediaPart): boolean {
  if (part.type === "video") return typeof part.video === "string";
  return part.type === "audio" && typeof part.audio === "string";
}
