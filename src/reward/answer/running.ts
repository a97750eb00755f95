import type { Choice } from "./choice.ts";
import { isDenied, type Mention, mentionsIn, type Span } from "./mentions.ts";
import { type PartAnswer, unread } from "./answer.ts";
import { isStated, statementsIn } from "./statements.ts";
import { readWhole } from "./whole.ts";

/** An option that a text names. */
interface Named extends Mention {
  kind: "letter" | "words";
  end: number;
}

/**
 * Reads a canonical text of sentences. The last statement of an answer decides, then the words that
 * close an argument, then the only option that is named, then a last sentence that is one option.
 */
export function readRunning(text: string, choice: Choice): PartAnswer {
  const spelled = wordsIn(text, choice);
  const taken = spelled.map(({ at, end }): Span => [at, end]);
  const letters = mentionsIn(text, choice.letters, choice.words, taken).map((mention): Named => ({
    ...mention,
    kind: "letter",
    end: mention.at + 1,
  }));
  const stated = readStatements(text, letters, spelled, choice);
  if (stated !== undefined) return stated;
  const held = letters.filter(({ denied }) => !denied);
  const named = held.length > 0 ? held : spelled.filter(({ denied }) => !denied);
  if (named.length === 0) {
    const denied = letters.length + spelled.length > 0;
    return unread(denied ? "options are only denied" : "no option is named");
  }
  const only = oneOf(named);
  if (only !== undefined) return only;
  const [start, end] = lastSentence(text);
  return readWhole(text.slice(start, end), choice) === undefined
    ? unread("several options are named")
    : shifted(readWhole(text.slice(start, end), choice)!, start);
}

/**
 * Returns the last statement that holds an answer, firm ones before those that close an argument.
 */
function readStatements(
  text: string,
  letters: readonly Named[],
  spelled: readonly Named[],
  choice: Choice,
): PartAnswer | undefined {
  let firm: { at: number; answer: PartAnswer } | undefined;
  let weak: PartAnswer | undefined;
  const sentences = ends(text);
  let sentence = 0;
  for (const statement of statementsIn(text)) {
    const start = skipBlank(text, statement.end);
    while (sentence < sentences.length && sentences[sentence]! <= start) sentence++;
    const end = sentences[sentence] ?? text.length;
    const answer = statement.denied
      ? undefined
      : readTarget(text, [start, end], letters, spelled, choice, statement.firm);
    if (answer === undefined) continue;
    if (statement.firm) firm = { at: start, answer };
    else weak = answer;
  }
  for (const mention of letters) {
    if (mention.denied || mention.at < (firm?.at ?? 0) || !isStated(text.slice(mention.end, mention.end + 64))) continue; // prettier-ignore
    firm = { at: mention.at, answer: found(mention) };
  }
  return firm?.answer ?? weak;
}

/** Reads what a statement says: the option at its start, else the only one in its sentence. */
function readTarget(
  text: string,
  [start, end]: Span,
  letters: readonly Named[],
  spelled: readonly Named[],
  choice: Choice,
  firm: boolean,
): PartAnswer | undefined {
  const target = text.slice(start, end);
  const whole = firm ? readWhole(target, choice) : undefined;
  if (whole !== undefined && whole.kind !== "unparsed") return shifted(whole, start);
  const within = (named: readonly Named[]) => between(named, start, end).filter(({ denied }) => !denied); // prettier-ignore
  const [own, words] = [within(letters), within(spelled)];
  const first = own[0];
  if (first !== undefined) {
    const lead = text.slice(start, first.at);
    const rivals = own.filter(({ letter }) => letter !== first.letter);
    if (rivals.length === 0) return found(first);
    // "B, since A is red" states B; "A or B" and "A, B" state neither.
    const listed =
      /^[\s"')\]]*(?:[,/&]|and|or|[\u548c\u6216\u4e0e\u8207\u3068\u304b]|\ub610\ub294)?[\s"'([]*(?:option\s+|or\s+|and\s+)?[\s"'([]*$/iu.test(
        text.slice(first.end, rivals[0]!.at),
      );
    if (/^[\s"'([]*(?:(?:clearly|likely|probably|most|definitely|option|choice|letter|the)\s*)*["'([]*$/i.test(lead) && !listed) return found(first); // prettier-ignore
    return unread("several options are named");
  }
  if (whole !== undefined) return whole;
  if (words.length === 0) return undefined;
  const only = oneOf(words);
  return only ?? (words[0]!.at <= start + 8 && firm ? found(words[0]!) : undefined);
}

/** Returns the option of named ones that are all the same. */
function oneOf(named: readonly Named[]): PartAnswer | undefined {
  const last = named.at(-1);
  return last !== undefined && named.every(({ letter }) => letter === last.letter)
    ? found(last)
    : undefined;
}

function found({ kind, letter, at, end }: Named): PartAnswer {
  return { kind, letter, at, end };
}

function shifted(answer: PartAnswer, by: number): PartAnswer {
  if (answer.kind === "unparsed") return answer;
  return { ...answer, at: answer.at + by, end: answer.end + by };
}

/** Those that stand in a stretch; the list is in order of place. */
function between(named: readonly Named[], start: number, end: number): Named[] {
  let [low, high] = [0, named.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (named[middle]!.at < start) low = middle + 1;
    else high = middle;
  }
  const inside: Named[] = [];
  for (; low < named.length && named[low]!.at < end; low++) inside.push(named[low]!);
  return inside;
}

/**
 * Finds the words of options that stand as whole words, the longest where they overlap, in order.
 */
function wordsIn(text: string, { letters, words }: Choice): Named[] {
  const lower = text.toLowerCase();
  // A rare capital grows in lower case, and then places would not be those of the text.
  if (lower.length !== text.length) return [];
  const all = words.flatMap(
    (option, place) =>
    option.length > 1 ? occurrences(lower, option).map((at) => ({ at, end: at + option.length, letter: letters[place]! })) : [], // prettier-ignore
  );
  all.sort((a, b) => a.at - b.at || b.end - a.end);
  const kept: Named[] = [];
  for (const one of all) {
    if (one.at < (kept.at(-1)?.end ?? 0)) continue;
    const denied = isDenied(text.slice(Math.max(0, one.at - 48), one.at), text.slice(one.end, one.end + 48)); // prettier-ignore
    kept.push({ ...one, kind: "words", denied });
  }
  return kept;
}

const SPACED = /(?![\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\u30fc])[\p{L}\p{N}_]/u; // prettier-ignore

/** Returns the indices at which words stand in a text, not inside longer ones. */
function occurrences(text: string, words: string): number[] {
  const places: number[] = [];
  const spaced = (at: number): boolean => SPACED.test(text.charAt(at));
  const [first, last] = [SPACED.test(words.charAt(0)), SPACED.test(words.at(-1)!)];
  for (let at = text.indexOf(words); at >= 0; at = text.indexOf(words, at + 1)) {
    const end = at + words.length;
    if (!(first && at > 0 && spaced(at - 1)) && !(last && spaced(end))) places.push(at);
  }
  return places;
}

/** Returns the indices at which sentences end. */
function ends(text: string): number[] {
  const places = Array.from(
    text.matchAll(/[!?;]|\.(?=\s|$|["')\]]|[^\x20-\x7e])|\n/g),
    ({ index }) => index + 1,
  );
  return places;
}

function skipBlank(text: string, at: number): number {
  let start = at;
  while (start < text.length && /[\s:,]/.test(text[start]!)) start++;
  return start;
}

/** Returns the last sentence that is not blank. */
function lastSentence(text: string): Span {
  const trimmed = text.replace(/[\s.!?;"')\]]+$/, "");
  const start = Math.max(0, ...ends(trimmed));
  return [start, trimmed.length];
}
