/*
 * From a file to the chosen frames as RGB.
 *
 * A frame is coded pixels, turned as the file asks; non-square pixels are not stretched. decord and
 * torchvision, the readers behind the reference preparation, ignore the pixel aspect ratio too.
 * Frames count as decoded, in presentation order, whatever their spacing (variable frame rate);
 * frames that end at or before t = 0 are not part of the clip. Colour tags are those of the
 * container or of the stream's parameter sets: Chromium fills in BT.709 where a file says nothing.
 */
import {
  EncodedPacketSink,
  type InputVideoTrack,
  type VideoSample,
  VideoSampleSink,
} from "mediabunny";
import { DataError } from "../core/errors.ts";
import { type ColourTags, toRgb } from "./colour.ts";
import { openFolder } from "#media";
import { emptyVideo, makeClip } from "./clip.ts";
import { decodeVideoFolder } from "./frame-folder.ts";
import { requireDecoder, withMedia } from "./open.ts";
import { type Orientation, orientRgb } from "./orient.ts";
import {
  type DecodeOptions,
  type Frame,
  type FrameChoice,
  type FrameInfo,
  type MediaSource,
  sourceName,
  type VideoClip,
} from "./types.ts";
import { watch, watched } from "./watchdog.ts";

/** How to decode a video. */
export interface DecodeVideoOptions extends DecodeOptions {
  /** Applied to every chosen frame as it is decoded, so that full-size frames need not be kept. */
  transform?: (frame: Frame, chosenFrames: number) => Frame;
}

/**
 * Decodes the frames that `choose` selects.
 *
 * Numerics: planes from the decoder in software, then `colour.ts`; identical in Node and a page.
 *
 * @throws {DataError} `media-missing`, `media-unreadable`, `media-corrupt`, `media-no-video-track`,
 *   `media-empty-video`, `media-decoder-missing`, `media-stalled`, `media-frame-choice`.
 */
export async function decodeVideo(
  source: MediaSource,
  choose: FrameChoice,
  options: DecodeVideoOptions = {},
): Promise<VideoClip> {
  const folder = await openFolder(source);
  if (folder) return decodeVideoFolder(folder, choose, options);
  const file = sourceName(source);
  return withMedia(source, options, async (input) => {
    const [track, ...others] = await input.getVideoTracks();
    if (!track) {
      throw new DataError("media-no-video-track", `${file} has no video track.`, {
        hint: "Use it as audio, or give a file that has pictures.",
      });
    }
    if (others.length > 0) {
      options.onWarning?.({
        code: "media-several-video-tracks",
        file,
        message: `${file} has ${others.length + 1} video tracks; the first is used.`,
      });
    }
    await requireDecoder(track, file);
    return decodeTrack(track, file, choose, options);
  });
}

async function decodeTrack(
  track: InputVideoTrack,
  file: string,
  choose: FrameChoice,
  options: DecodeVideoOptions,
): Promise<VideoClip> {
  let info = await watch(scanPackets(track), { file, what: "counting its frames", ...options });
  // The packets say how many frames to expect. Where the decoder gives another number (fields,
  // leading pictures of an open group), that number counts and the choice is made again.
  for (let attempt = 0; attempt < 2; attempt++) {
    if (info.totalFrames === 0) throw emptyVideo(file);
    const indices = choose(info);
    const decoded = await decodeChosen(track, file, indices, options);
    if (decoded.totalFrames === info.totalFrames)
      return makeClip(file, info, indices, decoded.frames);
    const { totalFrames } = decoded;
    info = { ...info, totalFrames, fps: totalFrames / info.durationS };
  }
  throw new DataError("media-corrupt", `${file}: two decodes gave different numbers of frames.`, {
    hint: "The file is damaged; fetch it again or leave the row out.",
  });
}

async function scanPackets(track: InputVideoTrack): Promise<FrameInfo> {
  let totalFrames = 0;
  let start = Infinity;
  let lastStart = -Infinity;
  let end = -Infinity;
  const packets = new EncodedPacketSink(track).packets(undefined, undefined, {
    metadataOnly: true,
  });
  for await (const packet of packets) {
    if (!isShown(packet)) continue;
    totalFrames++;
    start = Math.min(start, packet.timestamp);
    lastStart = Math.max(lastStart, packet.timestamp);
    end = Math.max(end, packet.timestamp + packet.duration);
  }
  if (totalFrames === 0) return { totalFrames, fps: 0, durationS: 0 };
  // Without durations in the file the last frame is taken to last as long as the others do.
  if (end <= lastStart && totalFrames > 1)
    end = lastStart + (lastStart - start) / (totalFrames - 1);
  const durationS = end > start ? end - start : 1;
  return { totalFrames, fps: totalFrames / durationS, durationS };
}

function isShown({ timestamp, duration }: { timestamp: number; duration: number }): boolean {
  return timestamp >= 0 || timestamp + duration > 0;
}

async function decodeChosen(
  track: InputVideoTrack,
  file: string,
  indices: number[],
  options: DecodeVideoOptions,
): Promise<{ totalFrames: number; frames: Map<number, Frame> }> {
  const wanted = new Set(indices);
  const tags = await readTags(track);
  const orientation = { rotation: await track.getRotation(), flip: await track.getFlip() };
  const sink = new VideoSampleSink(track, { hardwareAcceleration: "prefer-software" });
  const frames = new Map<number, Frame>();
  let totalFrames = 0;
  for await (const sample of watched(sink.samples(), {
    file,
    what: "decoding video",
    ...options,
  })) {
    try {
      if (!isShown(sample)) continue;
      const index = totalFrames++;
      if (!wanted.has(index)) continue;
      const frame = await readFrame(sample, tags, orientation, file);
      frames.set(index, options.transform?.(frame, indices.length) ?? frame);
    } finally {
      sample.close();
    }
  }
  return { totalFrames, frames };
}

async function readTags(track: InputVideoTrack): Promise<ColourTags> {
  const space = await track.getColorSpace();
  return { matrix: space.matrix ?? null, fullRange: space.fullRange ?? null };
}

async function readFrame(
  sample: VideoSample,
  tags: ColourTags,
  orientation: Orientation,
  file: string,
): Promise<Frame> {
  if (sample.format === null) {
    throw new DataError("media-pixel-format", `${file}: the decoder does not show its pixels.`, {
      hint: "Turn hardware decoding off, or re-encode the clip as 8-bit 4:2:0.",
    });
  }
  const data = new Uint8Array(sample.allocationSize());
  const planes = await sample.copyTo(data);
  const { width, height } = sample.visibleRect;
  const rgb = toRgb({ format: sample.format, width, height, data, planes }, tags);
  return { ...orientRgb({ width, height, rgb }, orientation), timestamp: sample.timestamp };
}
