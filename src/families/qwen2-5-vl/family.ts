import type { Family } from "../family.ts";
import { parseConfig } from "./config.ts";
import { towers } from "./network.ts";
import { processor } from "./processor.ts";
import { names, tensors } from "./weights.ts";

/** Qwen2.5-VL (3B, 7B, 32B, 72B): text, pictures, video. */
export const qwen25Vl: Family = {
  name: "Qwen2.5-VL",
  modelTypes: ["qwen2_5_vl"],
  architectures: ["Qwen2_5_VLForConditionalGeneration"],
  parseConfig,
  tensors,
  names,
  towers,
  processor,
};
