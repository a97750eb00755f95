import { whisper } from "../../network/towers/audio.ts";
import type { Family } from "../family.ts";
import { parseConfig } from "./config.ts";
import { layout } from "./positions.ts";
import { parsePreprocessing, prompts } from "./processor.ts";
import { names, tensors } from "./weights.ts";

/** Qwen2-Audio (7B): text and sound. */
export const qwen2Audio: Family = {
  name: "Qwen2-Audio",
  modelTypes: ["qwen2_audio"],
  architectures: ["Qwen2AudioForConditionalGeneration"],
  pythonClass: "Qwen2AudioForConditionalGeneration",
  names,
  ...prompts,
  describe(top) {
    const { text, audio, ...others } = parseConfig(top);
    return {
      ...{ text, ...others },
      audio: whisper(audio),
      tensors: tensors(text, audio),
      preprocessing: parsePreprocessing,
      layout,
    };
  },
};
