import { windowVision } from "../../network/towers/vision.ts";
import type { Family } from "../family.ts";
import { parseConfig } from "./config.ts";
import { project } from "./network.ts";
import { vlLayout } from "./positions.ts";
import { parsePreprocessing, prompts } from "./processor.ts";
import { names, tensors } from "./weights.ts";

/** Qwen2.5-VL (3B, 7B, 32B, 72B): text, pictures, video. */
export const qwen25Vl: Family = {
  name: "Qwen2.5-VL",
  modelTypes: ["qwen2_5_vl"],
  architectures: ["Qwen2_5_VLForConditionalGeneration"],
  pythonClass: "Qwen2_5_VLForConditionalGeneration",
  names,
  ...prompts,
  describe(top) {
    const { text, vision, positionIdPerSeconds, ...others } = parseConfig(top);
    const { mergeSize, patchSize } = vision;
    return {
      ...{ text, ...others },
      vision: windowVision(vision, project),
      tensors: tensors(text, vision),
      preprocessing: (files) => parsePreprocessing(files, patchSize * mergeSize),
      layout: vlLayout({ positionIdPerSeconds, mergeSize }),
    };
  },
};
