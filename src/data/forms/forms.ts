/**
 * The forms in which rows are written: that of aubade and those of other trainers, each as the keys
 * that hold its parts. A row's form follows from its keys unless the configuration names it.
 */
import { DataError } from "../../core/errors.ts";

/** Keys that hold the media of a row beside its text, by what they hold. */
export const MEDIA_KEYS = {
  image: ["image", "images"],
  video: ["video", "videos"],
  audio: ["audio", "audios"],
} as const;

const LISTED = [...MEDIA_KEYS.image, ...MEDIA_KEYS.video, ...MEDIA_KEYS.audio];
/** Keys that mean the same in every form. */
const EVERYWHERE = ["id", "options", "problem_type", "num_generations"];

/** One form of rows: which keys hold what. */
export interface RowForm {
  /** Whose form it is, for the reference. */
  readonly doc: string;
  /** Keys that hold the prompt: messages, or a text. */
  readonly prompts: readonly string[];
  /** Keys that hold a question, of which a template makes the prompt. */
  readonly questions: readonly string[];
  /** Keys that hold media. */
  readonly media: readonly string[];
  /** Keys that hold the right answer. */
  readonly answers: readonly string[];
  /** Tells whether a row has the keys by which the form is known. */
  fits(row: Readonly<Record<string, unknown>>): boolean;
}

const has = (row: Readonly<Record<string, unknown>>, keys: readonly string[]): boolean =>
  keys.some((key) => row[key] !== undefined && row[key] !== null);

/** The forms by name. */
export const FORMS = {
  aubade: {
    doc: "aubade's own: `prompt`, or `question` with `media` and `options`",
    prompts: ["prompt", "messages", "conversation"],
    questions: ["question"],
    media: ["media"],
    answers: ["answer", "solution", "answer_index"],
    fits: (row) => !has(row, ["problem", "reward_model"]) && !has(row, LISTED),
  },
  trl: {
    doc: "TRL: `prompt` with `image` or `images`",
    prompts: ["prompt"],
    questions: [],
    media: LISTED,
    answers: ["solution", "answer"],
    fits: (row) => has(row, ["prompt"]) && has(row, LISTED) && !has(row, ["reward_model"]),
  },
  verl: {
    doc: "verl: `prompt` with tags, `images` or `videos`, `reward_model.ground_truth`",
    prompts: ["prompt"],
    questions: [],
    media: LISTED,
    answers: ["reward_model"],
    fits: (row) => has(row, ["reward_model"]),
  },
  "ms-swift": {
    doc: "ms-swift: `messages` with tags, `images`, `videos`, `audios`, `solution`",
    prompts: ["messages"],
    questions: [],
    media: LISTED,
    answers: ["solution", "answer"],
    fits: (row) => has(row, ["messages"]) && has(row, LISTED),
  },
  easyr1: {
    doc: "EasyR1: `problem` with tags, `images` or `videos`, `answer`",
    prompts: ["problem"],
    questions: [],
    media: LISTED,
    answers: ["answer", "solution"],
    fits: (row) => has(row, ["problem"]) && !has(row, ["path"]),
  },
  "video-r1": {
    doc: "Video-R1: `problem`, `options`, `path` with `data_type`, `solution`",
    prompts: [],
    questions: ["problem"],
    media: ["path"],
    answers: ["solution"],
    fits: (row) => has(row, ["problem"]) && has(row, ["path"]),
  },
} as const satisfies Record<string, RowForm>;

/** Name of a form of rows. */
export type FormName = keyof typeof FORMS;

/** Every key that means something in some form, for near misses. */
export const KNOWN_KEYS: readonly string[] = [
  ...new Set(
    Object.values(FORMS).flatMap((form: RowForm) => [
      ...form.prompts,
      ...form.questions,
      ...form.media,
      ...form.answers,
    ]),
  ),
  ...EVERYWHERE,
];

/** Returns the columns of a row that no form knows, for records; of bytes their number. */
export function otherColumns(
  columns: Readonly<Record<string, unknown>> = {},
): Record<string, unknown> | undefined {
  const others = Object.entries(columns).filter(([key]) => !KNOWN_KEYS.includes(key));
  if (others.length === 0) return undefined;
  const shown = others.map(([key, value]) => [
    key,
    value instanceof Uint8Array ? `${value.length} bytes` : value,
  ]);
  return Object.fromEntries(shown) as Record<string, unknown>;
}

/**
 * Returns the form of a row, by its keys.
 *
 * @throws {DataError} `bad-row` for a row that has the keys of none.
 */
export function formOf(row: Readonly<Record<string, unknown>>, place: string): RowForm {
  const found = Object.values(FORMS).find((form: RowForm) => form.fits(row));
  if (found !== undefined) return found;
  throw new DataError(
    "bad-row",
    `${place}: its keys ${Object.keys(row).join(", ")} are those of no form of rows.`,
    { hint: "Give it a prompt, or a question with media (docs/data.md)." },
  );
}

/**
 * Refuses a row in which two keys say the same: a form would ignore one of them.
 *
 * @throws {DataError} `ambiguous-row` that names both.
 */
export function checkOneMeaning(
  row: Readonly<Record<string, unknown>>,
  form: RowForm,
  named: boolean,
  place: string,
): void {
  const texts = ["prompt", "messages", "conversation", "problem"];
  const groups: readonly (readonly string[])[] = named
    ? [form.prompts, form.answers]
    : [
        texts,
        ["answer", "solution", "reward_model"],
        ["media", ...LISTED, "path"].filter((key) => key !== "path" || form.media.includes(key)),
      ];
  for (const group of groups) {
    const given = group.filter((key) => has(row, [key]));
    const [first, second] = given;
    if (second === undefined || allowed(given)) continue;
    throw new DataError("ambiguous-row", `${place}: it has both ${first} and ${second}.`, {
      hint: "Leave one of the two out, or set data.format to the form whose keys are meant.",
    });
  }
}

/** Tells whether keys that hold media are lists of several kinds, which stand beside each other. */
function allowed(given: readonly string[]): boolean {
  const kinds = Object.values(MEDIA_KEYS).map((keys) =>
    given.filter((key) => (keys as readonly string[]).includes(key)),
  );
  return kinds.flat().length === given.length && kinds.every(({ length }) => length <= 1);
}
