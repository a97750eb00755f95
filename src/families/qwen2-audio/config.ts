import type { ConfigReader } from "../../io/config-reader.ts";
import type { WhisperConfig } from "../../network/towers/audio.ts";
import { parseText } from "../parts/text.ts";
import { parseWhisper } from "../parts/whisper.ts";
import { POSITIONS } from "./weights.ts";

/**
 * Parses a `config.json` of Qwen2-Audio.
 *
 * transformers pads every clip to the tower's length and masks the padding as keys; rows of padding
 * reach nothing that is used, so only the rows of the clip itself are computed here.
 *
 * The released file gives only some keys of the decoder; the others take the defaults of
 * transformers' `Qwen2Config`, without which the file cannot be read.
 *
 * @throws {CheckpointError} `bad-config` that names the key and the value.
 * Source: transformers 4.57.6, configuration_qwen2_audio.py and configuration_qwen2.py.
 */
export function parseConfig(top: ConfigReader) {
  const section = top.section("text_config");
  section.only("model_type", "qwen2");
  section.only("use_mrope", false);
  const audioSection = top.section("audio_config");
  const text = parseText(section, {
    ...{ vocabSize: 151936, hiddenSize: 4096, intermediateSize: 22016, layers: 32, heads: 32 },
    ...{ kvHeads: 32, rmsNormEps: 1e-6, ropeTheta: 1e4, maxPositions: 32768 },
    ...{ attentionBias: true, qkNorm: false, rotary: "plain" },
  });
  const frames = 2 * audioSection.size("max_source_positions", 1500);
  const audio: WhisperConfig = {
    ...parseWhisper(audioSection),
    chunkFrames: frames,
    // The last row after two convolutions of three taps sees two frames beyond the clip.
    tailFrames: 2,
    maxFrames: frames,
    outputDim: text.hiddenSize,
    norm: "audio_tower.layer_norm",
    projection: "multi_modal_projector.linear",
    positions: POSITIONS,
  };
  const id = (key: string) => top.optionalInteger(key) ?? section.optionalInteger(key);
  return {
    text,
    audio,
    tokens: {
      audio: top.integer(top.either("audio_token_index", "audio_token_id"), 151646),
      pad: id("pad_token_id"),
      eos: id("eos_token_id"),
    },
    tieWordEmbeddings: section.boolean("tie_word_embeddings", false),
  };
}
