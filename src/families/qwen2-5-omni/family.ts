import type { Family } from "../family.ts";
import { parseConfig } from "./config.ts";
import { towers } from "./network.ts";
import { processor } from "./processor.ts";
import { names, tensors } from "./weights.ts";

/** The thinker of Qwen2.5-Omni (3B, 7B): text, pictures, video, sound, video with its sound. */
export const qwen25Omni: Family = {
  name: "Qwen2.5-Omni",
  modelTypes: ["qwen2_5_omni", "qwen2_5_omni_thinker"],
  architectures: [
    "Qwen2_5OmniModel",
    "Qwen2_5OmniForConditionalGeneration",
    "Qwen2_5OmniThinkerForConditionalGeneration",
  ],
  parseConfig,
  tensors,
  names,
  towers,
  processor,
};
