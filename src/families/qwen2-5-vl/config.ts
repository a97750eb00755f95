import type { ConfigReader } from "../../io/config-reader.ts";
import { checkWidth, parseText } from "../parts/text.ts";
import { parseVision } from "../parts/window-vision.ts";

/**
 * Parses a `config.json` of Qwen2.5-VL: flat, as the released files are, or with a `text_config`.
 *
 * Keys that a file leaves out take the defaults of the transformers classes.
 *
 * @throws {CheckpointError} `bad-config` that names the key and the value.
 * Source: transformers 4.57.6, configuration_qwen2_5_vl.py.
 */
export function parseConfig(top: ConfigReader) {
  const section = top.has("text_config") ? top.section("text_config") : top;
  const visionSection = top.section("vision_config");
  const text = parseText(section, {
    ...{ vocabSize: 152064, hiddenSize: 8192, intermediateSize: 29568, layers: 80, heads: 64 },
    ...{ kvHeads: 8, rmsNormEps: 1e-5, ropeTheta: 1e6, maxPositions: 32768 },
    ...{ attentionBias: true, qkNorm: false, rotary: "contiguous" },
  });
  const vision = parseVision(visionSection);
  checkWidth(top, "vision_config.out_hidden_size", vision.outHiddenSize, text);
  const id = (key: string) => top.optionalInteger(key) ?? section.optionalInteger(key);
  return {
    text,
    vision,
    positionIdPerSeconds: visionSection.number("tokens_per_second", 4),
    tokens: {
      image: top.integer("image_token_id", 151655),
      video: top.integer("video_token_id", 151656),
      visionStart: id("vision_start_token_id"),
      visionEnd: id("vision_end_token_id"),
      pad: id("pad_token_id"),
      eos: id("eos_token_id"),
    },
    tieWordEmbeddings: [top, section].some((s) => s.boolean("tie_word_embeddings", false)),
  };
}
