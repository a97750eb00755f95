import { readFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { loadImage } from "../../src/media/load.ts";
import { resizeFrame } from "../../src/signal/resize.ts";
import { loadMedium } from "../../src/prompt/media.ts";
import type { ContentPart, ImagePart, VideoPart } from "../../src/text/chat-template.ts";
import { realProcessor } from "../helpers/real-processor.ts";

const vl = await realProcessor("vl");
const path = (name: string) => new URL(`../golden/media/images/${name}`, import.meta.url).pathname;
const PICTURE = path("rgb.png");

async function pictures(part: ImagePart | VideoPart) {
  const medium = await loadMedium(part, vl.preprocessing);
  const sample = vl.process({
    id: "row 7",
    conversation: [{ role: "user", content: [part as ContentPart] }],
    media: [medium],
  });
  return { medium, sample };
}

describe("pictures named in a conversation", () => {
  it("come at the size that the message asks for, and are not asked twice", async () => {
    const whole = await loadImage(PICTURE);
    const part: ImagePart = { type: "image", image: PICTURE, min_pixels: 20000, max_pixels: 30000 };
    const { medium, sample } = await pictures(part);
    if (medium.kind !== "image") throw new Error("no image");
    const { width, height } = medium.frame;
    expect(medium.frame).toEqual(resizeFrame(whole, { width, height }, "pil"));
    expect(width * height).toBeGreaterThanOrEqual(20000);
    expect(sample.grids).toEqual([[1, height / 14, width / 14]]);
    // The same picture, decoded by someone else, ends as the same patches.
    const raw = { kind: "image" as const, file: "x.png", frame: whole };
    const conversation = [{ role: "user", content: [part] }];
    const again = vl.process({ id: "row 7", conversation, media: [raw] });
    expect(again.patches).toEqual(sample.patches);
  });

  it("may be stated by sides, rounded to multiples of 28", async () => {
    const sides = { resized_height: 70, resized_width: 100 };
    const { sample } = await pictures({ type: "image", image: PICTURE, ...sides });
    expect(sample.grids).toEqual([[1, 4, 8]]);
  });

  it("in a list are the frames of a video, the last one twice if need be", async () => {
    const data = await readFile(PICTURE);
    const bytes = { name: "bytes.png", data: new Uint8Array(data) };
    const part: VideoPart = {
      ...{ type: "video", video: [PICTURE, bytes, PICTURE], sample_fps: 4 },
      ...{ min_pixels: 3136, max_pixels: 20000 },
    };
    const { medium, sample } = await pictures(part);
    if (medium.kind !== "video") throw new Error("no video");
    expect([medium.video.frames.length, medium.video.fps]).toEqual([4, 4]);
    expect(sample.grids[0]![0]).toBe(2);
    const length = sample.inputIds.length;
    const times = [...sample.visionRows].map((row) => sample.positions[row]!);
    // Two frames are half a second, and a second has two positions.
    expect(times.at(-1)! - times[0]!).toBe(1);
    expect(sample.positions.length).toBe(3 * length);
    const half = sample.patches.length / 2;
    expect(sample.patches.subarray(0, half)).toEqual(sample.patches.subarray(half));
  });

  it("cannot be heard, and need consistent limits", async () => {
    const list: VideoPart = { type: "video", video: [PICTURE, PICTURE], use_audio_in_video: true };
    await expect(loadMedium(list, vl.preprocessing)).rejects.toThrow(
      /rgb.png and 1 more is to be heard/,
    );
    const image: ImagePart = { type: "image", image: PICTURE, min_pixels: 9000, max_pixels: 4000 };
    await expect(loadMedium(image, vl.preprocessing)).rejects.toThrow(
      "min_pixels 9000 is above max_pixels",
    );
  });
});
