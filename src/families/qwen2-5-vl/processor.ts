import { QWEN2_5_VL_CHAT_TEMPLATE } from "../../text/built-in-templates.ts";
import { ConfigReader } from "../../io/config-reader.ts";
import type { Preprocessing, PreprocessorFiles } from "../../prompt/preprocessing.ts";
import type { Family } from "../family.ts";
import { ASKED, parseLimits, parsePictures } from "../parts/preprocessing.ts";

/** How prompts of the released checkpoints look. */
export const prompts: Pick<Family, "chatTemplate" | "spellings"> = {
  chatTemplate: QWEN2_5_VL_CHAT_TEMPLATE,
  spellings: {
    image: "<|image_pad|>",
    video: "<|video_pad|>",
    visionStart: "<|vision_start|>",
    visionEnd: "<|vision_end|>",
  },
};

/**
 * Positions of a video follow the times of its frames, as qwen-vl-utils hands them on.
 *
 * Source: transformers 4.57.6, Qwen2_5_VLProcessor; qwen-vl-utils 0.0.14.
 * @param cell pixels along the side of a merge cell.
 */
export function parsePreprocessing(files: PreprocessorFiles, cell: number): Preprocessing {
  const main = ConfigReader.parse(files.preprocessor ?? "{}", "preprocessor_config.json");
  // Without a file of its own, a video takes the limits of pictures.
  const video = ConfigReader.parse(
    files.video ?? files.preprocessor ?? "{}",
    files.video === undefined ? "preprocessor_config.json" : "video_preprocessor_config.json",
  );
  return {
    cell,
    ...parsePictures(main),
    asked: ASKED,
    video: parseLimits(video, ASKED.video),
    fps: "sampled",
    maxSamples: 0,
  };
}
