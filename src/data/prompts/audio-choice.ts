import { optionsOf, pythonList, userTurn, type Prompt, type PromptRow } from "./prompt.ts";

/**
 * Question and choices, the answer in tags; choices as a Python list, as the row has them.
 *
 * Source: template `default` of wenet-e2e/west and xiaomi-research/r1-aqa (5d24f31, 2025-03-29), and
 * NVIDIA-NeMo/RL's AVQA and MMAU data sets. Their loaders of AVQA also replace the word video by
 * audio in the question, which is the data set's part here.
 */
export const defaultPrompt: Prompt = (row) =>
  userTurn(row, `${choice(row)} Output the final answer in <answer> </answer>.`);

/**
 * As `default`, with the thinking process in tags of its own.
 *
 * Source: template `think` of wenet-e2e/west and xiaomi-research/r1-aqa (5d24f31, 2025-03-29).
 */
export const thinkPrompt: Prompt = (row) =>
  userTurn(
    row,
    `${choice(row)} Output the thinking process in <think> </think> and final answer in <answer> </answer>.`,
  );

/**
 * As `think`, with at most 50 words of thinking asked for.
 *
 * Source: shuaijiang/Ke-Omni-R `_handle_avqa` (915f448, 2025-06-11), whose limit is always 50.
 */
export const thinkBrieflyPrompt: Prompt = (row) =>
  userTurn(
    row,
    `${choice(row)} Output the thinking process (less than 50 words) in <think> </think> and final answer in <answer> </answer>.`,
  );

/**
 * As `default`, asking for the answer at once.
 *
 * Source: shuaijiang/Ke-Omni-R `_handle_avqa` without thinking (915f448, 2025-06-11).
 */
export const noThinkPrompt: Prompt = (row) =>
  userTurn(row, `${choice(row)} Directly output the final answer in <answer> </answer>.`);

/**
 * Question and choices run together, without tags: the words of MMAU's authors.
 *
 * Source: template `new` of wenet-e2e/west.
 */
export const newPrompt: Prompt = (row) =>
  userTurn(
    row,
    `${row.question}Select one option from the provided choices.${pythonList(optionsOf(row))}`,
  );

function choice(row: PromptRow): string {
  const choices = pythonList(optionsOf(row));
  return `${row.question} Please choose the answer from the following options: ${choices}.`;
}
