import { z } from "zod";
import { hash32 } from "../../core/random.ts";
import type { DataContext, DataSet, OpenedData } from "../../data/dataset.ts";
import { openRelease, textAt, textsAt, type Translate } from "../release/open.ts";
import { answerScorer, columnOf } from "../release/score.ts";
import { releaseSettings, type ReleaseSettings } from "../release/settings.ts";

const settings = {
  ...releaseSettings("data.jsonl and its sounds", "default"),
  held_out: z
    .number()
    .min(0)
    .max(0.5)
    .default(0.02)
    .describe(
      "Share of the sounds whose questions are held out: asked as a benchmark, and not trained on. " +
        "The split is by sound, so that none is on both sides.",
    ),
};

const translate: Translate = (raw, place) => ({
  id: raw["id"] === undefined ? place : textAt(raw, "id", place),
  question: textAt(raw, "question", place),
  options: textsAt(raw, "choices", place),
  answer: textAt(raw, "answer", place),
  problem_type: "multiple choice",
  media: [{ type: "audio", audio: textAt(raw, "audio_path", place) }],
  names: [textAt(raw, "audio_path", place)],
});

/** Keeps the rows of one side of the split, by a hash of the name of their sound. */
function sideOf(set: DataSet, share: number, split: DataContext["split"]): DataSet {
  const kept = Array.from({ length: set.length }, (_, index) => index).filter((index) => {
    const sound = columnOf(set.row(index), "audio_path");
    const heldOut = hash32(sound) / 2 ** 32 < share;
    return heldOut === (split === "held-out");
  });
  return {
    length: kept.length,
    digest: `${set.digest} ${split} ${share}`,
    row: (index) => set.row(kept[index]!),
  };
}

/** AudioMCQ: questions on speech, sound and music. */
export const AUDIO_MCQ = {
  doc: "AudioMCQ, questions on speech, sound and music, to train on",
  settings,
  asked: settings,
  async open(
    given: ReleaseSettings & { held_out: number },
    { split }: DataContext,
  ): Promise<OpenedData> {
    const whole = await openRelease(given, ["data.jsonl"], translate);
    const set = sideOf(whole, given.held_out, split);
    const scorer = answerScorer((row) => [
      columnOf(row, "question_type"),
      columnOf(row, "source_dataset"),
    ]);
    return { set, scorer };
  },
};
