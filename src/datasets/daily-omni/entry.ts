import type { DataRow, OfficialScorer, OpenedData } from "../../data/dataset.ts";
import { openRelease, type Raw, textAt, textsAt, type Translate } from "../release/open.ts";
import { answerScorer, columnOf } from "../release/score.ts";
import {
  CLIP_SETTINGS,
  clipParts,
  type ClipSettings,
  releaseSettings,
  type ReleaseSettings,
} from "../release/settings.ts";

const settings = { ...releaseSettings("qa.json and Videos/", "daily-omni"), ...CLIP_SETTINGS };

type Settings = ReleaseSettings & ClipSettings;

/**
 * The rule of the authors' script for Qwen2.5-Omni: the letter with which an answer begins; a question
 * whose answer begins with none of A to D, or that failed, leaves the denominator.
 *
 * Source: Lliar-liar/Daily-Omni `test_model/Qwen2.5-Omni/testmodel.py` (fccb838).
 */
const DAILY_OMNI_OFFICIAL: OfficialScorer = {
  name: "daily-omni-official",
  score(text, row) {
    const letter = /^\s*([A-D])/.exec(text ?? "")?.[1];
    return letter === undefined ? null : Number(letter === columnOf(row, "Answer"));
  },
};

/** Returns the type of a question: two spellings, which differ by case, are one type. */
function typeOf(row: DataRow): string {
  const type = columnOf(row, "Type");
  return type.toLowerCase() === "context understanding" ? "Context understanding" : type;
}

function translator(settings: ClipSettings): Translate {
  return (raw: Raw, place: string) => {
    const clip = textAt(raw, "video_id", place);
    const file = (kind: string) => `Videos/${clip}/${clip}_${kind}`;
    return {
      id: place,
      question: textAt(raw, "Question", place),
      options: textsAt(raw, "Choice", place),
      answer: textAt(raw, "Answer", place),
      problem_type: "multiple choice",
      media: clipParts(file("video.mp4"), file("audio.wav"), settings),
      names: [clip],
    };
  };
}

/** Daily-Omni: questions on what is seen and heard at the same time in clips of 30 and 60 seconds. */
export const DAILY_OMNI = {
  doc: "Daily-Omni, 1,197 questions on what is seen and heard at once in 684 clips",
  settings,
  asked: settings,
  limits: [
    "Scores of Daily-Omni depend on prompt, frames and sound more than on the model: compare the same protocol only.",
  ],
  async open(given: Settings): Promise<OpenedData> {
    const set = await openRelease(given, ["qa.json"], translator(given));
    const categories = (row: DataRow) => [
      typeOf(row),
      columnOf(row, "video_category"),
      columnOf(row, "video_duration"),
    ];
    return { set, scorer: answerScorer(categories), official: DAILY_OMNI_OFFICIAL };
  },
};
