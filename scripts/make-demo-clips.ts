/**
 * Makes the sample clips of the demo page and writes a list of them to stdout as JSON.
 *
 *   npx tsx scripts/make-demo-clips.ts CACHE_FOLDER
 */
import { Random } from "../src/core/random.ts";
import { clipContents } from "../src/datasets/tiny/clip.ts";
import { CLIP_SEEDS, clipFileName } from "../src/datasets/tiny/dataset.ts";
import { prepareClips } from "../src/datasets/tiny/node.ts";
import { ASKED_KINDS, makeQuestion } from "../src/datasets/tiny/questions.ts";

/** Held-out clips: the model has not been trained on them. */
const SEED = CLIP_SEEDS["held-out"];
const CLIPS = 4;

const indices = Array.from({ length: CLIPS }, (_, index) => index);
const folder = await prepareClips({ folder: process.argv[2]!, seed: SEED, indices });
const clips = indices.map((index) => {
  const contents = clipContents(SEED, index);
  const questions = ASKED_KINDS.map((kind, at) => {
    const question = makeQuestion(contents, kind, new Random(SEED, "question", index, 100 + at));
    const { words, options, letter } = question;
    return { text: words.join(" ").replace(" ?", "?"), options, answer: letter };
  });
  return { file: clipFileName(index), ...contents, questions };
});
process.stdout.write(JSON.stringify({ folder, clips }));
