import { OMNI_CHAT_TEMPLATE } from "../../text/chat-template.ts";
import { ConfigReader } from "../config-reader.ts";
import type { FamilyProcessor } from "../family.ts";
import {
  ASKED,
  parseLimits,
  parsePictures,
  parseSound,
  positive,
} from "../process/processor-config.ts";
import { layout } from "./positions.ts";

/**
 * The official processor puts its own limits on video frames, whatever `preprocessor_config.json`
 * says of pictures; only a `video_preprocessor_config.json` changes them here.
 *
 * Source: transformers 4.57.6, Qwen2_5OmniProcessorKwargs; qwen-omni-utils f8bf58c.
 */
export const processor: FamilyProcessor = {
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
  parseConfig(files) {
    const main = ConfigReader.parse(files.preprocessor ?? "{}", "preprocessor_config.json");
    const video = ConfigReader.parse(files.video ?? "{}", "video_preprocessor_config.json");
    main.only("feature_size", 128);
    const limits = parseLimits(video, ASKED.video);
    const totalPixels = video.size("total_pixels", ASKED.video.totalPixels);
    return {
      ...parsePictures(main),
      asked: { image: ASKED.image, video: { ...limits, totalPixels } },
      video: limits,
      fps: positive(video, "fps", 2),
      maxSamples: parseSound(main, 300),
    };
  },
  layout,
};
