import { readFile } from "node:fs/promises";
import type { AudioClip, VideoClip } from "../../src/media/types.ts";
import type { Frame } from "../../src/signal/frame.ts";
import { parseModelConfig } from "../../src/families/registry.ts";
import { Processor } from "../../src/model/processor.ts";
import type { PreprocessorFiles } from "../../src/prompt/preprocessing.ts";
import { ChatTemplate } from "../../src/text/chat-template.ts";
import { Tokenizer } from "../../src/text/tokenizer.ts";
import { omniTokenizerText, qwenTokenizerText } from "../text/real-tokenizer.ts";

/** Short names of the families. */
export type FamilyName = "omni" | "vl" | "audio";

const CONFIGS = { omni: "omni-7b", vl: "vl-7b", audio: "qwen2-audio-7b" };
const RELEASED = JSON.stringify({ min_pixels: 3136, max_pixels: 12_845_056 });
const tokenizers = new Map<boolean, Tokenizer>();

/** The processor of a released checkpoint: its configuration, the real tokenizer, its template. */
export async function realProcessor(
  family: FamilyName,
  files: PreprocessorFiles = {},
): Promise<Processor> {
  const path = new URL(`../golden/manifests/${CONFIGS[family]}/config.json`, import.meta.url);
  const config = parseModelConfig(await readFile(path, "utf8"));
  const plain = family === "vl";
  const tokenizer =
    tokenizers.get(plain) ?? Tokenizer.fromJson(plain ? qwenTokenizerText : omniTokenizerText());
  tokenizers.set(plain, tokenizer);
  return new Processor({
    config,
    tokenizer,
    template: new ChatTemplate(config.family.chatTemplate),
    preprocessing: config.preprocessing({ preprocessor: RELEASED, ...files }),
  });
}

/** The pictures of make_processor.py and make_processors.py. */
export function picture(width: number, height: number, number: number): Frame {
  const rgb = new Uint8Array(3 * width * height);
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      for (let c = 0; c < 3; c++) {
        rgb[i++] = (x * 7 + y * 13 + c * 50 + number * 31 + ((x * y) % 17) * 3) % 256;
      }
    }
  }
  return { width, height, rgb, timestamp: number };
}

/** Their sounds. */
export function sound(samples: number, number: number, file = `sound${number}.wav`): AudioClip {
  const wave = Float32Array.from(
    { length: samples },
    (_, n) => Math.sin((0.01 + 0.003 * number) * n) * ((n % 97) / 97),
  );
  return { file, samples: wave, sampleRate: 16000, durationS: samples / 16000, sourceRate: 16000 };
}

/** The frames `indices` of a clip of `totalFrames` whose pictures are numbered from `number`. */
export function clip(
  info: { totalFrames: number; fps: number; width: number; height: number },
  indices: number[],
  number = 0,
): VideoClip {
  const frames = indices.map((i) => picture(info.width, info.height, number + i));
  const durationS = info.totalFrames / info.fps;
  return { file: `clip${number}.mp4`, frames, indices, durationS, ...info };
}

/** A position-dependent sum, exact in doubles; make_positions.py has the same few lines. */
export function checksum(values: ArrayLike<number>): number {
  let total = 0;
  for (let i = 0; i < values.length; i++) {
    total = (total + ((i % 65521) + 1) * (values[i]! + 1)) % 2147483647;
  }
  return total;
}
