import { DataError } from "../../core/errors.ts";
import type { DataContext, OfficialScorer, OpenedData } from "../../data/dataset.ts";
import { openRelease, type Raw, textAt, textsAt, type Translate } from "../release/open.ts";
import { answerScorer, columnOf } from "../release/score.ts";
import { releaseSettings, type ReleaseSettings } from "../release/settings.ts";

const settings = releaseSettings("train/ and valid/ of AVQA_R1", "intent");

/**
 * The rule of EchoInk-R1's accuracy: the text in the answer tag of the completion, or else all of it,
 * equals that of the solution, both without outer blanks. Every question counts.
 *
 * Source: HarryHsing/EchoInk (3f6d16a).
 */
const AVQA_R1_OFFICIAL: OfficialScorer = {
  name: "avqa-r1-official",
  score(text, row) {
    const tagged = (whole: string) => /<answer>(.*?)<\/answer>/s.exec(whole)?.[1] ?? whole;
    return Number(
      text !== undefined && tagged(text).trim() === tagged(columnOf(row, "solution")).trim(),
    );
  },
};

/** Reads a row; `problem_id` begins anew in each split, so it is known by its place. */
function translator(split: string): Translate {
  return (raw, place) => {
    const { image, audio } = mediaOf(raw, place);
    const options = textsAt(raw, "options", place);
    return {
      id: place,
      question: textAt(raw, "problem", place),
      options,
      answer: textAt(raw, "solution", place).replaceAll(/<\/?answer>/g, ""),
      problem_type: textAt(raw, "problem_type", place),
      media: [
        { type: "image", image: `${split}/images/${image}` },
        { type: "audio", audio: `${split}/audios/${audio}` },
      ],
      names: [textAt(raw, "problem_id", place)],
    };
  };
}

/** The names of a row's files, without folders before them. */
function mediaOf(raw: Raw, place: string): { image: string; audio: string } {
  const path = raw["path"] as { image?: unknown; audio?: unknown } | undefined;
  const name = (value: unknown) =>
    typeof value === "string" ? value.split("/").at(-1) : undefined;
  const [image, audio] = [name(path?.image), name(path?.audio)];
  if (image && audio) return { image, audio };
  throw new DataError("bad-row", `${place}: path names no image and audio.`, {
    hint: "Take the file as its makers publish it.",
  });
}

/** AVQA-R1-6K: questions on a picture with its sound. */
export const AVQA_R1 = {
  doc: "AVQA-R1-6K, questions on a picture with its sound",
  settings,
  asked: settings,
  limits: ["56 training rows of AVQA-R1-6K share a picture or a sound with its validation."],
  async open(given: ReleaseSettings, { split }: DataContext): Promise<OpenedData> {
    const part = split === "train" ? "train" : "valid";
    const file = `${part}/omni_rl_format_${part}.json`;
    const set = await openRelease(given, [file], translator(part));
    const scorer = answerScorer((row) => [columnOf(row, "problem_type")]);
    return { set, scorer, official: AVQA_R1_OFFICIAL };
  },
};
