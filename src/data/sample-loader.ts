import { type LoadedMedium, loadMedium } from "../prompt/media.ts";
import type { Processor, ProcessOptions } from "../model/processor.ts";
import type { Sample } from "../prompt/sample.ts";
import { inRow } from "./row-error.ts";
import { MediaCache } from "./media-cache.ts";
import { mediaParts, type Conversation, type MediaPart } from "../text/chat-template.ts";

/** A row that can be made into a sample. */
export interface SampleRow {
  id: string;
  /** The place where it is written, such as `rows.jsonl:12`, for messages. */
  place?: string;
  conversation: Conversation;
}

/** Files that are decoded at a time; the decoders have threads of their own. */
const CONCURRENCY = 2;

/** Decodes and processes rows; decoded media are kept within limits, see {@link MediaCache}. */
export class SampleLoader {
  readonly #processor: Processor;
  readonly #options: ProcessOptions;
  readonly #media: MediaCache;

  /**
   * @param options how rows are processed: controls, budget, limits of pixels.
   * @param media decoded media, to share them.
   */
  constructor(processor: Processor, options: ProcessOptions = {}, media = new MediaCache()) {
    this.#processor = processor;
    this.#options = options;
    this.#media = media;
  }

  /**
   * The sample of a row.
   *
   * @throws {DataError} that names the row and the file; nothing is skipped or replaced.
   */
  async load(row: SampleRow): Promise<Sample> {
    const parts = mediaParts(row.conversation);
    const media = await Promise.all(
      parts.map((part) =>
        this.#medium(part).catch((error: unknown) => {
          throw inRow(error, row, part);
        }),
      ),
    );
    const request = { id: row.id, conversation: row.conversation, media };
    try {
      return this.#processor.process(request, this.#options);
    } catch (error) {
      throw inRow(error, row, parts.length === 1 ? parts[0] : undefined);
    }
  }

  /**
   * Decodes the files of rows that will be loaded next, while other work goes on.
   *
   * What fails is told by `load` when the row's turn comes.
   */
  async prefetch(rows: readonly SampleRow[]): Promise<void> {
    for (const { conversation } of rows) {
      const parts = mediaParts(conversation).filter(isNamed);
      await Promise.allSettled(parts.map((part) => this.#medium(part)));
    }
  }

  #medium(part: MediaPart): Promise<LoadedMedium> {
    const load = () => loadMedium(part, this.#processor.preprocessing, this.#options);
    // Bytes have no name that tells them apart; only files and addresses are kept.
    return isNamed(part) ? this.#media.get(JSON.stringify(part), load) : load();
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
    return new SampleLoader(this.#processor, { ...this.#options, ...options }, this.#media);
  }
}

function isNamed(part: MediaPart): boolean {
  if (part.type === "video") return typeof part.video === "string";
  if (part.type === "image") return typeof part.image === "string";
  return typeof part.audio === "string";
}
