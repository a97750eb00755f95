import { z } from "zod";
import { prepareClips } from "#clips";
import { joinPath } from "../../io/path.ts";
import type { DataContext, DataSet, OpenedData, Overlap } from "../../data/dataset.ts";
import { CLIP_VERSION } from "./clip.ts";
import { clipFolderName, TinyDataset } from "./dataset.ts";
import { ASKED_KINDS, KINDS } from "./questions.ts";

const seed = z.int().min(0).max(0xffffffff);
const folder = z
  .string()
  .min(1)
  .meta({ format: "path" })
  .default(".cache/clips")
  .describe("Folder that keeps the clip files, which are made when they are first needed.");

/** Its settings, checked. */
export interface TinySettings {
  seed: number;
  /** Number of clips; of a benchmark as many as it asks questions. */
  clips?: number;
  folder: string;
  kinds?: readonly (typeof KINDS)[number][];
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
    { seed, folder, kinds = ASKED_KINDS, ...given }: TinySettings,
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
    return { set };
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
