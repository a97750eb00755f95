import { DataError } from "../../core/errors.ts";
import { Random } from "../../core/random.ts";
import { CLIP_VERSION, clipContents, SLOTS } from "./clip.ts";
import { ASKED_KINDS, makeQuestion, questionText, type Kind } from "./questions.ts";
import { LETTERS, type Letter } from "./words.ts";

/** Frames per second at which the model samples a clip. */
export const SAMPLED_FPS = 4;
/** Minimum and only frame area in pixels; without it frames would be scaled up. */
const MIN_PIXELS = 56 * 56;

/** Which part of the data: clips to train on, or clips that are only asked. */
export type Split = "train" | "held-out";

/** Seeds of the clip generators: each use has clips of its own. */
export const CLIP_SEEDS = { sft: 1, "held-out": 2, train: 3 } as const;

/** A part of a message, in the format of Hugging Face chat templates. */
export type TinyPart =
  | { type: "video"; video: string; fps: number; min_pixels: number; use_audio_in_video: true }
  | { type: "text"; text: string };

/** One message of a conversation. */
export interface TinyMessage {
  role: "system" | "user" | "assistant";
  content: TinyPart[];
}

/** One question about one clip. */
export interface TinyRow {
  /** Stable name of the sample, such as `tiny-train-3-0017`. */
  id: string;
  split: Split;
  /** Index of the clip in its generator. */
  clipIndex: number;
  /** Path of the clip's file. */
  mediaNames: string;
  kind: Kind;
  /** The question without its options. */
  question: string;
  /** The four options, in the order shown. */
  options: string[];
  /** The right option's letter. */
  answer: Letter;
  /** The prompt: one user message with the clip, whose sound belongs to it, and the text. */
  conversation: TinyMessage[];
}

/** Options of a `TinyDataset`. */
export interface TinyOptions {
  split: Split;
  /** Number of clips, each asked once. */
  clips: number;
  /** Folder in which `prepareClips` put this generator's files. */
  folder: string;
  /** Seed of the clip generator. */
  seed?: number;
  /** Kinds asked in turn. */
  kinds?: readonly Kind[];
}

/** Returns the name of a clip's file: its index, which tells nothing about what is in it. */
export function clipFileName(index: number): string {
  return `${String(index).padStart(5, "0")}.mp4`;
}

/**
 * Returns the name of the folder of a generator's clips; another version of the generator has
 * another one.
 */
export function clipFolderName(seed: number): string {
  return `tiny-v${CLIP_VERSION}-seed${seed}`;
}

/**
 * The questions of the tiny task, one a clip.
 *
 * Row n is a function of (seed, kinds, n) only. Kinds come in turn; within a kind every block of 16
 * rows asks each of the four slots with the right answer at each of the four letters once, so
 * neither a letter nor a slot can be guessed better than 1 in 4.
 */
export class TinyDataset {
  readonly split: Split;
  /** Number of rows. */
  readonly length: number;
  readonly #folder: string;
  readonly #seed: number;
  readonly #kinds: readonly Kind[];

  constructor(options: TinyOptions) {
    this.split = options.split;
    this.length = options.clips;
    this.#folder = options.folder;
    this.#seed = options.seed ?? CLIP_SEEDS[options.split];
    this.#kinds = options.kinds ?? ASKED_KINDS;
    if (this.#kinds.length === 0) {
      throw new DataError("tiny-kinds", "The tiny task has no kind of question to ask.", {
        hint: `List at least one of ${ASKED_KINDS.join(", ")}.`,
      });
    }
  }

  /**
   * Row `index`, 0 to `length` - 1.
   *
   * @throws {DataError} when there is no such row.
   */
  row(index: number): TinyRow {
    if (!Number.isInteger(index) || index < 0 || index >= this.length) {
      throw new DataError(
        "tiny-row",
        `The ${this.split} part of the tiny task has rows 0 to ${this.length - 1}, not ${index}.`,
      );
    }
    const contents = clipContents(this.#seed, index);
    const kind = this.#kinds[index % this.#kinds.length]!;
    const random = new Random(this.#seed, "question", index);
    const question = makeQuestion(contents, kind, random, this.#wanted(index));
    const media = `${this.#folder}/${clipFileName(index)}`;
    return {
      id: `tiny-${this.split}-${this.#seed}-${String(index).padStart(5, "0")}`,
      split: this.split,
      clipIndex: index,
      mediaNames: media,
      kind,
      question: question.words.join(" "),
      options: question.options,
      answer: question.letter,
      conversation: [
        {
          role: "user",
          content: [
            {
              type: "video",
              video: media,
              fps: SAMPLED_FPS,
              min_pixels: MIN_PIXELS,
              use_audio_in_video: true,
            },
            { type: "text", text: questionText(question) },
          ],
        },
      ],
    };
  }

  #wanted(index: number): { slot: number; place: number } {
    const kind = index % this.#kinds.length;
    const turn = Math.floor(index / this.#kinds.length);
    const cells = SLOTS * LETTERS.length;
    // Substream 1 + kind keeps the block's draws apart from the rows' own, which use substream 0.
    const random = new Random(this.#seed, "question", Math.floor(turn / cells), 1 + kind);
    const cell = random.permutation(cells)[turn % cells]!;
    return { slot: Math.floor(cell / LETTERS.length), place: cell % LETTERS.length };
  }
}
