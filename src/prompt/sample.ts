import { DataError } from "../core/errors.ts";
import type { ModelConfig } from "../network/config.ts";
import { audioTokens, melColumns } from "../network/towers/audio-layout.ts";
import type { LoadedMedium, MediumWarning, PlannedMedium } from "./media.ts";
import { type PatchGrid, type PromptLayout, visionTokens } from "./layout.ts";
import { brokenSeal, type Seal, type Sealed } from "./seal.ts";

/** What became of one medium; a video with sound has two entries, its pictures first. */
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

/** A log-mel spectrogram of one clip. */
export interface MelClip {
  /**
   * [melBins, columns] f32, mel band by mel band: the clip's frames and those after its end that the
   * tower sees.
   */
  data: Float32Array;
  /** Frames of the clip itself. */
  frames: number;
}

/** A row as the model takes it: S tokens, N patches. */
export interface Sample extends PromptLayout {
  /** The row's id. */
  id: string;
  /** [N, patchDim] f32: all pictures and videos in the order of the conversation. */
  patches: Float32Array;
  /** One grid per picture or video, in the same order. */
  grids: PatchGrid[];
  /** One clip per sound or soundtrack, in the order of the conversation. */
  mel: MelClip[];
  /** One entry per medium. */
  ledger: LedgerEntry[];
  /** What is no error but worth knowing; the messages name the row. */
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
  mergeSize: number,
): LedgerEntry[] {
  return planned.flatMap(({ shape, frames, seconds, melFrames, heardS }, medium) => {
    const entries: LedgerEntry[] = [];
    const written = placeholders[medium]!;
    if (shape.kind !== "audio") {
      const { kind, file, grid: gridThw } = shape;
      const featureRows = visionTokens(gridThw, mergeSize);
      const count = { featureRows, placeholders: written.vision };
      entries.push({ kind, file, medium, frames, seconds, ...count, gridThw });
    }
    const loaded = media[medium]!;
    if (melFrames > 0 && loaded.kind !== "image") {
      const count = { featureRows: audioTokens(melFrames), placeholders: written.audio };
      const { file } = loaded.audio!;
      entries.push({ kind: "audio", file, medium, frames: melFrames, seconds: heardS, ...count });
    }
    return entries;
  });
}

/** What of a sample the ledger is checked against. */
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
    ...sounds.map((entry, i) => ({ entry, rows: audioTokens(mel[i]?.frames ?? 0) })),
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
    const values = config.audio && melColumns(frames, config.audio) * config.audio.melBins;
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

/** The rows that features go to are exactly the placeholders of the sequence, in order. */
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
