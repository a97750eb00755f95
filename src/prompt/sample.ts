import { DataError } from "../core/errors.ts";
import { hash32 } from "../core/random.ts";
import type { ModelConfig } from "../network/config.ts";
import type { MediaTensors, PatchGrid } from "../network/media.ts";
import type { LoadedMedium, MediumWarning, PlannedMedium } from "./media.ts";
import type { TokenSpan } from "./answer-spans.ts";
import { type PromptLayout, visionTokens } from "./layout.ts";

/** The fate of one medium; a video with sound has two entries, its pictures first. */
export interface LedgerEntry {
  kind: "image" | "video" | "audio";
  /** The file that was decoded. */
  file: string;
  /** Which medium of the conversation, from 0; a soundtrack has the number of its video. */
  medium: number;
  /** Pictures that were chosen, or mel frames. */
  frames: number;
  /** Length in seconds; 0 for an image. */
  seconds: number;
  /** Rows that the tower makes of it. */
  featureRows: number;
  /** Placeholder tokens that it has in the prompt. */
  placeholders: number;
  /** Temporal slices, rows and columns in patches; only for pictures. */
  gridThw?: PatchGrid;
}

/**
 * Sums over what a processor made of a row, each begun with the row's id: where they are no longer
 * right, something was cut, doubled, moved or taken from another row since.
 */
export interface Seal {
  /** Tokens of the prompt as it was laid out. */
  tokens: number;
  /** Sum over token ids, positions, the next position, and the rows that features go to. */
  prompt: number;
  /** One sum per entry of the ledger, over its patches or its log-mel values. */
  media: readonly number[];
}

/** A row as the model takes it: S tokens, N patches. */
export interface Sample extends PromptLayout, MediaTensors {
  /** The row's id. */
  id: string;
  /** One entry per medium. */
  ledger: LedgerEntry[];
  /** Tokens that the assistant says, where that was asked for. */
  answers?: TokenSpan[] | undefined;
  /** Warnings, whose messages name the row. */
  warnings: MediumWarning[];
  /** Tells that nothing was changed since the row was processed; absent from a sample made by hand. */
  seal?: Seal | undefined;
}

/**
 * Writes down what became of every medium.
 *
 * Placeholders are those that the layout wrote; feature rows are what the plan promises.
 */
export function makeLedger(
  planned: readonly PlannedMedium[],
  media: readonly LoadedMedium[],
  placeholders: PromptLayout["placeholders"],
  { vision, audio }: Pick<ModelConfig, "vision" | "audio">,
): LedgerEntry[] {
  return planned.flatMap(({ shape, frames, seconds, melFrames, heardS }, medium) => {
    const entries: LedgerEntry[] = [];
    const written = placeholders[medium]!;
    if (shape.kind !== "audio") {
      const { kind, file, grid: gridThw } = shape;
      const featureRows = visionTokens(gridThw, vision!.mergeSize);
      const count = { featureRows, placeholders: written.vision };
      entries.push({ kind, file, medium, frames, seconds, ...count, gridThw });
    }
    const loaded = media[medium]!;
    if (melFrames > 0 && loaded.kind !== "image") {
      const count = { featureRows: audio!.tokens(melFrames), placeholders: written.audio };
      const { file } = loaded.audio!;
      entries.push({ kind: "audio", file, medium, frames: melFrames, seconds: heardS, ...count });
    }
    return entries;
  });
}

/** The part of a sample against which the ledger is checked. */
export type LedgerSubject = Sealed & Pick<Sample, "seal">;

/**
 * Checks that placeholders, feature rows and ledger agree for every medium of a sample, and that a
 * sample of a processor is still what it made.
 *
 * The three are counted independently: placeholders in the tokens, rows in the tensors. What counts
 * cannot tell (text that was cut, positions of another prompt, a sound of another row that is as
 * long) breaks the seal.
 *
 * @throws {DataError} `ledger-mismatch` that names the row and, where it is about one, the file.
 */
export function checkLedger(sample: LedgerSubject, config: ModelConfig): void {
  const { id: row, ledger, grids, mel } = sample;
  const { mergeSize, patchDim } = config.vision ?? { mergeSize: 1, patchDim: 0 };
  const pictures = ledger.filter((entry) => entry.kind !== "audio");
  const sounds = ledger.filter((entry) => entry.kind === "audio");
  const refuse = (what: string) => new DataError("ledger-mismatch", `${row}: ${what}.`, { hint });
  const fail = (entry: LedgerEntry | undefined, what: string) =>
    refuse(`${entry?.file ?? "a medium"} ${what}`);
  for (const entry of ledger) {
    if (entry.placeholders === entry.featureRows && entry.featureRows > 0) continue;
    const { placeholders, featureRows } = entry;
    throw fail(entry, `has ${placeholders} placeholders but ${featureRows} feature rows`);
  }
  const actualRows = [
    ...pictures.map((entry, i) => ({ entry, rows: rowsOf(grids[i], mergeSize) })),
    ...sounds.map((entry, i) => ({ entry, rows: config.audio!.tokens(mel[i]?.frames ?? 0) })),
  ];
  for (const { entry, rows } of actualRows) {
    if (rows === entry.featureRows) continue;
    throw fail(entry, `has ${entry.featureRows} feature rows in the ledger but ${rows} in tensors`);
  }
  const patchRows = grids.reduce((sum, [t, h, w]) => sum + t * h * w, 0);
  if (patchRows * patchDim !== sample.patches.length || grids.length !== pictures.length) {
    throw fail(
      pictures.at(-1),
      `and ${grids.length} grids need ${patchRows} patches of ${patchDim}`,
    );
  }
  for (const [i, { data, frames }] of mel.entries()) {
    const values = config.audio && config.audio.columns(frames) * config.audio.melBins;
    if (data.length === values && mel.length === sounds.length) continue;
    throw fail(sounds[i], `has ${data.length} log-mel values for ${frames} frames`);
  }
  const { audio, image, video } = config.tokens;
  checkRows(sample.visionRows, sample.inputIds, [image, video], pictures, fail);
  checkRows(sample.audioRows, sample.inputIds, [audio], sounds, fail);
  const { length } = sample.inputIds;
  if (sample.positions.length !== 3 * length) {
    throw refuse(`${sample.positions.length} positions on three axes for ${length} tokens`);
  }
  const broken = sample.seal && brokenSeal(sample, sample.seal);
  if (broken === undefined) return;
  throw broken.entry === undefined ? refuse(broken.what) : fail(ledger[broken.entry], broken.what);
}

const hint = "Process the row again from its files; if that does not help, report a defect.";

function rowsOf(grid: PatchGrid | undefined, mergeSize: number): number {
  return grid === undefined ? 0 : visionTokens(grid, mergeSize);
}

/** Checks that features go exactly to the placeholders of the sequence, in order. */
function checkRows(
  rows: Uint32Array,
  ids: Uint32Array,
  placeholders: readonly (number | undefined)[],
  entries: LedgerEntry[],
  fail: (entry: LedgerEntry | undefined, what: string) => DataError,
): void {
  const found: number[] = [];
  ids.forEach((id, i) => {
    if (placeholders.includes(id)) found.push(i);
  });
  const listed = entries.reduce((sum, entry) => sum + entry.placeholders, 0);
  if (found.length === listed && rows.length === listed && found.every((at, i) => at === rows[i])) {
    return;
  }
  const what = `and its like have ${listed} placeholders in the ledger, ${found.length} in the tokens`;
  throw fail(entries.at(-1), `${what} and ${rows.length} in the list of rows`);
}

/** The part of a sample that is sealed. */
type Sealed = Pick<
  Sample,
  | "id"
  | "inputIds"
  | "positions"
  | "nextPos"
  | "visionRows"
  | "audioRows"
  | "patches"
  | "grids"
  | "mel"
  | "ledger"
>;

/** Values of a medium that are summed at most; of more, every k-th, so that a check stays cheap. */
const MOST_VALUES = 65_536;

/** Seals a sample. */
export function sealOf(sample: Sealed): Seal {
  const { id: row, inputIds, positions, nextPos, visionRows, audioRows } = sample;
  let prompt = hash32(row);
  for (const list of [inputIds, positions, [nextPos], visionRows, audioRows]) {
    prompt = sum(prompt, list, 1);
  }
  return { tokens: inputIds.length, prompt, media: mediaOf(sample).map((data) => mark(row, data)) };
}

/**
 * Returns the part of a sealed sample that is no longer as its processor made it; undefined when
 * all is.
 *
 * `entry` is the place in the ledger of the medium that differs.
 */
function brokenSeal(
  sample: Sealed,
  seal: Seal,
): { entry: number | undefined; what: string } | undefined {
  const now = sealOf(sample);
  const entry = seal.media.findIndex((value, i) => value !== now.media[i]);
  if (entry >= 0) {
    return { entry, what: "has other values in the tensors than its processor made of this row" };
  }
  if (now.tokens !== seal.tokens) {
    const what = `has ${now.tokens} tokens where its processor laid out ${seal.tokens}`;
    return { entry: undefined, what: `the prompt ${what}` };
  }
  if (now.prompt === seal.prompt) return undefined;
  const what = "the prompt has other tokens, positions or rows than its processor laid out";
  return { entry: undefined, what };
}

/** Returns the values of every entry of the ledger. */
function mediaOf({ ledger, grids, patches, mel }: Sealed): Float32Array[] {
  const cells = grids.reduce((total, [t, h, w]) => total + t * h * w, 0);
  const width = cells === 0 ? 0 : patches.length / cells;
  let picture = 0;
  let sound = 0;
  let at = 0;
  return ledger.map(({ kind }) => {
    if (kind === "audio") return mel[sound++]?.data ?? new Float32Array();
    const [t, h, w] = grids[picture++] ?? [0, 0, 0];
    return patches.subarray(at, (at += t * h * w * width));
  });
}

function mark(row: string, data: Float32Array): number {
  const bits = new Uint32Array(data.buffer, data.byteOffset, data.length);
  const start = Math.imul(hash32(row) ^ data.length, PRIME);
  return sum(start, bits, Math.ceil(data.length / MOST_VALUES));
}

const PRIME = 0x01000193;

/** FNV-1a over every `stride`-th word, with a shift: a product alone never moves high bits down. */
function sum(start: number, words: ArrayLike<number>, stride: number): number {
  let hash = start;
  for (let i = 0; i < words.length; i += stride) {
    hash = Math.imul(hash ^ words[i]!, PRIME);
    hash ^= hash >>> 15;
  }
  return Math.imul(hash ^ words.length, PRIME) >>> 0;
}
