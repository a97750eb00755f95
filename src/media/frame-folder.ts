/*
 * A clip as a folder: numbered PNG frames, `audio.wav`, and optionally `clip.json` ({"fps": 8}) or
 * `fps.txt`. It needs no decoder package, so tests and small synthetic tasks use it.
 */
import { DataError } from "../core/errors.ts";
import { videoClipOf } from "./clip.ts";
import { decodePng } from "./png.ts";
import type { DecodeOptions, FrameChoice, MediaSource, VideoClip } from "./types.ts";
import type { Frame } from "../signal/frame.ts";
import { watch } from "./watchdog.ts";

/** A folder that a platform opened. */
export interface MediaFolder {
  name: string;
  /** File names, sorted. */
  files: string[];
  read: (file: string) => Promise<Uint8Array>;
}

const DEFAULT_FOLDER_FPS = 2;

/**
 * Reads the chosen frames of a folder; frame i is the i-th PNG by number.
 *
 * @throws {DataError} `media-empty-video` when there is no PNG, `media-corrupt` when one is damaged,
 *   `media-bad-fps` when the stated rate is no positive number.
 */
export async function decodeVideoFolder(
  folder: MediaFolder,
  choose: (...info: Parameters<FrameChoice>) => number[] | Promise<number[]>,
  options: DecodeOptions & {
    transform?: (frame: Frame, chosenFrames: number) => Frame | Promise<Frame>;
  },
): Promise<VideoClip> {
  const pictures = folder.files
    .filter((file) => /\d+\.png$/i.test(file))
    .map((file) => ({ file, number: Number(/(\d+)\.png$/i.exec(file)![1]) }))
    .sort((a, b) => a.number - b.number);
  if (pictures.length === 0) {
    throw new DataError(
      "media-empty-video",
      `The folder ${folder.name} has no numbered PNG frames.`,
      {
        hint: "Name them 0000.png, 0001.png and so on.",
      },
    );
  }
  const fps = await readFps(folder);
  const totalFrames = pictures.length;
  const info = { totalFrames, fps, durationS: totalFrames / fps };
  const indices = await choose(info);
  const frames = new Map<number, Frame>();
  for (const index of new Set(indices)) {
    const picture = pictures[index];
    if (!picture) continue;
    const name = `${folder.name}/${picture.file}`;
    const bytes = await watch(folder.read(picture.file), {
      file: name,
      what: "reading",
      ...options,
    });
    const frame: Frame = { ...(await decodePng(bytes, name)), timestamp: index / fps };
    frames.set(index, (await options.transform?.(frame, indices.length)) ?? frame);
  }
  return videoClipOf(folder.name, info, indices, frames);
}

/**
 * Returns the soundtrack of a folder.
 *
 * @throws {DataError} `media-no-audio-track` when there is no `audio.wav`.
 */
export async function audioFileOf(folder: MediaFolder): Promise<MediaSource> {
  if (!folder.files.includes("audio.wav")) {
    throw new DataError("media-no-audio-track", `The folder ${folder.name} has no audio.wav.`, {
      hint: "Put the soundtrack there, or turn audio off for this row.",
    });
  }
  return { name: `${folder.name}/audio.wav`, data: await folder.read("audio.wav") };
}

async function readFps(folder: MediaFolder): Promise<number> {
  const file = ["clip.json", "fps.txt"].find((name) => folder.files.includes(name));
  if (!file) return DEFAULT_FOLDER_FPS;
  const text = new TextDecoder().decode(await folder.read(file));
  const fps = file === "clip.json" ? parseFps(text) : Number(text);
  if (fps > 0 && Number.isFinite(fps)) return fps;
  throw new DataError("media-bad-fps", `${folder.name}/${file} states no frame rate.`, {
    hint: 'Write {"fps": 8} into clip.json, or the number alone into fps.txt.',
  });
}

function parseFps(text: string): number {
  try {
    return Number((JSON.parse(text) as { fps?: unknown }).fps);
  } catch {
    return NaN;
  }
}
