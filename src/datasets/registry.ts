/** The data sets that a configuration can name: one line each; docs/data.md says how to add one. */
import type { RegisteredData } from "../data/dataset.ts";
import { AUDIO_MCQ } from "./audio-mcq/entry.ts";
import { AVQA_R1 } from "./avqa-r1-6k/entry.ts";
import { AVQA } from "./avqa/entry.ts";
import { CONVERSATIONS } from "./conversations/entry.ts";
import { DAILY_OMNI } from "./daily-omni/entry.ts";
import { INTENT_BENCH, INTENT_TRAIN } from "./intent/entry.ts";
import { JSONL } from "./jsonl/entry.ts";
import { MMAU } from "./mmau/entry.ts";
import { MMSU } from "./mmsu/entry.ts";
import { MODULE } from "./module/entry.ts";
import { SOCIAL_IQ } from "./social-iq/entry.ts";
import { TINY } from "./tiny/entry.ts";

/** Data sets by name; the first is the one of a section that names none. */
export const DATA_SETS = {
  tiny: TINY,
  jsonl: JSONL,
  module: MODULE,
  "audio-mcq": AUDIO_MCQ,
  avqa: AVQA,
  "avqa-r1-6k": AVQA_R1,
  conversations: CONVERSATIONS,
  "daily-omni": DAILY_OMNI,
  "intent-bench": INTENT_BENCH,
  "intent-train": INTENT_TRAIN,
  mmau: MMAU,
  mmsu: MMSU,
  "social-iq": SOCIAL_IQ,
} as const satisfies Record<string, RegisteredData>;

/** The data sets of a registry by name. */
export type DataRegistry = Readonly<Record<string, RegisteredData>>;
