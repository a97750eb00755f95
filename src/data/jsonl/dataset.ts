import { readBytes } from "#io";
import { DataError } from "../../core/errors.ts";
import { readJsonl } from "../../io/jsonl.ts";
import { baseName } from "../../io/path.ts";
import { type Conversation, type MediaPart, mediaParts } from "../../text/chat-template.ts";
import { parseConversation } from "../../text/conversation.ts";
import { sha256 } from "../digest.ts";
import { folderOf, withMediaIn } from "../media-paths.ts";
import { type PromptName, PROMPTS } from "../prompts/prompts.ts";
import type { DataRow, DataSet } from "../dataset.ts";

/** Keys of a line that mean something; `solution` is what TRL's data sets call an answer. */
const KEYS = ["id", "prompt", "messages", "conversation", "answer", "solution"];
const MORE_KEYS = ["question", "media", "options", "problem_type", "num_generations"];

/**
 * Prompts of a JSON Lines file: one object a line, with the prompt as messages in Hugging Face's
 * format under `prompt`, `messages` or `conversation`, and the right `answer` (or `solution`).
 *
 * A line without a prompt has a `question` and `media` (a list of parts), of which a template makes
 * the prompt. `id`, `options`, `problem_type` and `num_generations` (the size of the row's group) are
 * optional; other keys are refused by name. Paths of media are relative to the file's folder. All rows are read at once, none of their media.
 *
 * @param template of lines without a prompt.
 * @throws {DataError} `bad-row` that names file, line and key; `bad-conversation`, `bad-json-line`.
 */
export async function openJsonl(path: string, template: PromptName = "default"): Promise<DataSet> {
  const rows: DataRow[] = [];
  const seen = new Map<string, number>();
  for await (const { value, line } of readJsonl(path)) {
    const row = parseRow(value, path, line, template);
    const before = seen.get(row.id);
    if (before !== undefined) {
      throw bad(`${path}:${line}`, `id "${row.id}" is that of line ${before} too`, UNIQUE);
    }
    seen.set(row.id, line);
    rows.push(row);
  }
  if (rows.length === 0) throw bad(path, "it has no row", "Give one JSON object a line.");
  const digest = await sha256(await readBytes(path));
  return { length: rows.length, digest, row: (index) => rows[index]! };
}

const UNIQUE = "Give every row an id of its own, or none.";

function bad(where: string, what: string, hint: string): DataError {
  return new DataError("bad-row", `${where}: ${what}.`, { hint });
}

function parseRow(value: unknown, path: string, line: number, template: PromptName): DataRow {
  const where = `${path}:${line}`;
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw bad(where, "the line is no object", "Give one JSON object a line.");
  }
  const table = value as Record<string, unknown>;
  const known = [...KEYS, ...MORE_KEYS];
  const unknown = Object.keys(table).find((key) => !known.includes(key));
  if (unknown !== undefined) {
    throw bad(where, `the key "${unknown}" is not known`, `Known are ${known.join(", ")}.`);
  }
  const text = (key: string): string | undefined => {
    const found = table[key];
    if (found === undefined || found === null || typeof found === "string")
      return found ?? undefined;
    if (typeof found === "number") return String(found);
    throw bad(where, `${key} is ${JSON.stringify(found)}`, "Give a text or a number.");
  };
  const answer = text("answer") ?? text("solution");
  if (answer === undefined) throw bad(where, "it has no answer", "Give the right answer as text.");
  const options = table["options"] ?? undefined;
  if (options !== undefined && !isTexts(options)) {
    throw bad(where, `options are ${JSON.stringify(options)}`, "Give a list of texts.");
  }
  const generations = table["num_generations"] ?? undefined;
  if (generations !== undefined && !isGroupSize(generations)) {
    throw bad(
      where,
      `num_generations is ${JSON.stringify(generations)}`,
      "Give a whole number of at least 2, which an advantage needs.",
    );
  }
  const [question, type] = [text("question"), text("problem_type")];
  const id = text("id") ?? `${baseName(path)}:${line}`;
  const row = {
    ...{ id, answer },
    ...(options !== undefined && { options }),
    ...(question !== undefined && { question }),
    ...(type !== undefined && { problem_type: type }),
    ...(generations !== undefined && { num_generations: generations }),
  };
  const prompt = table["prompt"] ?? table["messages"] ?? table["conversation"];
  const written =
    prompt === undefined
      ? PROMPTS[template]({
          ...row,
          question: asked(question, where),
          media: partsOf(table, where),
        })
      : parseConversation(prompt, where);
  const conversation = withMediaIn(written, folderOf(path));
  if (conversation.at(-1)?.role === "assistant") {
    throw bad(
      where,
      "the prompt ends with an answer",
      "Let it end with the message to be answered.",
    );
  }
  return { ...row, conversation, kind: type ?? "all", mediaNames: mediaOf(conversation) };
}

function asked(question: string | undefined, where: string): string {
  if (question !== undefined) return question;
  throw bad(
    where,
    "it has neither prompt nor question",
    "Give messages, or a question with media.",
  );
}

/** The media of a line without a prompt, checked as parts of a message. */
function partsOf(table: Readonly<Record<string, unknown>>, where: string): MediaPart[] {
  const media = table["media"] ?? [];
  if (!Array.isArray(media)) {
    throw bad(where, `media are ${JSON.stringify(media)}`, "Give a list of parts with a type.");
  }
  return media.length === 0
    ? []
    : mediaParts(parseConversation([{ role: "user", content: media }], where));
}

function isGroupSize(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 2;
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((entry) => typeof entry === "string");
}

/** Names of a conversation's media for records. */
function mediaOf(conversation: Conversation): string {
  return mediaParts(conversation)
    .map((part) => String((part as unknown as Record<string, unknown>)[part.type]))
    .join(", ");
}
