import { OMNI_CHAT_TEMPLATE } from "../../text/built-in-templates.ts";
import { ConfigReader } from "../../io/config-reader.ts";
import type { Preprocessing, PreprocessorFiles } from "../../prompt/preprocessing.ts";
import type { Family } from "../family.ts";
import { ASKED, parseLimits, parsePictures, parseSound, positive } from "../parts/preprocessing.ts";

/** How prompts of the released checkpoints look. */
export const prompts: Pick<Family, "chatTemplate" | "spellings"> = {
  chatTemplate: OMNI_CHAT_TEMPLATE,
  spellings: {
    audio: "<|AUDIO|>",
    image: "<|IMAGE|>",
    video: "<|VIDEO|>",
    audioStart: "<|audio_bos|>",
    audioEnd: "<|audio_eos|>",
    visionStart: "<|vision_bos|>",
    visionEnd: "<|vision_eos|>",
  },
};

/**
 * Returns the official processor puts its own limits on video frames, whatever the files say. Here
 * a `video_preprocessor_config.json` changes them, unless its limits are those of pictures:
 * transformers writes such a copy when it saves a processor, and does not obey it.
 *
 * Source: transformers 4.57.6, Qwen2_5OmniProcessorKwargs; qwen-omni-utils f8bf58c.
 *
 * @param cell pixels along the side of a merge cell.
 */
export function parsePreprocessing(files: PreprocessorFiles, cell: number): Preprocessing {
  const main = ConfigReader.parse(files.preprocessor ?? "{}", "preprocessor_config.json");
  const video = ConfigReader.parse(files.video ?? "{}", "video_preprocessor_config.json");
  main.only("feature_size", 128);
  const pictures = parsePictures(main);
  const stated = parseLimits(video, ASKED.video);
  const copied =
    stated.minPixels === pictures.image.minPixels && stated.maxPixels === pictures.image.maxPixels;
  const { totalPixels: _, ...official } = ASKED.video;
  const limits = copied ? official : stated;
  const totalPixels = video.size("total_pixels", ASKED.video.totalPixels);
  return {
    cell,
    ...pictures,
    asked: { image: ASKED.image, video: { ...limits, totalPixels } },
    video: limits,
    fps: positive(video, "fps", 2),
    maxSamples: parseSound(main, 300),
  };
}
