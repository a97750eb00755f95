import { logMel } from "../signal/log-mel.ts";
import { type PatchFrame, patchify } from "../signal/patchify.ts";
import { resizeFloat, resizeFrame, type Size } from "../signal/resize.ts";
import type { Frame } from "../signal/frame.ts";
import type { ModelConfig } from "../network/config.ts";
import type { LoadedMedium, PlannedMedium } from "./media.ts";
import type { Preprocessing } from "./preprocessing.ts";

import type { MelClip } from "../network/media.ts";

/** Controls of an evaluation: what the model answers without one of its senses. */
export interface Controls {
  /** Every sound becomes digital silence of the same length. */
  muted?: boolean | undefined;
  /** Every picture becomes flat grey of level 40, of the same size. */
  blank?: boolean | undefined;
}

/** The level of the flat grey of a blank picture. */
const BLANK_LEVEL = 40;

/** The log-mel value of digital silence: (log10(1e-10) + 4) / 4. */
const SILENCE = -1.5;

/**
 * Makes the tensors of all media of a row, in the order of the conversation.
 *
 * Images go the way of the official image processor (Pillow's resize, `slow` normalising), video
 * frames that of its video processor (float resize, `fast` normalising). transformers 4.57.6 itself
 * takes the `fast` image processor where torchvision is there: 2.4e-7 apart, and other bytes only for
 * pictures that the checkpoint's limits resize again.
 *
 * @returns patches [N, patchDim] f32 and one log-mel clip per sound.
 */
export function makeFeatures(
  media: readonly LoadedMedium[],
  planned: readonly PlannedMedium[],
  config: ModelConfig,
  processor: Preprocessing,
  { muted = false, blank = false }: Controls,
): { patches: Float32Array; mel: MelClip[] } {
  const pictures: Float32Array[] = [];
  const mel: MelClip[] = [];
  media.forEach((medium, i) => {
    const { sizes, melFrames } = planned[i]!;
    if (sizes.length > 0) {
      const resize = medium.kind === "image" ? resizeImage : resizeVideoFrame;
      const frames = framesOf(medium).map((frame) =>
        blank ? grey(sizes.at(-1)!) : resize(frame, sizes),
      );
      const mode = medium.kind === "image" ? "slow" : "fast";
      pictures.push(patchify(frames, { ...config.vision!, ...processor, mode }).data);
    }
    if (melFrames === 0 || medium.kind === "image") return;
    const { melBins: numMels } = config.audio!;
    const columns = config.audio!.columns(melFrames);
    const { maxSamples } = processor;
    const data = muted
      ? new Float32Array(numMels * columns).fill(SILENCE)
      : logMel(medium.audio!.samples, { numMels, maxSamples, frames: columns }).data;
    mel.push({ data, frames: melFrames });
  });
  return { patches: concat(pictures), mel };
}

function framesOf(medium: LoadedMedium): Frame[] {
  if (medium.kind === "audio") return [];
  return medium.kind === "image" ? [medium.frame] : medium.video.frames;
}

function resizeImage(frame: Frame, sizes: readonly Size[]): PatchFrame {
  return sizes.reduce<Frame>((resized, size) => resizeFrame(resized, size, "pil"), frame);
}

/** Returns the utilities round what they resized to bytes; the processor after them does not. */
function resizeVideoFrame(frame: Frame, [asked, last]: readonly Size[]): PatchFrame {
  const first = resizeFrame(frame, asked!, "float");
  if (last === undefined) return first;
  return { ...last, rgb: Float32Array.from(resizeFloat(first.rgb, first, last)) };
}

function grey({ width, height }: { width: number; height: number }): Frame {
  return { width, height, rgb: new Uint8Array(3 * width * height).fill(BLANK_LEVEL), timestamp: 0 };
}

function concat(parts: readonly Float32Array[]): Float32Array {
  if (parts.length === 1) return parts[0]!;
  const whole = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}
