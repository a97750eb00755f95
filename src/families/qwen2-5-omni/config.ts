import type { ConfigReader } from "../../io/config-reader.ts";
import type { ConfiguredTokens } from "../../network/config.ts";
import type { WhisperConfig } from "../../network/towers/audio.ts";
import { checkWidth, parseText } from "../parts/text.ts";
import { parseWhisper } from "../parts/whisper.ts";
import { parseVision } from "../parts/window-vision.ts";

/**
 * Parses a `config.json` of a whole Qwen2.5-Omni model or of its bare thinker.
 *
 * Keys that a file leaves out take the defaults of the transformers classes.
 *
 * @throws {CheckpointError} `bad-config` that names the key and the value.
 * Source: transformers 4.57.6, configuration_qwen2_5_omni.py.
 */
export function parseConfig(top: ConfigReader) {
  const thinker = top.has("thinker_config") ? top.section("thinker_config") : top;
  thinker.only("model_type", "qwen2_5_omni_thinker");
  const textSection = thinker.section("text_config");
  const audioSection = thinker.section("audio_config");
  const text = parseText(textSection, {
    ...{ vocabSize: 152064, hiddenSize: 3584, intermediateSize: 18944, layers: 28, heads: 28 },
    ...{ kvHeads: 4, rmsNormEps: 1e-6, ropeTheta: 1e6, maxPositions: 32768 },
    ...{ attentionBias: true, qkNorm: false, rotary: "contiguous" },
  });
  const vision = parseVision(thinker.section("vision_config"));
  checkWidth(thinker, "vision_config.out_hidden_size", vision.outHiddenSize, text);
  const outputDim = audioSection.size("output_dim", 3584);
  checkWidth(thinker, "audio_config.output_dim", outputDim, text);
  const nWindow = audioSection.size("n_window", 100);
  if (nWindow > audioSection.size("max_source_positions", 1500)) {
    throw audioSection.error("n_window", nWindow, "at most max_source_positions");
  }
  const audio: WhisperConfig = {
    ...parseWhisper(audioSection),
    chunkFrames: 2 * nWindow,
    tailFrames: 0,
    maxFrames: Infinity,
    outputDim,
    norm: "audio_tower.ln_post",
    projection: "audio_tower.proj",
  };
  const positionIdPerSeconds = thinker.size("position_id_per_seconds", 25);
  const secondsPerChunk = thinker.number("seconds_per_chunk", 2);
  if (positionIdPerSeconds * secondsPerChunk < 1) {
    throw thinker.error("seconds_per_chunk", secondsPerChunk, "one position a chunk");
  }
  return {
    ...{ text, vision, audio, positionIdPerSeconds, secondsPerChunk },
    tokens: parseTokens(thinker, textSection),
    tieWordEmbeddings: [thinker, textSection].some((s) => s.boolean("tie_word_embeddings", false)),
  };
}

function parseTokens(thinker: ConfigReader, text: ConfigReader): ConfiguredTokens {
  const id = (key: string) => thinker.optionalInteger(key) ?? text.optionalInteger(key);
  // transformers 5 writes audio_token_id where 4 writes audio_token_index.
  const placeholder = (kind: string, fallback: number) =>
    thinker.integer(thinker.either(`${kind}_token_index`, `${kind}_token_id`), fallback);
  return {
    audio: placeholder("audio", 151646),
    image: placeholder("image", 151655),
    video: placeholder("video", 151656),
    audioStart: thinker.integer("audio_start_token_id", 151647),
    audioEnd: thinker.integer("audio_end_token_id", 151648),
    visionStart: id("vision_start_token_id"),
    visionEnd: id("vision_end_token_id"),
    pad: id("pad_token_id"),
    eos: id("eos_token_id"),
  };
}
