import { QWEN2_AUDIO_CHAT_TEMPLATE } from "../../text/built-in-templates.ts";
import { ConfigReader } from "../../io/config-reader.ts";
import type { Preprocessing, PreprocessorFiles } from "../../prompt/preprocessing.ts";
import type { Family } from "../family.ts";
import { ASKED, parsePictures, parseSound } from "../parts/preprocessing.ts";

/** How prompts of the released checkpoints look. */
export const prompts: Pick<Family, "chatTemplate" | "spellings"> = {
  chatTemplate: QWEN2_AUDIO_CHAT_TEMPLATE,
  spellings: { audio: "<|AUDIO|>", audioStart: "<|audio_bos|>", audioEnd: "<|audio_eos|>" },
};

/**
 * Parses the preprocessor files.
 *
 * Source: transformers 4.57.6, Qwen2AudioProcessor.
 */
export function parsePreprocessing(files: PreprocessorFiles): Preprocessing {
  const main = ConfigReader.parse(files.preprocessor ?? "{}", "preprocessor_config.json");
  return {
    // It takes no pictures.
    cell: 1,
    ...parsePictures(main),
    asked: ASKED,
    video: ASKED.video,
    fps: "sampled",
    maxSamples: parseSound(main, 30),
  };
}
