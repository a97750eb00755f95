import { z } from "zod";
import { DataError } from "../../core/errors.ts";
import type { OpenedData } from "../../data/dataset.ts";
import { openRelease, textAt, type Translate } from "../release/open.ts";
import { answerScorer, columnOf } from "../release/score.ts";
import {
  CLIP_SETTINGS,
  clipParts,
  type ClipSettings,
  releaseSettings,
  type ReleaseSettings,
} from "../release/settings.ts";

const settings = {
  ...releaseSettings("qa/, video/ and audio/wav/", "intent"),
  ...CLIP_SETTINGS,
  file: z
    .enum(["qa/qa_train.json", "qa/qa_val.json"])
    .default("qa/qa_train.json")
    .describe("File of rows; the test file has no answers."),
};

/** Reads a row; two rows may have one `qid`, so it is known by its place. */
function translator(settings: ClipSettings): Translate {
  return (raw, place) => {
    const clip = textAt(raw, "vid_name", place);
    const index = raw["answer_idx"];
    if (!Number.isSafeInteger(index) || (index as number) < 0 || (index as number) > 3) {
      throw new DataError(
        "bad-row",
        `${place}: answer_idx is ${String(index)}; it must be 0 to 3.`,
        {
          hint: "Take the file as its makers publish it; rows of the test file have no answer.",
        },
      );
    }
    return {
      id: place,
      question: textAt(raw, "q", place),
      options: ["a0", "a1", "a2", "a3"].map((key) => textAt(raw, key, place)),
      answer_index: index as number,
      problem_type: "multiple choice",
      media: clipParts(`video/${clip}.mp4`, `audio/wav/${clip}.wav`, settings),
      names: [clip, textAt(raw, "qid", place)],
    };
  };
}

/** Social-IQ 2.0: questions on how people in clips of a minute behave. */
export const SOCIAL_IQ = {
  doc: "Social-IQ 2.0, questions on how people in clips of a minute behave",
  settings,
  asked: settings,
  limits: [
    "Its training file holds 263 of the 300 Social-IQ clips of IntentBench: name them in exclude before IntentBench is asked.",
  ],
  async open(given: ReleaseSettings & ClipSettings & { file: string }): Promise<OpenedData> {
    const set = await openRelease(given, [given.file], translator(given));
    return {
      set,
      scorer: answerScorer((row) => [columnOf(row, "q").split(" ")[0]!.toLowerCase()]),
    };
  },
};
