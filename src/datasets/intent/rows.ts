import { exists } from "#io";
import { joinPath } from "../../io/path.ts";
import { type Raw, textAt, textsAt, type Translate } from "../release/open.ts";
import { clipParts, type ClipSettings } from "../release/settings.ts";

/**
 * Returns how rows of IntentTrain and IntentBench are read: `options` only where the type is a choice,
 * and no `qid`, which a third of the rows lacks.
 *
 * @param folder in which clips lie: beside the rows, or in `videos/`.
 */
export async function intentTranslator(folder: string, settings: ClipSettings): Promise<Translate> {
  const videos = (await exists(joinPath(folder, "videos"))) ? "videos/" : "";
  return (raw: Raw, place: string) => {
    const clip = textAt(raw, typeof raw["video"] === "string" ? "video" : "path", place);
    const type = textAt(raw, "problem_type", place);
    const isChoice = type === "multiple choice" || type === "emer_ov_mc";
    const qid = raw["qid"];
    return {
      id: place,
      question: textAt(raw, "problem", place),
      ...(isChoice && { options: textsAt(raw, "options", place) }),
      answer: textAt(raw, "answer", place),
      problem_type: type,
      media:
        raw["data_type"] === "image"
          ? [{ type: "image", image: `${videos}${clip}` }]
          : clipParts(`${videos}${clip}`, `${videos}${clip}`, settings),
      names: [clip, ...(typeof qid === "string" ? [qid] : [])],
    };
  };
}
