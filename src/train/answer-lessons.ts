import type { Lessons } from "../data/lessons.ts";
import { IGNORE } from "../network/decoder/packed.ts";
import type { Processor } from "../model/processor.ts";
import type { Sample } from "../prompt/sample.ts";

/**
 * Makes the lessons of rows whose conversations end with an answer: each conversation is one sequence,
 * and every labelled token of a step has the same weight, so that the loss is a mean over tokens.
 *
 * @param assistantOnly labels the tokens of the assistant; otherwise all but the placeholders of media.
 * Source: TRL 1.16 `SFTConfig.assistant_only_loss`; the loss is divided by the tokens of the whole
 *   step, as `num_items_in_batch` of the transformers Trainer.
 */
export function answerLessons(
  { placeholderIds }: Pick<Processor, "placeholderIds">,
  assistantOnly: boolean,
): Lessons {
  const media = new Set(placeholderIds);
  return {
    processing: { addGenerationPrompt: false, markAnswers: true },
    trees(rows) {
      const labelled = rows.map(({ sample }) => {
        const labels = assistantOnly ? answerLabels(sample) : textLabels(sample, media);
        return {
          sample,
          labels,
          count: labels.reduce((sum, id) => sum + Number(id !== IGNORE), 0),
        };
      });
      const total = labelled.reduce((sum, { count }) => sum + count, 0);
      return labelled.map(({ sample, labels, count }) => ({
        sample,
        tree: { prompt: sample, promptLabels: labels, branches: [] },
        weights: Array.from({ length: count }, () => 1 / total),
        parts: Array.from({ length: count }, () => (assistantOnly ? "answer" : "text")),
      }));
    },
  };
}

/** For each token the next one, where the assistant says it. */
function answerLabels({ inputIds, answers = [] }: Sample): Int32Array {
  const labels = new Int32Array(inputIds.length).fill(IGNORE);
  for (const { start, end } of answers) {
    for (let at = Math.max(1, start); at < end; at++) labels[at - 1] = inputIds[at]!;
  }
  return labels;
}

/** For each token the next one, unless that is the placeholder of a medium. */
function textLabels({ inputIds }: Sample, media: ReadonlySet<number>): Int32Array {
  return Int32Array.from(inputIds, (_, at) => {
    const next = inputIds[at + 1];
    return next === undefined || media.has(next) ? IGNORE : next;
  });
}
