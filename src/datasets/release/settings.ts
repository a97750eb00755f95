import { z } from "zod";
import { type PromptName, PROMPTS } from "../../data/prompts/prompts.ts";
import type { MediaPart, VideoPart } from "../../text/chat-template.ts";

/** Settings of a data set as its makers publish it. */
export interface ReleaseSettings {
  path: string;
  prompt: PromptName;
  exclude: readonly string[];
}

/** Settings of one with clips. */
export interface ClipSettings {
  sound: (typeof SOUNDS)[number];
  video: Pick<VideoPart, "fps" | "nframes" | "min_frames" | "max_frames" | "max_pixels">;
}

/** How the sound of a clip is given. */
const SOUNDS = ["in_video", "apart", "none"] as const;

const count = z.int().positive().optional();

/** Returns the settings that every published data set has; `prompt` is its default template. */
export function releaseSettings(files: string, prompt: PromptName) {
  return {
    path: z
      .string()
      .min(1)
      .meta({ format: "path" })
      .describe(`Folder with ${files}, archives extracted.`),
    prompt: z
      .enum(Object.keys(PROMPTS) as [PromptName, ...PromptName[]])
      .default(prompt)
      .describe("Template of the prompts (docs/rewards.md)."),
    exclude: z
      .array(z.string().min(1).meta({ format: "path" }))
      .default([])
      .describe(
        "Files with ids of rows or of clips to leave out: a JSON list, or one id a line. An id that no " +
          "row has is an error.",
      ),
  };
}

/** Settings of data sets with clips. */
export const CLIP_SETTINGS = {
  sound: z
    .enum(SOUNDS)
    .default("in_video")
    .describe(
      "How a clip is heard: `in_video` interleaves its soundtrack with its frames, `apart` gives the " +
        "sound as a medium of its own after the video, `none` leaves it out.",
    ),
  video: z
    .strictObject({
      fps: z.number().positive().optional().describe("Frames to choose per second."),
      nframes: count.describe("Frames to choose in all, in place of `fps`."),
      min_frames: count.describe("Fewest frames to choose by `fps`."),
      max_frames: count.describe("Most frames to choose by `fps`."),
      max_pixels: count.describe("Most pixels of a frame after resizing."),
    })
    .default({})
    .describe("How frames are chosen; left out: as the model's preprocessor does."),
};

/**
 * Returns the parts of a clip as the settings ask for it.
 *
 * @param sound the file of its sound; the clip itself where it has none of its own.
 */
export function clipParts(
  video: string,
  sound: string,
  { sound: how, video: frames }: ClipSettings,
): MediaPart[] {
  const part: VideoPart = { type: "video", video, ...frames };
  if (how === "in_video") return [{ ...part, use_audio_in_video: true }];
  return how === "apart" ? [part, { type: "audio", audio: sound }] : [part];
}
