import { z } from "zod";
import { DataError } from "../../core/errors.ts";
import { quoted } from "../../core/quoted.ts";
import type { DataContext, OpenedData } from "../../data/dataset.ts";
import { openRelease, textAt, textsAt, type Translate } from "../release/open.ts";
import { answerScorer, columnOf } from "../release/score.ts";
import { releaseSettings, type ReleaseSettings } from "../release/settings.ts";

const settings = {
  ...releaseSettings("a file of rows and its sounds", "default"),
  file: z
    .string()
    .min(1)
    .default("data/AVQA/train_r1aqa_line.json")
    .describe("File of rows in the folder, one JSON object a line."),
};

/**
 * Reads a row of r1-aqa's line JSON: the answer is the place of a choice, and the question speaks of a
 * video of which only the sound is heard.
 *
 * Source: xiaomi-research/r1-aqa, README, "AVQA".
 */
const translate: Translate = (raw, place) => {
  const options = textsAt(raw, "multi_choice", place);
  const index = raw["answer"];
  if (
    !Number.isSafeInteger(index) ||
    (index as number) < 0 ||
    (index as number) >= options.length
  ) {
    throw new DataError(
      "bad-row",
      `${place}: answer is ${quoted(index)}; it must be the place of one of ${options.length} choices, from 0.`,
      {
        hint: "Take the file as its makers publish it.",
      },
    );
  }
  return {
    id: place,
    question: textAt(raw, "question_text", place).replaceAll(/\bvideo\b/g, "audio"),
    options,
    answer_index: index as number,
    problem_type: "multiple choice",
    media: [{ type: "audio", audio: textAt(raw, "audio_path", place) }],
    names: [textAt(raw, "video_name", place)],
  };
};

/** AVQA by its sound. */
export const AVQA = {
  doc: "AVQA by its sound, questions on everyday clips, in the line JSON of r1-aqa",
  settings,
  asked: settings,
  async open(
    given: ReleaseSettings & { file: string },
    _context: DataContext,
  ): Promise<OpenedData> {
    const set = await openRelease(given, [given.file], translate);
    const scorer = answerScorer((row) => [
      columnOf(row, "question_type"),
      columnOf(row, "question_relation"),
    ]);
    return { set, scorer };
  },
};
