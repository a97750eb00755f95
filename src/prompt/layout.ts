import { DataError } from "../core/errors.ts";
import type { PatchGrid, PromptTokens } from "../network/media.ts";

/** The facts of one medium that the layout needs, in the order of the conversation. */
export type MediumShape = { file: string } & (
  | { kind: "audio"; audioTokens: number }
  | { kind: "image"; grid: PatchGrid }
  | {
      kind: "video";
      grid: PatchGrid;
      /** Seconds between the starts of two temporal slices. */
      secondsPerGrid: number;
      /** Seconds at which every temporal slice stands: the mean of its frames' times. */
      times: readonly number[];
      /** Tokens of the video's own soundtrack; left out for a silent video. */
      audioTokens?: number | undefined;
    }
);

/** Ids of the tokens that stand for media or surround them, as far as a family has them. */
export interface MediaTokens {
  audio?: number;
  image?: number;
  video?: number;
  audioStart?: number;
  audioEnd?: number;
  visionStart?: number;
  visionEnd?: number;
}

/** The constants of a model on which the layout depends. */
export interface LayoutConfig {
  /** Temporal positions per second of video. */
  positionIdPerSeconds: number;
  /** Patches along the side of a merge cell. */
  mergeSize: number;
}

/**
 * Writes a run of tokens in a family's own way, or leaves it to the plain rules.
 *
 * @param at index of the run's first token in the tokenised prompt.
 * @param medium the next medium, if there is one left.
 * @returns tokens of the tokenised prompt that were consumed, the medium's placeholder among them; 0
 *   when nothing was written.
 */
export type RunWriter = (
  builder: LayoutBuilder,
  at: number,
  medium: MediumShape | undefined,
) => number;

/** A prompt as the decoder sees it, and how its media were laid out. */
export interface PromptLayout extends PromptTokens {
  /** Placeholders that were written for each medium, in the order of the media. */
  placeholders: { vision: number; audio: number }[];
}

/** Returns feature rows of a picture or video: one per merge cell. */
export function visionTokens(grid: PatchGrid, mergeSize: number): number {
  return (grid[0] * grid[1] * grid[2]) / mergeSize ** 2;
}

/**
 * Expands the placeholders of a tokenised prompt and gives every token its positions.
 *
 * Text and sound advance by one position a token; a picture or video starts where the text ended, and
 * text goes on after its largest position.
 *
 * @param ids - the tokenised prompt, one placeholder per medium.
 * @param media - the media in the order of their placeholders.
 * @param row - names the row in messages.
 * @param write - asked first at every token.
 * @throws {DataError} `placeholder-mismatch` when placeholders and media do not pair up.
 * Source: transformers 4.57.6, get_rope_index of qwen2_5_omni.
 */
export function layoutPrompt(
  ids: ArrayLike<number>,
  media: readonly MediumShape[],
  tokens: MediaTokens,
  config: LayoutConfig,
  row: string,
  write: RunWriter = () => 0,
): PromptLayout {
  const builder = new LayoutBuilder(tokens, config);
  let used = 0;
  for (let i = 0; i < ids.length; i++) {
    const consumed = write(builder, i, media[used]);
    if (consumed > 0) {
      used++;
      i += consumed - 1;
      continue;
    }
    const kind = placeholderKind(ids[i]!, tokens);
    if (kind === undefined) {
      builder.text(ids[i]!);
      continue;
    }
    const medium = media[used++];
    if (medium?.kind !== kind) throw mismatch(row, kind, used, medium);
    if (medium.kind === "video" && medium.audioTokens !== undefined) {
      throw new DataError(
        "placeholder-mismatch",
        `${row}: the placeholder of ${medium.file}, a video with sound, is not enclosed by the ` +
          `start and end tokens of vision.`,
        { hint: "Let the chat template write the media; do not wrap them by hand." },
      );
    }
    builder.medium(medium);
  }
  if (used < media.length) throw mismatch(row, undefined, used + 1, media[used]);
  return builder.finish();
}

function placeholderKind(id: number, tokens: MediaTokens): MediumShape["kind"] | undefined {
  return (["audio", "image", "video"] as const).find((kind) => tokens[kind] === id);
}

function mismatch(
  row: string,
  kind: string | undefined,
  number: number,
  medium: MediumShape | undefined,
): DataError {
  const holds = kind === undefined ? "has no placeholder" : `has a placeholder for ${kind}`;
  const given = medium === undefined ? "there is none" : `it is ${medium.kind} ${medium.file}`;
  return new DataError(
    "placeholder-mismatch",
    `${row}: the prompt ${holds} where medium ${number} belongs, but ${given}.`,
    { hint: "Give as many media as the conversation names, and keep media tokens out of text." },
  );
}

/** Collects the tokens of a prompt with their positions. */
export class LayoutBuilder {
  readonly #tokens: MediaTokens;
  readonly #config: LayoutConfig;
  readonly #ids: number[] = [];
  readonly #t: number[] = [];
  readonly #h: number[] = [];
  readonly #w: number[] = [];
  readonly #visionRows: number[] = [];
  readonly #audioRows: number[] = [];
  readonly #placeholders: { vision: number; audio: number }[] = [];
  /** Position of the next token of text. */
  next = 0;

  constructor(tokens: MediaTokens, config: LayoutConfig) {
    this.#tokens = tokens;
    this.#config = config;
  }

  /** Tokens that share one position. */
  text(...ids: number[]): void {
    for (const id of ids) this.#put(id, this.next, this.next, this.next);
    this.next++;
  }

  /** Begins a medium: the rows that follow are counted as its placeholders. */
  begin(): void {
    this.#placeholders.push({ vision: 0, audio: 0 });
  }

  /** A whole medium by the plain rules. */
  medium(medium: MediumShape): void {
    this.begin();
    if (medium.kind === "audio") {
      for (let i = 0; i < medium.audioTokens; i++) this.sound(this.next + i);
      this.next += medium.audioTokens;
      return;
    }
    const cells = visionTokens(medium.grid, this.#config.mergeSize);
    this.next = this.pictures(medium, this.next, 0, cells) + 1;
  }

  /** One row of sound at a position. */
  sound(position: number): void {
    this.#audioRows.push(this.#ids.length);
    this.#placeholders.at(-1)!.audio++;
    this.#put(this.#tokens.audio!, position, position, position);
  }

  /** Cells [start, end) of a picture or video that begins at `base`; returns their largest position. */
  pictures(
    medium: { kind: "image" | "video"; grid: PatchGrid; secondsPerGrid?: number },
    base: number,
    start: number,
    end: number,
  ): number {
    const { positionIdPerSeconds, mergeSize } = this.#config;
    const id = this.#tokens[medium.kind]!;
    const seconds = medium.secondsPerGrid ?? 0;
    const rows = medium.grid[1] / mergeSize;
    const columns = medium.grid[2] / mergeSize;
    let largest = base;
    for (let cell = start; cell < end; cell++) {
      const slice = Math.floor(cell / (rows * columns));
      // float32 at every step, as torch computes it: the truncation below depends on it.
      const elapsed = Math.fround(slice * Math.fround(seconds));
      const t = base + Math.trunc(Math.fround(elapsed * positionIdPerSeconds));
      const h = base + (Math.floor(cell / columns) % rows);
      const w = base + (cell % columns);
      largest = Math.max(largest, t, h, w);
      this.#visionRows.push(this.#ids.length);
      this.#placeholders.at(-1)!.vision++;
      this.#put(id, t, h, w);
    }
    return largest;
  }

  /** The prompt. */
  finish(): PromptLayout {
    const length = this.#ids.length;
    const positions = new Int32Array(3 * length);
    positions.set(this.#t, 0);
    positions.set(this.#h, length);
    positions.set(this.#w, 2 * length);
    return {
      inputIds: Uint32Array.from(this.#ids),
      positions,
      nextPos: positions.reduce((max, position) => Math.max(max, position), -1) + 1,
      visionRows: Uint32Array.from(this.#visionRows),
      audioRows: Uint32Array.from(this.#audioRows),
      placeholders: this.#placeholders,
    };
  }

  #put(id: number, t: number, h: number, w: number): void {
    this.#ids.push(id);
    this.#t.push(t);
    this.#h.push(h);
    this.#w.push(w);
  }
}
