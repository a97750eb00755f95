import { DataError } from "../../core/errors.ts";
import { exists } from "#io";
import type { DataRow, OfficialScorer, OpenedData } from "../../data/dataset.ts";
import { joinPath } from "../../io/path.ts";
import { openRelease, type Raw, textAt, textsAt, type Translate } from "../release/open.ts";
import { answerScorer, columnOf } from "../release/score.ts";
import { releaseSettings, type ReleaseSettings } from "../release/settings.ts";

const settings = { ...releaseSettings("metadata.jsonl (or a .parquet) and its sounds", "intent") };

/** Files of rows, the first that is there. */
const FILES = ["metadata.jsonl", "mmsu.jsonl", "data.jsonl", "mmsu.parquet", "data.parquet"];
const LETTERS = ["a", "b", "c", "d"] as const;

/**
 * The rule of the authors: the first character where it is one of A to D, else the last but one; the
 * text of that choice must be the right one. No response, and one that has neither, leave the
 * denominator; an empty one and the text "None" are wrong.
 *
 * Its defects are kept: "Because" answers B, and "Audio" A.
 *
 * Source: dingdongwang/MMSU (217d1d3), the evaluation of responses.
 */
const MMSU_OFFICIAL: OfficialScorer = {
  name: "mmsu-official",
  score(text, row) {
    if (text === undefined) return null;
    if (text === "" || text === "None") return 0;
    const letter = [text[0], text.at(-2)].find((one) => one !== undefined && /^[A-D]$/.test(one));
    if (letter === undefined) return null;
    const chosen = row.options?.["ABCD".indexOf(letter)];
    return Number(chosen !== undefined && chosen === goldText(row));
  },
};

/** The right choice as a text, in either layout. */
function goldText(row: DataRow): string | undefined {
  const index = row.answer_index;
  return index === undefined ? columnOf(row, "answer_gt") : row.options?.[index];
}

const translate: Translate = (raw, place) => ({
  id: typeof raw["id"] === "string" || typeof raw["id"] === "number" ? String(raw["id"]) : place,
  question: textAt(raw, "question", place),
  problem_type: "multiple choice",
  media: [{ type: "audio", audio: soundOf(raw, place) }],
  ...choicesOf(raw, place),
});

/** The sound of a row: a path, or bytes with their name. */
function soundOf(raw: Raw, place: string): string | { name: string; data: Uint8Array } {
  const { audio } = raw;
  if (typeof audio === "string" && audio !== "") return audio;
  const { bytes, path } = (typeof audio === "object" ? (audio ?? {}) : {}) as Raw;
  if (bytes instanceof Uint8Array) {
    return {
      name: typeof path === "string" && path !== "" ? path : `sound of ${place}`,
      data: bytes,
    };
  }
  if (typeof path === "string" && path !== "") return path;
  throw new DataError("bad-row", `${place}: audio names no sound.`, {
    hint: "Take the file as its makers publish it.",
  });
}

function choicesOf(raw: Raw, place: string) {
  if (raw["answer_index"] !== undefined) {
    const index = Number(raw["answer_index"]);
    return { options: textsAt(raw, "options", place), answer_index: index };
  }
  const options = LETTERS.flatMap((letter) => {
    const choice = raw[`choice_${letter}`];
    return typeof choice === "string" && choice !== "" ? [choice] : [];
  });
  return { options, answer: textAt(raw, "answer_gt", place) };
}

/** MMSU: questions on spoken language. */
export const MMSU = {
  doc: "MMSU, 5,000 questions on spoken language in 47 tasks",
  settings,
  asked: settings,
  async open(given: ReleaseSettings): Promise<OpenedData> {
    const found = await Promise.all(FILES.map((file) => exists(joinPath(given.path, file))));
    const file = FILES[found.indexOf(true)];
    if (file === undefined) {
      throw new DataError("data-unreadable", `${given.path} has none of ${FILES.join(", ")}.`, {
        hint: "Put the rows of MMSU there under one of these names.",
      });
    }
    const set = await openRelease(given, [file], translate);
    const scorer = answerScorer((row) => [
      columnOf(row, "category"),
      columnOf(row, "sub-category"),
    ]);
    return { set, scorer, official: MMSU_OFFICIAL };
  },
};
