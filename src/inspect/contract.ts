import { DataError } from "../core/errors.ts";
import type { ModelConfig } from "../network/config.ts";
import type { PatchGrid } from "../network/media.ts";
import { type MediaTokens, type MediumShape, visionTokens } from "../prompt/layout.ts";

type Kind = MediumShape["kind"];

/** Media that prepared prompts take from, in order. */
export interface PreparedMedia {
  image: readonly PatchGrid[];
  video: readonly PatchGrid[];
  /** Of every video. */
  secondsPerGrid: readonly number[];
  /** Mel frames of every sound and soundtrack. */
  frames: readonly number[];
  /** How many of each kind earlier rows took; counted on here. */
  used: Record<Kind, number>;
}

/**
 * Contracts the placeholders of one expanded prompt to one per medium.
 *
 * A run may hold several media of its kind. After the start tokens of vision and of sound, both kinds
 * alternate: one video with its soundtrack.
 *
 * @throws {DataError} `placeholder-mismatch` that names the medium, its placeholders and its rows.
 */
export function contractRow(
  ids: Int32Array,
  media: PreparedMedia,
  config: ModelConfig,
  row: string,
): { contracted: number[]; shapes: MediumShape[] } {
  const { tokens } = config;
  const contracted: number[] = [];
  const shapes: MediumShape[] = [];
  const kindAt = (i: number) =>
    (["audio", "image", "video"] as const).find((kind) => tokens[kind] === ids[i]);
  const runEnd = (from: number, ...kinds: Kind[]) => {
    let end = from;
    for (let kind = kindAt(end); kind !== undefined && kinds.includes(kind);) kind = kindAt(++end);
    return end;
  };
  for (let i = 0; i < ids.length;) {
    const withSound =
      tokens.visionStart !== undefined &&
      ids[i] === tokens.visionStart &&
      ids[i + 1] === tokens.audioStart;
    if (withSound) {
      const end = runEnd(i + 2, "audio", "video");
      const run = ids.subarray(i + 2, end);
      const video = take("video", media, config, row);
      const sound = take("audio", media, config, row);
      const count = (kind: Kind) => run.filter((id) => id === tokens[kind]).length;
      checkRun(count("video"), rowsOf(video, config), `${video.file}, a video with sound,`, row);
      checkRun(count("audio"), rowsOf(sound, config), `${sound.file}, its soundtrack,`, row);
      contracted.push(tokens.visionStart!, tokens.video!, tokens.visionEnd!);
      shapes.push({ ...video, audioTokens: rowsOf(sound, config) } as MediumShape);
      // Its end tokens are part of it; the layout puts them back, and the caller compares.
      i = end + 2;
      continue;
    }
    const kind = kindAt(i);
    if (kind === undefined) {
      contracted.push(ids[i++]!);
      continue;
    }
    const end = runEnd(i, kind);
    const first = take(kind, media, config, row, end - i);
    const run = [first];
    let rows = rowsOf(first, config);
    while (rows < end - i && media.used[kind] < held(kind, media)) {
      run.push(take(kind, media, config, row));
      rows += rowsOf(run.at(-1)!, config);
    }
    // Several media may stand side by side; where they do not fill the run, the first is to blame.
    if (rows !== end - i) checkRun(end - i, rowsOf(first, config), first.file, row);
    contracted.push(...run.map(() => tokens[kind]!));
    shapes.push(...run);
    i = end;
  }
  return { contracted, shapes };
}

function held(kind: Kind, media: PreparedMedia): number {
  return kind === "audio" ? media.frames.length : media[kind].length;
}

/** Returns the next medium of a kind. */
function take(
  kind: Kind,
  media: PreparedMedia,
  config: ModelConfig,
  row: string,
  placeholders?: number,
): MediumShape {
  const index = media.used[kind]++;
  const file = `${kind} ${index + 1}`;
  if (index >= held(kind, media)) {
    const count = placeholders === undefined ? "placeholders" : `${placeholders} placeholders`;
    throw new DataError(
      "placeholder-mismatch",
      `${row}: there are ${count} of ${file}, but features of ${index} of that kind only.`,
      { hint: "Does a completion hold a placeholder token, or are features missing?" },
    );
  }
  if (kind === "audio") {
    return { kind, file, audioTokens: config.audio!.tokens(media.frames[index]!) };
  }
  const grid = media[kind][index]!;
  if (kind === "image") return { kind, file, grid };
  const secondsPerGrid = media.secondsPerGrid[index]!;
  const times = Array.from({ length: grid[0] }, (_, slice) => slice * secondsPerGrid);
  return { kind, file, grid, secondsPerGrid, times };
}

function rowsOf(medium: MediumShape, { vision }: ModelConfig): number {
  if (medium.kind === "audio") return medium.audioTokens;
  return visionTokens(medium.grid, vision!.mergeSize);
}

function checkRun(placeholders: number, rows: number, file: string, row: string): void {
  if (placeholders === rows) return;
  throw new DataError(
    "placeholder-mismatch",
    `${row}: ${file} has ${placeholders} placeholders but ${rows} feature rows.`,
    {
      hint:
        placeholders > rows
          ? "Were the placeholders expanded twice?"
          : "Was the prompt cut off within a medium?",
    },
  );
}

/**
 * Returns the ids of media tokens that a configuration names, where there is no tokenizer to ask.
 */
export function mediaTokens({ tokens }: Pick<ModelConfig, "tokens">): MediaTokens {
  const named = Object.entries(tokens).filter(([, id]) => id !== undefined);
  return Object.fromEntries(named) as MediaTokens;
}

/** Stands in for a tokenizer in layouts of prepared prompts. */
export function noTokenizer(row: string): (text: string) => number[] {
  return (text) => {
    throw new DataError(
      "no-tokenizer",
      `${row}: this family writes "${text}" into prompts, and prepared tensors come without a tokenizer.`,
      { hint: "Give a conversation instead of prepared tensors." },
    );
  };
}
