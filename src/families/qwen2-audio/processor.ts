import { QWEN2_AUDIO_CHAT_TEMPLATE } from "../../text/built-in-templates.ts";
import { ConfigReader } from "../../io/config-reader.ts";
import type { FamilyProcessor } from "../family.ts";
import { ASKED, parsePictures, parseSound } from "../../prompt/processor-config.ts";
import { layout } from "./positions.ts";

/** Source: transformers 4.57.6, Qwen2AudioProcessor. */
export const processor: FamilyProcessor = {
  chatTemplate: QWEN2_AUDIO_CHAT_TEMPLATE,
  spellings: { audio: "<|AUDIO|>", audioStart: "<|audio_bos|>", audioEnd: "<|audio_eos|>" },
  parseConfig(files) {
    const main = ConfigReader.parse(files.preprocessor ?? "{}", "preprocessor_config.json");
    return {
      ...parsePictures(main),
      asked: ASKED,
      video: ASKED.video,
      fps: "sampled",
      maxSamples: parseSound(main, 30),
    };
  },
  layout,
};
