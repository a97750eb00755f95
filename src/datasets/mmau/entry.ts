import type { OfficialScorer, OpenedData } from "../../data/dataset.ts";
import { openRelease, textAt, textsAt, type Translate } from "../release/open.ts";
import { answerScorer, columnOf } from "../release/score.ts";
import { releaseSettings, type ReleaseSettings } from "../release/settings.ts";

const settings = {
  ...releaseSettings("mmau-test-mini.json and test-mini-audios/", "new"),
};

/**
 * The rule of the authors: every word of the right answer is in the completion, and no word that only
 * other choices have. Words are runs of letters, digits and underscores, as Python's `\w` has them. A
 * question without an output is left out.
 *
 * Its defects are kept: "(A) one" fails where "one" is right and another choice holds an "a", and a
 * choice whose words are the right one's passes.
 *
 * Source: Sakshi113/MMAU `evaluation.py` (110127f).
 */
const MMAU_OFFICIAL: OfficialScorer = {
  name: "mmau-official",
  score(text, row) {
    if (text === undefined) return null;
    const said = words(text);
    if (said.size === 0) return 0;
    const gold = words(columnOf(row, "answer"));
    const wrong = new Set<string>();
    for (const choice of row.options ?? []) {
      const own = words(choice);
      if (sameWords(own, gold)) continue;
      for (const word of own) if (!gold.has(word)) wrong.add(word);
    }
    const complete = [...gold].every((word) => said.has(word));
    return Number(complete && [...said].every((word) => !wrong.has(word)));
  },
};

function words(text: string): Set<string> {
  return new Set(text.toLowerCase().match(/[\p{L}\p{N}_]+/gu) ?? []);
}

function sameWords(a: ReadonlySet<string>, b: ReadonlySet<string>): boolean {
  return a.size === b.size && [...a].every((word) => b.has(word));
}

const translate: Translate = (raw, place) => ({
  id: textAt(raw, "id", place),
  question: textAt(raw, "question", place),
  options: textsAt(raw, "choices", place),
  answer: textAt(raw, "answer", place),
  problem_type: "multiple choice",
  media: [{ type: "audio", audio: textAt(raw, "audio_id", place).replace(/^\.\//, "") }],
  names: [textAt(raw, "audio_id", place)],
});

/** MMAU: questions on music, sounds and speech. */
export const MMAU = {
  doc: "MMAU test-mini, 1,000 questions on music, sounds and speech",
  settings,
  asked: settings,
  limits: ["The authors of MMAU change rows in place: keep the revision with the score."],
  async open(given: ReleaseSettings): Promise<OpenedData> {
    const set = await openRelease(given, ["mmau-test-mini.json"], translate);
    const scorer = answerScorer((row) => [
      columnOf(row, "task"),
      columnOf(row, "difficulty"),
      columnOf(row, "sub-category"),
    ]);
    return { set, scorer, official: MMAU_OFFICIAL };
  },
};
