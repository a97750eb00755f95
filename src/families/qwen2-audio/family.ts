import type { Family } from "../family.ts";
import { parseConfig } from "./config.ts";
import { towers } from "./network.ts";
import { processor } from "./processor.ts";
import { names, tensors } from "./weights.ts";

/** Qwen2-Audio (7B): text and sound. */
export const qwen2Audio: Family = {
  name: "Qwen2-Audio",
  modelTypes: ["qwen2_audio"],
  architectures: ["Qwen2AudioForConditionalGeneration"],
  parseConfig,
  tensors,
  names,
  towers,
  processor,
};
