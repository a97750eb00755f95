import { DataError } from "../../core/errors.ts";
import { quoted } from "../../core/quoted.ts";

/** The six colours that a clip can show, with their nominal sRGB values (0 to 255). */
export const COLOURS = {
  red: [220, 40, 40],
  green: [40, 190, 60],
  blue: [50, 80, 230],
  yellow: [235, 215, 50],
  purple: [180, 60, 200],
  white: [235, 235, 235],
} as const;

/** The name of a colour. */
export type Colour = keyof typeof COLOURS;

/** The names of the colours, in the order of `COLOURS`. */
export const COLOUR_NAMES = Object.keys(COLOURS) as Colour[];

/** The six sounds that a clip can play. */
export const SOUNDS = ["horn", "bell", "hiss", "chirp", "buzz", "whistle"] as const;

/** The name of a sound. */
export type Sound = (typeof SOUNDS)[number];

/** How questions and thoughts name the four slots of a clip. */
export const ORDINALS = ["first", "second", "third", "last"] as const;

/** The letters of the four options. */
export const LETTERS = ["A", "B", "C", "D"] as const;

/** One option's letter. */
export type Letter = (typeof LETTERS)[number];

/** Every word of the task that is one token together with the space before it. */
export const SPACED_WORDS: readonly string[] = [
  ..."Which colour sound is shown heard goes with ?".split(" "),
  ...COLOUR_NAMES,
  ...SOUNDS,
  ...ORDINALS,
];

/** The tags and markers of the task, each one token by itself. */
export const TAGS = {
  imStart: "<|im_start|>",
  imEnd: "<|im_end|>",
  visionBos: "<|vision_bos|>",
  visionEos: "<|vision_eos|>",
  audioBos: "<|audio_bos|>",
  audioEos: "<|audio_eos|>",
  video: "<|VIDEO|>",
  audio: "<|AUDIO|>",
  think: "<think>",
  endThink: "</think>",
  answer: "<answer>",
  endAnswer: "</answer>",
  user: "user",
  assistant: "assistant",
  newline: "\n",
} as const;

/** Turns text into token ids without adding any. */
export type Encode = (text: string) => number[];

/** Token ids of the task's vocabulary. */
export interface TinyIds {
  /** Ids of the tags and markers. */
  readonly tags: Readonly<Record<keyof typeof TAGS, number>>;
  /** The id of an option letter. */
  letter(letter: string): number;
  /** The id of a word with its leading space. */
  word(word: string): number;
}

/**
 * Looks up the task's words in a tokenizer once.
 *
 * @throws {DataError} when a word or tag is not exactly one token, since questions, options and
 * thoughts must name a thing by one and the same id.
 */
export function tinyIds(encode: Encode): TinyIds {
  const one = (text: string): number => {
    const ids = encode(text);
    if (ids.length !== 1) {
      throw new DataError(
        "tiny-tokenizer",
        `The tiny task needs ${quoted(text)} to be one token; this tokenizer makes it ` +
          `${ids.length}.`,
        { hint: "Use the tokenizer of assets/tiny." },
      );
    }
    return ids[0]!;
  };
  const words = new Map(SPACED_WORDS.map((word) => [word, one(` ${word}`)]));
  const letters = new Map<string, number>(LETTERS.map((letter) => [letter, one(letter)]));
  const tags = Object.fromEntries(
    Object.entries(TAGS).map(([name, text]) => [name, one(text)]),
  ) as Record<keyof typeof TAGS, number>;
  const find = (map: Map<string, number>, key: string): number => {
    const id = map.get(key);
    if (id === undefined) {
      throw new DataError("tiny-word", `The tiny task has no word ${quoted(key)}.`);
    }
    return id;
  };
  return {
    tags,
    letter: (letter) => find(letters, letter),
    word: (word) => find(words, word),
  };
}
