import { whisper } from "../../network/towers/audio.ts";
import { windowVision } from "../../network/towers/vision.ts";
import type { Family } from "../family.ts";
import { parseConfig } from "./config.ts";
import { project } from "./network.ts";
import { omniLayout } from "./positions.ts";
import { parsePreprocessing, prompts } from "./processor.ts";
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
  pythonClass: "Qwen2_5OmniThinkerForConditionalGeneration",
  names,
  ...prompts,
  describe(top) {
    const { text, vision, audio, tokens, tieWordEmbeddings, ...times } = parseConfig(top);
    const { mergeSize, patchSize } = vision;
    return {
      ...{ text, tokens, tieWordEmbeddings },
      vision: windowVision(vision, project),
      audio: whisper(audio),
      tensors: tensors(text, vision, audio),
      preprocessing: (files) => parsePreprocessing(files, patchSize * mergeSize),
      layout: omniLayout({ ...times, mergeSize }),
    };
  },
};
