/** The letters that options can have, in their order. */
export const OPTION_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";

/** The letter before an option that bears it: `A.`, `A)`, `(A)`, `A:`. */
const OWN_LETTER = /^\s*\(?([A-Z])\s*[.):]\s*/;

/** Tells whether each of some options bears the letter of its place. */
function bearLetters(options: readonly string[]): boolean {
  return options.every((option, at) => OWN_LETTER.exec(option)?.[1] === OPTION_LETTERS[at]);
}

/** Returns the options with `A. ` and so on before them, unless each bears its letter already. */
export function lettered(options: readonly string[]): string[] {
  if (bearLetters(options)) return [...options];
  return options.map((option, at) => `${OPTION_LETTERS[at]}. ${option}`);
}

/** Returns the options without their letters, where each bears its own; else as they are. */
export function unlettered(options: readonly string[]): string[] {
  if (!bearLetters(options)) return [...options];
  return options.map((option) => option.replace(OWN_LETTER, ""));
}
