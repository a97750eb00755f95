/**
 * Where every token of a prompt stands: expansion of media placeholders and TMRoPE positions
 * (Qwen2.5-Omni technical report, section 2.2).
 *
 * One deviation from transformers, which computes the order of interleaved audio and video twice,
 * in float64 for the tokens and in float32 for the positions, and disagrees with itself for 3 % of
 * frame rates: here the order is computed once, in float64, and each token carries its position.
 */

import { DataError } from "../../core/errors.ts";

/** Temporal slices, rows and columns of a picture or video, in patches before merging. */
export type Grid = readonly [t: number, h: number, w: number];

/** What the layout needs to know of one medium, in the order of the conversation. */
export type MediumShape = { file: string } & (
  | { kind: "audio"; audioTokens: number }
  | { kind: "image"; grid: Grid }
  | {
      kind: "video";
      grid: Grid;
      /** Seconds between the starts of two temporal slices. */
      secondsPerGrid: number;
      /** Tokens of the video's own soundtrack; left out for a silent video. */
      audioTokens?: number | undefined;
    }
);

/** Ids of the tokens that stand for media or surround them. */
export interface MediaTokens {
  audio: number;
  image: number;
  video: number;
  audioStart: number;
  audioEnd: number;
  visionStart: number;
  visionEnd: number;
}

/** The constants of a model on which the layout depends. */
export interface LayoutConfig {
  /** Temporal positions per second. */
  positionIdPerSeconds: number;
  /** Seconds of an interleaved chunk. */
  secondsPerChunk: number;
  /** Patches along the side of a merge cell. */
  mergeSize: number;
}

/** A prompt as the decoder sees it; S tokens. */
export interface PromptLayout {
  /** [S] token ids with every placeholder expanded. */
  inputIds: Uint32Array<ArrayBuffer>;
  /** [3, S] positions: temporal, height, width row. */
  positions: Int32Array<ArrayBuffer>;
  /** Position of the first generated token on all three axes: largest position and one. */
  nextPos: number;
  /** Index in the sequence of every vision feature row, in the order of the features. */
  visionRows: Uint32Array<ArrayBuffer>;
  /** Index in the sequence of every audio feature row, in the order of the features. */
  audioRows: Uint32Array<ArrayBuffer>;
  /** Placeholders that were written for each medium, in the order of the media. */
  placeholders: { vision: number; audio: number }[];
}

/** Feature rows of a picture or video: one per merge cell. */
export function visionTokens(grid: Grid, mergeSize: number): number {
  return (grid[0] * grid[1] * grid[2]) / mergeSize ** 2;
}

/**
 * Expands the placeholders of a tokenised prompt and gives every token its positions.
 *
 * A video with `audioTokens` becomes the interleaved audio-and-video run; one without keeps the
 * plain layout, in the same conversation too.
 *
 * @param ids - the tokenised prompt, one placeholder per medium.
 * @param media - the media in the order of their placeholders.
 * @param row - names the row in messages.
 * @throws {DataError} `placeholder-mismatch` when placeholders and media do not pair up.
 * Source: model-spec G.2-G.5; transformers 4.57.6, get_rope_index and
 * replace_multimodal_special_tokens of qwen2_5_omni.
 */
export function layoutPrompt(
  ids: ArrayLike<number>,
  media: readonly MediumShape[],
  tokens: MediaTokens,
  config: LayoutConfig,
  row = "the prompt",
): PromptLayout {
  const builder = new LayoutBuilder(tokens, config);
  let used = 0;
  for (let i = 0; i < ids.length; i++) {
    const id = ids[i]!;
    const kind = placeholderKind(id, tokens);
    if (kind === undefined) {
      // The start token of an audio-and-video run shares its position, so the run writes it.
      if (id === tokens.visionStart && ids[i + 1] === tokens.video && hasSound(media[used]))
        continue;
      builder.text(id);
      continue;
    }
    const medium = media[used++];
    if (medium?.kind !== kind) throw mismatch(row, kind, used, medium);
    if (!hasSound(medium)) {
      builder.plain(medium);
      continue;
    }
    if (ids[i - 1] !== tokens.visionStart || ids[i + 1] !== tokens.visionEnd) {
      throw new DataError(
        "placeholder-mismatch",
        `${row}: the placeholder of ${medium.file}, a video with sound, is not enclosed by the ` +
          `start and end tokens of vision.`,
        { hint: "Let the chat template write the media; do not wrap them by hand." },
      );
    }
    builder.interleaved(medium);
    i++;
  }
  if (used < media.length) throw mismatch(row, undefined, used + 1, media[used]);
  return builder.finish();
}

type SoundVideo = Extract<MediumShape, { kind: "video" }> & { audioTokens: number };

function hasSound(medium: MediumShape | undefined): medium is SoundVideo {
  return medium?.kind === "video" && medium.audioTokens !== undefined;
}

function placeholderKind(id: number, tokens: MediaTokens): MediumShape["kind"] | undefined {
  if (id === tokens.audio) return "audio";
  if (id === tokens.image) return "image";
  return id === tokens.video ? "video" : undefined;
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

class LayoutBuilder {
  readonly #tokens: MediaTokens;
  readonly #config: LayoutConfig;
  readonly #ids: number[] = [];
  readonly #t: number[] = [];
  readonly #h: number[] = [];
  readonly #w: number[] = [];
  readonly #visionRows: number[] = [];
  readonly #audioRows: number[] = [];
  readonly #placeholders: { vision: number; audio: number }[] = [];
  #next = 0;

  constructor(tokens: MediaTokens, config: LayoutConfig) {
    this.#tokens = tokens;
    this.#config = config;
  }

  text(id: number): void {
    this.#put(id, this.#next, this.#next, this.#next);
    this.#next++;
  }

  plain(medium: Exclude<MediumShape, SoundVideo>): void {
    this.#placeholders.push({ vision: 0, audio: 0 });
    if (medium.kind === "audio") {
      for (let i = 0; i < medium.audioTokens; i++) this.#audio(this.#next + i);
      this.#next += medium.audioTokens;
      return;
    }
    const id = medium.kind === "image" ? this.#tokens.image : this.#tokens.video;
    const seconds = medium.kind === "image" ? 1 : medium.secondsPerGrid;
    const cells = visionTokens(medium.grid, this.#config.mergeSize);
    this.#next = this.#vision(id, medium.grid, seconds, this.#next, 0, cells) + 1;
  }

  /** Start tokens share a position, then chunks of video and audio in turn, then end tokens. */
  interleaved(video: SoundVideo): void {
    const { audioStart, audioEnd, visionStart, visionEnd, video: videoId } = this.#tokens;
    const { positionIdPerSeconds, secondsPerChunk, mergeSize } = this.#config;
    const { grid, secondsPerGrid, audioTokens } = video;
    this.#placeholders.push({ vision: 0, audio: 0 });
    this.#shared(visionStart, audioStart);
    const base = this.#next;
    const perSlice = visionTokens(grid, mergeSize) / grid[0];
    const videoTime = (i: number) =>
      Math.floor(i / perSlice) * secondsPerGrid * positionIdPerSeconds;
    const width = Math.trunc(positionIdPerSeconds * secondsPerChunk);
    const videoChunks = splitChunks(perSlice * grid[0], videoTime, width);
    const audioChunks = splitChunks(audioTokens, (i) => i, width);
    let last = base;
    for (let j = 0; j < Math.max(videoChunks.length, audioChunks.length); j++) {
      const [videoChunk, audioChunk] = [videoChunks[j], audioChunks[j]];
      if (videoChunk) last = this.#vision(videoId, grid, secondsPerGrid, base, ...videoChunk);
      if (audioChunk) {
        for (let i = audioChunk[0]; i < audioChunk[1]; i++) this.#audio(base + i);
        last = base + audioChunk[1] - 1;
      }
    }
    // Only the last chunk counts, so text can stand before the end of a longer video.
    this.#next = last + 1;
    this.#shared(audioEnd, visionEnd);
  }

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

  #shared(...ids: number[]): void {
    for (const id of ids) this.#put(id, this.#next, this.#next, this.#next);
    this.#next++;
  }

  #audio(position: number): void {
    this.#audioRows.push(this.#ids.length);
    this.#placeholders.at(-1)!.audio++;
    this.#put(this.#tokens.audio, position, position, position);
  }

  /** Writes cells [start, end) of a picture or video; returns their largest position. */
  #vision(id: number, grid: Grid, seconds: number, base: number, start: number, end: number) {
    const { positionIdPerSeconds, mergeSize } = this.#config;
    const rows = grid[1] / mergeSize;
    const columns = grid[2] / mergeSize;
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
}

/**
 * Splits 0 .. count-1 into chunks by time.
 *
 * The counter advances once per element, not once per limit passed: a slice that jumps over several
 * limits has its elements spread over the next chunks, as in the reference.
 */
function splitChunks(
  count: number,
  time: (index: number) => number,
  width: number,
): [start: number, end: number][] {
  const chunks: [number, number][] = [];
  let start = 0;
  for (let i = 0; i < count; i++) {
    if (time(i) < (chunks.length + 1) * width) continue;
    chunks.push([start, i]);
    start = i;
  }
  chunks.push([start, count]);
  return chunks;
}
