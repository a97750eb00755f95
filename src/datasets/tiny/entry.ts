import { z } from "zod";
import { prepareClips } from "#clips";
import { joinPath } from "../../io/path.ts";
import type { DataContext, DataSet, OpenedData, Overlap } from "../../data/dataset.ts";
import { CLIP_VERSION } from "./clip.ts";
import { tinyLessons, type TinyLessonSettings } from "./lessons.ts";
import { clipFolderName, TinyDataset } from "./dataset.ts";
import { ASKED_KINDS, KINDS } from "./questions.ts";

const seed = z.int().min(0).max(0xffffffff);
const folder = z
  .string()
  .min(1)
  .meta({ format: "path" })
  .default(".cache/clips")
  .describe("Folder that keeps the clip files, which are made when they are first needed.");

/** Lessons of supervised training besides the answers to every clip's four questions. */
const lessonsSchema = z.strictObject({
  alignment: z
    .strictObject({
      weight: z.number().positive().default(0.5).describe("Weight of the alignment loss."),
      steps: z.int().positive().describe("Steps of the run, from its first, that use it."),
    })
    .nullable()
    .default(null)
    .describe("Dense alignment: media tokens are labelled with what they show; null for none."),
  text_only: z
    .strictObject({
      sequences: z.int().positive().default(64).describe("Sequences without a clip per step."),
      weight: z.number().positive().default(1).describe("Weight of their loss."),
    })
    .nullable()
    .default(null)
    .describe("Questions without a clip, which teach the letters; null for none."),
  teacher: z
    .strictObject({
      late: z
        .array(z.number().min(0).max(1))
        .length(4, "the clip has 4 slots, so 4 probabilities are needed")
        .default([0, 0, 0, 0])
        .describe("Per slot asked for, the probability of answering for the slot before."),
      forget: z
        .number()
        .min(0)
        .max(1)
        .default(0)
        .describe("Probability that a sample lacks its answer tags."),
    })
    .nullable()
    .default(null)
    .describe("A careless teacher, which leaves errors for GRPO to remove; null for a true one."),
});

/** Its settings, checked. */
export interface TinySettings {
  seed: number;
  /** Number of clips; of a benchmark as many as it asks questions. */
  clips?: number;
  folder: string;
  kinds?: readonly (typeof KINDS)[number][];
  /** Of training data. */
  lessons?: TinyLessonSettings;
}

/** Questions of a benchmark that names no number. */
const QUESTIONS = 300;

/** Synthetic clips of colours and sounds, made on first use. */
export const TINY = {
  doc: "two-second clips with colours and sounds, made on first use",
  settings: {
    seed: seed.default(3).describe("Seed of the generated clips; another seed gives other clips."),
    clips: z.int().positive().default(4000).describe("Number of different clips."),
    folder,
    kinds: z
      .array(z.enum(KINDS))
      .min(1, "at least one kind of question must be asked")
      .default(["see", "hear", "both"])
      .describe("Kinds of questions, asked in turn (GRPO)."),
    lessons: lessonsSchema.prefault({}).describe("What supervised training teaches (SFT)."),
  },
  asked: {
    seed: seed
      .default(2)
      .describe("Seed of the held-out clips; it must differ from the seed of the training clips."),
    folder,
  },
  limits: [
    "The clips are synthetic: flat shapes and made sounds, two seconds long.",
    "The errors that GRPO removes were put in by the warm start's last stage; the clean model of " +
      "its first stage is the ceiling. This shows that rollout, reward, advantage, loss and " +
      "optimizer work together, not that reinforcement teaches new perception.",
    "All four options occur in every clip, so chance is 0.25, also for a muted or blank clip.",
  ],
  open(
    { seed, folder, kinds = ASKED_KINDS, lessons, ...given }: TinySettings,
    context: DataContext,
  ): OpenedData {
    const clips = given.clips ?? context.questions ?? QUESTIONS;
    const place = joinPath(folder, clipFolderName(seed));
    const rows = new TinyDataset({ split: context.split, clips, folder: place, seed, kinds });
    const set: DataSet = {
      length: clips,
      digest: `tiny v${CLIP_VERSION} seed ${seed} clips ${clips} kinds ${kinds.join(" ")}`,
      // Every clip has the same size and length.
      alike: true,
      row: (index) => rows.row(index),
      async prepare(indices, events) {
        await prepareClips({ folder, seed, indices, events });
      },
    };
    return { set, ...(lessons && { lessons: tinyLessons(seed, lessons) }) };
  },
  overlap(trained: TinySettings, asked: TinySettings): Overlap | undefined {
    if (trained.seed !== asked.seed) return undefined;
    return {
      key: "seed",
      message: `the held-out clips would be the training clips (data.seed is ${trained.seed} too)`,
      remedy: `Set it to ${trained.seed + 1}.`,
    };
  },
};
