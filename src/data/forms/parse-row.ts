import { DataError } from "../../core/errors.ts";
import { quoted } from "../../core/quoted.ts";
import { nearest } from "../../core/nearest.ts";
import { type Conversation, type MediaPart, mediaParts } from "../../text/chat-template.ts";
import { parseConversation } from "../../text/conversation.ts";
import type { DataRow } from "../dataset.ts";
import { mediaName, withMediaIn } from "../media-paths.ts";
import { type PromptName, PROMPTS } from "../prompts/prompts.ts";
import {
  checkOneMeaning,
  type FormName,
  formOf,
  FORMS,
  KNOWN_KEYS,
  MEDIA_KEYS,
  type RowForm,
} from "./forms.ts";
import { placeMedia } from "./place-media.ts";

/** How rows of a file are read. */
export interface RowOptions {
  /** Template of rows that have a question in place of a prompt. */
  readonly template: PromptName;
  /** Form of all rows; undefined where each follows from its keys. */
  readonly format?: FormName | undefined;
  /** Folder that paths of media are relative to. */
  readonly folder: string;
  /** True where a prompt may end with the assistant's answer; default false. */
  readonly answered?: boolean | undefined;
}

type Keys = Readonly<Record<string, unknown>>;

/**
 * Reads one row of a table: its prompt with media, its right answer, and every key for rewards.
 *
 * @param place where it stands, such as `rows.jsonl:12`; also its id where it names none.
 * @throws {DataError} `bad-row`, `ambiguous-row`, `media-count`, `bad-conversation`, `no-options`, each
 *   with the place and the key.
 */
export function parseRow(value: unknown, place: string, options: RowOptions): DataRow {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw bad(place, "the line is no object", "Give one JSON object a line.");
  }
  const row = value as Keys;
  checkSpelling(row, place);
  const { format } = options;
  const form: RowForm = format === undefined ? formOf(row, place) : FORMS[format];
  checkOneMeaning(row, form, format !== undefined, place);
  const media = form.media.flatMap((key) => mediaOf(row, key, place));
  const question = textOf(row, form.questions.length > 0 ? form.questions : ["question"], place);
  const type = textOf(row, ["problem_type"], place);
  const known = {
    id: textOf(row, ["id"], place) ?? place,
    ...answerOf(row, form, place),
    ...optionsOf(row, place),
    ...(question !== undefined && { question }),
    ...(type !== undefined && { problem_type: type }),
    ...groupOf(row, place),
  };
  const prompt = form.prompts
    .map((key) => row[key] ?? undefined)
    .find((found) => found !== undefined);
  const written =
    prompt === undefined
      ? PROMPTS[options.template]({ ...known, question: asked(question, place), media })
      : placeMedia(messagesOf(prompt, place), media, place);
  const checked = prompt === undefined ? placeMedia(written, [], place) : written;
  const conversation = withMediaIn(checked, options.folder);
  checkAsks(conversation, place, options.answered === true);
  const mediaNames = mediaParts(conversation).map(mediaName).join(", ");
  return { ...known, conversation, kind: type ?? "all", mediaNames, columns: row, place };
}

/** Characters of a value of a row that a message repeats. */
const MOST_SHOWN = 60;

function bad(place: string, what: string, hint: string): DataError {
  return new DataError("bad-row", `${place}: ${what}.`, { hint });
}

/** Refuses a key that is nearly a known one which the row lacks: a slip of the pen. */
function checkSpelling(row: Keys, place: string): void {
  for (const key of Object.keys(row)) {
    if (key.length < 4 || KNOWN_KEYS.includes(key)) continue;
    const meant = nearest(
      key,
      KNOWN_KEYS.filter((known) => known.length >= 4),
    );
    if (meant === undefined || row[meant] !== undefined || isPlural(key, meant)) continue;
    throw bad(
      place,
      `the key ${quoted(key)} is not known`,
      `Did you mean "${meant}"? Or call it otherwise.`,
    );
  }
}

/** Tells whether two keys are too different to be a slip: other words that happen to be near. */
function isPlural(key: string, meant: string): boolean {
  return Math.abs(key.length - meant.length) > 1 || key[0] !== meant[0];
}

function textOf(row: Keys, keys: readonly string[], place: string): string | undefined {
  for (const key of keys) {
    const found = row[key];
    if (found === undefined || found === null) continue;
    if (typeof found === "string") return found;
    if (typeof found === "number" || typeof found === "boolean") return String(found);
    throw bad(place, `${key} is ${quoted(found, MOST_SHOWN)}`, "Give a text or a number.");
  }
  return undefined;
}

function answerOf(
  row: Keys,
  form: RowForm,
  place: string,
): Pick<DataRow, "answer" | "answer_index"> {
  const index = form.answers.includes("answer_index")
    ? (row["answer_index"] ?? undefined)
    : undefined;
  if (index !== undefined && !Number.isSafeInteger(Number(index))) {
    throw bad(
      place,
      `answer_index is ${quoted(index, MOST_SHOWN)}`,
      "Give the place of the option, from 0.",
    );
  }
  const rest = index === undefined ? {} : { answer_index: Number(index) };
  const model = row["reward_model"] as Keys | null | undefined;
  if (form.answers.includes("reward_model") && model !== null && typeof model === "object") {
    return { answer: textOf(model, ["ground_truth"], `${place}: reward_model`) ?? "" };
  }
  const keys = form.answers.filter((key) => key !== "answer_index" && key !== "reward_model");
  return { answer: textOf(row, keys, place) ?? "", ...rest };
}

function optionsOf(row: Keys, place: string): Pick<DataRow, "options"> {
  const options = row["options"] ?? undefined;
  if (options === undefined) return {};
  if (Array.isArray(options) && options.every((entry) => typeof entry === "string")) {
    return options.length === 0 ? {} : { options };
  }
  throw bad(place, `options are ${quoted(options, MOST_SHOWN)}`, "Give a list of texts.");
}

function groupOf(row: Keys, place: string): Pick<DataRow, "num_generations"> {
  const given = row["num_generations"] ?? undefined;
  if (given === undefined) return {};
  if (Number.isSafeInteger(given) && (given as number) >= 2) {
    return { num_generations: given as number };
  }
  const hint = "Give a whole number of at least 2, which an advantage needs.";
  throw bad(place, `num_generations is ${quoted(given, MOST_SHOWN)}`, hint);
}

function asked(question: string | undefined, place: string): string {
  if (question !== undefined && question.trim() !== "") return question;
  if (question !== undefined) throw bad(place, "its question is empty", "Write what is asked.");
  throw bad(
    place,
    "it has neither prompt nor question",
    "Give messages, or a question with media.",
  );
}

function messagesOf(prompt: unknown, place: string): Conversation {
  if (typeof prompt === "string") return [{ role: "user", content: prompt }];
  return parseConversation(prompt, place);
}

function checkAsks(conversation: Conversation, place: string, answered: boolean): void {
  if (conversation.at(-1)?.role === "assistant" && !answered) {
    throw bad(
      place,
      "the prompt ends with an answer",
      "Let it end with the message to be answered, or train on the answer with task: sft.",
    );
  }
  const says = conversation.some(({ role, content }) => {
    if (role !== "user") return false;
    if (typeof content === "string") return content.trim() !== "";
    return content.some((part) => part.type !== "text" || part.text.trim() !== "");
  });
  if (!says) throw bad(place, "its prompt is empty", "Write what is asked.");
}

/** Returns the media under one key of a row, checked as parts of a message. */
function mediaOf(row: Keys, key: string, place: string): MediaPart[] {
  const value = row[key] ?? undefined;
  if (value === undefined) return [];
  const kind = kindOf(row, key, place);
  const list = key.endsWith("s") || key === "media" ? value : [value];
  if (!Array.isArray(list)) {
    const hint = key === "media" ? "Give a list of parts with a type." : "Give a list of paths.";
    throw bad(place, `${key} are ${quoted(value, MOST_SHOWN)}`, hint);
  }
  if (list.length === 0) return [];
  const content = kind === undefined ? list : list.map((entry) => partOf(entry, kind));
  const parts = mediaParts(parseConversation([{ role: "user", content }], `${place}: ${key}`));
  const empty = parts.find((part) => (part as unknown as Keys)[part.type] === undefined);
  if (empty !== undefined || parts.length < list.length) {
    throw bad(place, `${key} has an entry that names no file`, "Give every entry its path.");
  }
  return parts;
}

function kindOf(row: Keys, key: string, place: string): MediaPart["type"] | undefined {
  if (key === "media") return undefined;
  if (key !== "path") {
    const kinds = ["image", "video", "audio"] as const;
    return kinds.find((kind) => (MEDIA_KEYS[kind] as readonly string[]).includes(key));
  }
  const type = row["data_type"];
  if (type === "image" || type === "video" || type === "audio") return type;
  throw bad(place, `data_type is ${quoted(type, MOST_SHOWN)}`, "Use image, video or audio.");
}

/**
 * Returns an entry of a list of media as a part: a path, a part without its type, or bytes with a
 * path.
 */
function partOf(entry: unknown, type: MediaPart["type"]): unknown {
  if (typeof entry !== "object" || entry === null || Array.isArray(entry))
    return { type, [type]: entry };
  if (entry instanceof Uint8Array)
    return { type, [type]: { name: `${type} of the row`, data: entry } };
  const { bytes, path, ...settings } = entry as Keys;
  if (!(bytes instanceof Uint8Array)) return { type, ...(entry as Keys) };
  const name = typeof path === "string" && path !== "" ? path : `${type} of the row`;
  return { type, [type]: { name, data: bytes }, ...settings };
}
