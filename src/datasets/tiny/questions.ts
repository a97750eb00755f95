import type { Random } from "../../core/random.ts";
import { SLOTS, type ClipContents } from "./clip.ts";
import { LETTERS, ORDINALS, type Letter } from "./words.ts";

/** Kinds of questions: about the picture, about the sound, and across the two in both directions. */
export const KINDS = ["see", "hear", "both", "both2"] as const;

/** A kind of question. */
export type Kind = (typeof KINDS)[number];

/** Kinds that GRPO and evaluation ask, in turn; `both2` is asked in supervised training only. */
export const ASKED_KINDS = ["see", "hear", "both"] as const satisfies readonly Kind[];

/** A question about one slot of a clip, with four options that all occur in the clip. */
export interface Question {
  kind: Kind;
  /** The six words of the question. */
  words: string[];
  /** The words of the four options, in the order shown. */
  options: string[];
  /** For each slot the word that would be right if that slot were asked for. */
  wordOfSlot: string[];
  /** The slot asked for, 0 to 3. */
  slot: number;
  /** The letter of the right option. */
  letter: Letter;
  /** The word that the thought restates first, for questions across picture and sound. */
  key: string | undefined;
}

/** The subject of a question; without it slot and letter are drawn uniformly. */
export interface Wanted {
  /** The slot to ask for, 0 to 3. */
  slot: number;
  /** The place of the right option, 0 to 3. */
  place: number;
}

/**
 * Asks a question of a kind about a clip.
 *
 * Since all four options occur in the clip, a blank picture or muted sound leaves chance, 1 in 4.
 */
export function makeQuestion(
  contents: ClipContents,
  kind: Kind,
  random: Random,
  wanted?: Wanted,
): Question {
  const slot = wanted?.slot ?? random.integer(SLOTS);
  const { colours, sounds } = contents;
  const aboutColour = kind === "see" || kind === "both";
  const wordOfSlot: string[] = aboutColour ? [...colours] : [...sounds];
  const keys: readonly string[] = aboutColour ? sounds : colours;
  const key = kind === "both" || kind === "both2" ? keys[slot]! : undefined;
  const asked = aboutColour ? "colour" : "sound";
  const ending = key === undefined ? [aboutColour ? "shown" : "heard", ORDINALS[slot]!] : [key];
  const words = ["Which", asked, ...(key === undefined ? ["is"] : ["goes", "with"]), ...ending];
  const order = random.permutation(SLOTS);
  if (wanted !== undefined) {
    const place = order.indexOf(slot);
    [order[place], order[wanted.place]] = [order[wanted.place]!, slot];
  }
  return {
    kind,
    words: [...words, "?"],
    options: order.map((at) => wordOfSlot[at]!),
    wordOfSlot,
    slot,
    letter: LETTERS[order.indexOf(slot)]!,
    key,
  };
}

/** Returns the text of a question with its options, as it follows the clip in the prompt. */
export function questionText(question: Question): string {
  const lines = question.options.map((option, place) => `\n${LETTERS[place]!} ${option}`);
  return question.words.map((word) => ` ${word}`).join("") + lines.join("");
}

/**
 * Returns the thought that names a slot and its word, with the restated key word first if there is
 * one.
 */
export function thoughtWords(question: Question, slot = question.slot): string[] {
  const restated = question.key === undefined ? [] : [question.key];
  return [...restated, ORDINALS[slot]!, question.wordOfSlot[slot]!];
}

/** Returns the letter of the option that names a slot's word. */
export function letterOfSlot(question: Question, slot: number): Letter {
  return LETTERS[question.options.indexOf(question.wordOfSlot[slot]!)]!;
}
