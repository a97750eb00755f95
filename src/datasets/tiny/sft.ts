/**
 * Supervised examples of the warm start, as token ids: the four questions of a clip as branches of
 * one tree, dense alignment labels on the clip's placeholders, text-only letters, and the careless
 * teacher whose errors GRPO removes.
 */
import { DataError } from "../../core/errors.ts";
import type { Random } from "../../core/random.ts";
import { IGNORE } from "../../network/decoder/packed.ts";
import { drawContents, SLOT_SECONDS, SLOTS, type ClipContents } from "./clip.ts";
import { KINDS, letterOfSlot, makeQuestion, thoughtWords, type Question } from "./questions.ts";
import { LETTERS, ORDINALS, type TinyIds } from "./words.ts";

/** The role of a completion's token; losses are reported by role. */
export type Role = "plain" | "slot" | "word" | "letter";

/** Tokens after a shared prompt. */
export interface TinyBranch {
  /** Token ids; the last one is left out since nothing follows it. */
  ids: number[];
  /** For each of `ids` the id that its output should predict, or `IGNORE`: already shifted. */
  labels: number[];
  /** For each of `ids` the role of its label, or undefined where that is `IGNORE`. */
  roles: (Role | undefined)[];
}

/** One packed tree: a prompt computed once and branches that do not see each other. */
export interface TinyTree {
  promptIds: number[];
  branches: TinyBranch[];
}

/** How a teacher errs; all zero is the perfect teacher. */
export interface Teacher {
  /** By slot asked for: the chance to answer, consistently, for the slot before it (cyclic). */
  late: readonly number[];
  /** The chance to forget both answer tags. */
  forget: number;
}

/** The teacher of stage 1. */
const PERFECT_TEACHER: Teacher = { late: [0, 0, 0, 0], forget: 0 };

/** A completion with the role of each token. */
export interface TinyCompletion {
  ids: number[];
  roles: Role[];
}

/** Returns the 23 ids after the clip: question, options, end of turn, start of the answer. */
export function questionIds(ids: TinyIds, question: Question): number[] {
  const { newline, imEnd, imStart, assistant } = ids.tags;
  const options = question.options.flatMap((option, place) => [
    newline,
    ids.letter(LETTERS[place]!),
    ids.word(option),
  ]);
  const asked = question.words.map((word) => ids.word(word));
  return [...asked, ...options, imEnd, newline, imStart, assistant, newline];
}

/**
 * Returns the completion that answers for `slot`, with its end token: 8 or 9 ids, 2 fewer without
 * tags.
 */
export function completionIds(
  ids: TinyIds,
  question: Question,
  slot = question.slot,
  forgetTags = false,
): TinyCompletion {
  const { think, endThink, answer, endAnswer, imEnd } = ids.tags;
  const tokens: [id: number, role: Role][] = [[think, "plain"]];
  const thought = thoughtWords(question, slot);
  thought.forEach((word, at) => {
    const role = (["word", "slot"] as const)[thought.length - 1 - at] ?? "plain";
    tokens.push([ids.word(word), role]);
  });
  tokens.push([endThink, "plain"]);
  if (!forgetTags) tokens.push([answer, "plain"]);
  tokens.push([ids.letter(letterOfSlot(question, slot)), "letter"]);
  if (!forgetTags) tokens.push([endAnswer, "plain"]);
  tokens.push([imEnd, "plain"]);
  return { ids: tokens.map(([id]) => id), roles: tokens.map(([, role]) => role) };
}

/**
 * Returns the four questions of a clip as branches, loss on completion tokens only.
 *
 * promptIds: the prompt up to and including the clip; the same for every clip.
 */
export function clipTree(
  contents: ClipContents,
  ids: TinyIds,
  promptIds: number[],
  random: Random,
  teacher: Teacher = PERFECT_TEACHER,
): TinyTree {
  const branches = KINDS.map((kind) => {
    const question = makeQuestion(contents, kind, random);
    const isLate = random.uniform() < teacher.late[question.slot]!;
    const slot = isLate ? (question.slot + SLOTS - 1) % SLOTS : question.slot;
    const forgets = random.uniform() < teacher.forget;
    return branch(questionIds(ids, question), completionIds(ids, question, slot, forgets));
  });
  return { promptIds, branches };
}

/** Joins question and completion: the question's last position predicts the first answer token. */
function branch(question: number[], completion: TinyCompletion): TinyBranch {
  const silent = question.length - 1;
  return {
    ids: [...question, ...completion.ids.slice(0, -1)],
    labels: [...Array.from({ length: silent }, () => IGNORE), ...completion.ids],
    roles: [...Array.from({ length: silent }, () => undefined), ...completion.roles],
  };
}

/**
 * Dense alignment: labels for the prompt's placeholders, `IGNORE` elsewhere.
 *
 * A video token is labelled with its slot's colour, an audio token whose middle lies 0.20 to 0.36 s
 * into its slot with the slot's sound: 16 + 15 labels. Unlike a branch's labels they are what the
 * position itself should say, not the next token.
 *
 * @throws {DataError} when the prompt has not 16 video and 50 audio placeholders.
 */
export function alignmentLabels(
  contents: ClipContents,
  ids: TinyIds,
  promptIds: readonly number[],
): number[] {
  const videoTokens = 16;
  const audioTokens = 50;
  let video = 0;
  let audio = 0;
  const labels = promptIds.map((id) => {
    if (id === ids.tags.video) {
      const slot = Math.floor(video++ / (videoTokens / SLOTS));
      return slot < SLOTS ? ids.word(contents.colours[slot]!) : IGNORE;
    }
    if (id !== ids.tags.audio) return IGNORE;
    const middle = (audio++ + 0.5) / (audioTokens / (SLOTS * SLOT_SECONDS));
    const within = middle % SLOT_SECONDS;
    const slot = Math.floor(middle / SLOT_SECONDS);
    const heard = slot < SLOTS && within >= 0.2 && within <= 0.36;
    return heard ? ids.word(contents.sounds[slot]!) : IGNORE;
  });
  if (video !== videoTokens || audio !== audioTokens) {
    throw new DataError(
      "tiny-placeholders",
      `The tiny task needs ${videoTokens} video and ${audioTokens} audio placeholders in a ` +
        `prompt; this one has ${video} and ${audio}.`,
      { hint: "Sample 56 x 56 frames at 4 a second, and two seconds of sound." },
    );
  }
  return labels;
}

/**
 * Returns a question without a clip, with all four answers as branches: teaches letters.
 *
 * Loss on the letter, and for questions that name a slot also on that slot's word in the branch
 * that answers for it. Contents and kind are drawn at random, from all four kinds alike.
 */
export function textTree(ids: TinyIds, random: Random): TinyTree {
  const contents = drawContents(random);
  const question = makeQuestion(contents, KINDS[random.integer(KINDS.length)]!, random);
  const { imStart, user, newline } = ids.tags;
  return {
    promptIds: [imStart, user, newline, ...questionIds(ids, question)],
    branches: ORDINALS.map((_, slot) => {
      const completion = completionIds(ids, question, slot);
      const namesSlot = slot === question.slot && question.key === undefined;
      const counts = completion.roles.map(
        (role) => role === "letter" || (role === "slot" && namesSlot),
      );
      // The first token is predicted by the prompt and carries no loss here.
      return {
        ids: completion.ids.slice(0, -1),
        labels: completion.ids.map((id, at) => (counts[at] ? id : IGNORE)).slice(1),
        roles: completion.roles.map((role, at) => (counts[at] ? role : undefined)).slice(1),
      };
    }),
  };
}
