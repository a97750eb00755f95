import { DataError } from "../core/errors.ts";
import type { PictureShape } from "../network/tower.ts";
import type { PlannedMedium } from "./media.ts";
import { visionTokens } from "./layout.ts";

/** How many tokens a prompt has, and for what. */
export interface PromptMeasure {
  id: string;
  /** All tokens of the prompt. */
  tokens: number;
  /** Tokens that are no placeholders. */
  text: number;
  /** Placeholders of pictures and videos. */
  vision: number;
  /** Placeholders of sound. */
  audio: number;
}

/** How many tokens a prompt may have, and how a user makes it more. */
export interface BudgetOptions {
  /** Maximum of tokens of a prompt; a longer one is an error, never cut. */
  maxPromptTokens?: number | undefined;
  /** Says how to make room for so many, for the error. Default: "Raise the budget to ...". */
  raiseBudget?: ((tokens: number) => string) | undefined;
}

/**
 * Checks that a prompt fits, and else says what would.
 *
 * @throws {DataError} `prompt-over-budget` with the row, its numbers and limits that would fit.
 */
export function checkBudget(
  measure: PromptMeasure,
  planned: readonly PlannedMedium[],
  vision: PictureShape | undefined,
  { maxPromptTokens = Infinity, raiseBudget = raise }: BudgetOptions,
): void {
  const { id: row, tokens, text, audio } = measure;
  if (tokens <= maxPromptTokens) return;
  const media = planned.map(({ shape, frames, sizes }) => {
    if (shape.kind === "audio") return `${shape.file} ${shape.audioTokens} for sound`;
    const pixels = `${frames} x ${sizes.at(-1)!.width} x ${sizes.at(-1)!.height}`;
    const sound = shape.kind === "video" && shape.audioTokens ? ` + ${shape.audioTokens}` : "";
    return `${shape.file} ${visionTokens(shape.grid, vision!.mergeSize)} for ${pixels}${sound}`;
  });
  const parts = [`${text} text`, ...media].join(", ");
  throw new DataError(
    "prompt-over-budget",
    `${row}: the prompt has ${tokens} tokens but ${maxPromptTokens} are allowed (${parts}).`,
    { hint: advice(measure, planned, vision, maxPromptTokens - text - audio, raiseBudget) },
  );
}

function raise(tokens: number): string {
  return `Raise the budget to ${tokens}`;
}

/**
 * Returns the advice for a row over budget: fewer pixels of each picture, all alike, or fewer
 * frames.
 */
function advice(
  { tokens, vision: visionCount }: PromptMeasure,
  planned: readonly PlannedMedium[],
  vision: PictureShape | undefined,
  room: number,
  raiseBudget: (tokens: number) => string,
): string {
  const raised = raiseBudget(tokens);
  const slices = planned.map(({ shape }) => (shape.kind === "audio" ? 0 : shape.grid[0]));
  const total = slices.reduce((sum, count) => sum + count, 0);
  if (vision === undefined || visionCount === 0 || room < 1)
    return `${raised} or shorten text and sound.`;
  const cellPixels = (vision.patchSize * vision.mergeSize) ** 2;
  const cells = Math.floor(room / total);
  const choices: string[] = [];
  // Fewer than four cells is below the least size of a picture.
  if (cells >= 4) choices.push(`set max_pixels to ${cells * cellPixels} per frame`);
  const frames = planned.reduce(
    (sum, { shape, frames: n }) => (shape.kind === "video" ? sum + n : sum),
    0,
  );
  const { temporalPatchSize } = vision;
  const fewer = Math.floor((room * frames) / visionCount / temporalPatchSize) * temporalPatchSize;
  if (frames > 0 && fewer >= temporalPatchSize) choices.push(`choose ${fewer} frames of video`);
  return `${[raised, ...choices].join(", or ")}.`;
}
