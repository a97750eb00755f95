/*
 * From a file to the chosen frames as RGB.
 *
 * A frame is coded pixels, turned as the file asks; non-square pixels are not stretched. decord and
 * torchvision, the readers behind the reference preparation, ignore the pixel aspect ratio too.
 * Frames count as decoded, in presentation order, whatever their spacing (variable frame rate);
 * in MP4 and MOV those that begin outside of the edit list are not part of the clip. Colour tags are
 * those of the container or of the stream's parameter sets: Chromium fills in BT.709 where a file
 * says nothing. What mediabunny does not know is read by FFmpeg alone, in Node only.
 */
import { type VideoSample, VideoSampleResource, VideoSampleSink } from "mediabunny";
import { AubadeError, DataError } from "../core/errors.ts";
import { type ColourTags, type RawPicture, toRgb } from "./colour.ts";
import { openFolder, openForeign } from "#media";
import { emptyVideo, videoClipOf } from "./clip.ts";
import { cutOff } from "../container/damage.ts";
import { readFacts, type TrackFacts } from "../container/facts.ts";
import { scanPackets } from "../container/packets.ts";
import { type ForeignPictures, orForeign } from "./foreign.ts";
import { decodeVideoFolder } from "./frame-folder.ts";
import { averageFrameRate, type FrameTime } from "../container/frame-rate.ts";
import { corrupt, ONLY_IN_NODE, requireDecoder, withMedia } from "./open.ts";
import { type Orientation, orientRgb } from "./orient.ts";
import {
  type DecodeOptions,
  type FrameChoice,
  type FrameInfo,
  type MediaSource,
  sourceName,
  type VideoClip,
} from "./types.ts";
import type { Frame } from "../signal/frame.ts";
import { watch, watched } from "./watchdog.ts";

/** How to decode a video. */
export interface DecodeVideoOptions extends DecodeOptions {
  /** Applied to every chosen frame as it is decoded, so that full-size frames need not be kept. */
  transform?: (frame: Frame, chosenFrames: number) => Frame | Promise<Frame>;
}

/** A frame choice, made here or by another thread. */
type Chooser = (...info: Parameters<FrameChoice>) => number[] | Promise<number[]>;

/**
 * Decodes the frames that `choose` selects.
 *
 * Numerics: planes from the decoder in software, then `colour.ts`; identical in Node and a page,
 * at odd widths too.
 *
 * @throws {DataError} `media-missing`, `media-unreadable`, `media-corrupt`, `media-cut-off`,
 *   `media-holed`, `media-no-video-track`, `media-empty-video`, `media-decoder-missing`,
 *   `media-stalled`, `media-frame-choice`.
 */
export async function decodeVideo(
  source: MediaSource,
  choose: Chooser,
  options: DecodeVideoOptions = {},
): Promise<VideoClip> {
  const folder = await openFolder(source);
  if (folder) return decodeVideoFolder(folder, choose, options);
  const file = sourceName(source);
  return orForeign(
    () => decodeKnown(source, choose, options),
    () => watch(openForeign(source), { file, what: "reading its header" }),
    ({ pictures }) => {
      if (!pictures) throw noPictures(file);
      return decodeForeign(pictures, file, choose, options);
    },
  );
}

function decodeKnown(
  source: MediaSource,
  choose: Chooser,
  options: DecodeVideoOptions,
): Promise<VideoClip> {
  const file = sourceName(source);
  return withMedia(source, options, async (input, container) => {
    const [track, ...others] = await input.getVideoTracks();
    if (!track) {
      throw new DataError(
        "media-no-video-track",
        `${file} has no video track that is known here.`,
        {
          hint: `Use it as audio, or give a file that has pictures. ${ONLY_IN_NODE}`,
        },
      );
    }
    if (others.length > 0) {
      options.onWarning?.({
        code: "media-several-video-tracks",
        file,
        message: `${file} has ${others.length + 1} video tracks; the first is used.`,
      });
    }
    await requireDecoder(track, file);
    const facts = await watch(readFacts(input, track, container, file), {
      ...{ file, what: "reading its times" },
    });
    const packets = await watch(scanPackets(track, file), { file, what: "counting its frames" });
    const sink = new VideoSampleSink(track, { hardwareAcceleration: "prefer-software" });
    const space = await track.getColorSpace();
    const stream: PictureStream = {
      file,
      facts,
      packets,
      tags: { matrix: space.matrix ?? null, fullRange: space.fullRange ?? null },
      orientation: { rotation: await track.getRotation(), flip: await track.getFlip() },
      samples: () => sink.samples(),
    };
    return decodeStream(stream, choose, options);
  });
}

async function decodeForeign(
  pictures: ForeignPictures,
  file: string,
  choose: Chooser,
  options: DecodeVideoOptions,
): Promise<VideoClip> {
  const packets = await watch(pictures.times(), { file, what: "counting its frames" });
  if (packets.length + 1 < pictures.statedFrames) {
    throw cutOff(file, `${pictures.statedFrames} pictures`, `${packets.length} of them are there`);
  }
  const { frameRate, orientation, samples } = pictures;
  const statedRate = frameRate > 0 ? frameRate : null;
  const facts: TrackFacts = {
    clock: { resolution: 1000, statedRate, exact: false },
    shown: { fromS: -Infinity, endS: Infinity },
  };
  const stream = { file, facts, packets, tags: null, orientation, samples };
  try {
    return await decodeStream(stream, choose, options);
  } catch (cause) {
    throw cause instanceof AubadeError ? cause : corrupt(file, cause);
  }
}

function noPictures(file: string, more = ""): DataError {
  return new DataError("media-no-video-track", `${file} has no video track that is known here.`, {
    hint: `Use it as audio, or give a file that has pictures. ${more}`.trimEnd(),
  });
}

/** A source of pictures. */
interface PictureStream {
  file: string;
  facts: TrackFacts;
  packets: FrameTime[];
  /**
   * The colours as the container states them; null where only the pictures themselves say
   * something.
   */
  tags: ColourTags | null;
  orientation: Orientation;
  samples: () => AsyncIterable<VideoSample>;
}

async function decodeStream(
  stream: PictureStream,
  choose: Chooser,
  options: DecodeVideoOptions,
): Promise<VideoClip> {
  const { file, facts, packets } = stream;
  let info = infoOf(packets, facts);
  // The packets say how many frames to expect. Where the decoder gives another number (fields,
  // leading pictures of an open group), that number counts and the choice is made again.
  for (let attempt = 0; attempt < 2; attempt++) {
    if (info.totalFrames === 0) throw emptyVideo(file);
    const indices = await choose(info);
    const decoded = await decodeChosen(stream, indices, options);
    if (decoded.times.length === info.totalFrames)
      return videoClipOf(file, info, indices, decoded.frames);
    info = infoOf(decoded.times, facts);
  }
  throw new DataError("media-corrupt", `${file}: two decodes gave different numbers of frames.`, {
    hint: "The file is damaged; fetch it again or leave the row out.",
  });
}

function infoOf(times: FrameTime[], facts: TrackFacts): FrameInfo {
  const totalFrames = times.filter((time) => isShown(time, facts)).length;
  const fps = averageFrameRate(times, facts.clock);
  return { totalFrames, fps, durationS: totalFrames / fps };
}

function isShown({ timestamp }: FrameTime, { clock, shown }: TrackFacts): boolean {
  const tick = Math.round(timestamp * clock.resolution);
  return (
    tick >= Math.round(shown.fromS * clock.resolution) &&
    tick < Math.round(shown.endS * clock.resolution)
  );
}

async function decodeChosen(
  { file, facts, tags, orientation, samples }: PictureStream,
  indices: number[],
  options: DecodeVideoOptions,
): Promise<{ times: FrameTime[]; frames: Map<number, Frame> }> {
  const wanted = new Set(indices);
  const frames = new Map<number, Frame>();
  const times: FrameTime[] = [];
  for await (const sample of watched(samples(), { file, what: "decoding video" })) {
    try {
      if (!isShown(sample, facts)) continue;
      const index = times.push({ timestamp: sample.timestamp, duration: sample.duration }) - 1;
      if (!wanted.has(index)) continue;
      const frame = await readFrame(sample, tags ?? tagsOf(sample), orientation, file);
      frames.set(index, (await options.transform?.(frame, indices.length)) ?? frame);
    } finally {
      sample.close();
    }
  }
  return { times, frames };
}

function tagsOf({ colorSpace: { matrix, fullRange } }: VideoSample): ColourTags {
  return { matrix: matrix ?? null, fullRange: fullRange ?? null };
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
  const { width, height } = sample.visibleRect;
  const planes = await readPlanes(sample);
  const rgb = toRgb({ format: sample.format, width, height, planes }, tags);
  return { ...orientRgb({ width, height, rgb }, orientation), timestamp: sample.timestamp };
}

/**
 * Returns the planes of a picture. Those of FFmpeg's frames are taken as they lie: `copyTo` of
 * mediabunny 1.61 counts floor(width / 2) columns of chroma, one too few where the width is odd.
 */
async function readPlanes(sample: VideoSample): Promise<RawPicture["planes"]> {
  const { _data: resource } = sample as unknown as { _data: unknown };
  if (resource instanceof VideoSampleResource) return resource.getDataPlanes();
  const data = new Uint8Array(sample.allocationSize());
  const layout = await sample.copyTo(data);
  return layout.map(({ offset, stride }) => ({ data: data.subarray(offset), stride }));
}
