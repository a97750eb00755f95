/*
 * Media that mediabunny does not know, read by FFmpeg's demuxers (node-av, which @mediabunny/server
 * brings along): AVI, FLV, MPEG-PS, ASF, AIFF, CAF, AU, W64, and codecs such as MPEG-4 part 2,
 * MPEG-2, Theora, ALAC, ADPCM or Speex in the containers that mediabunny knows.
 *
 * Only these demuxers are used: others open further files, which the maker of a clip would choose.
 */
import { AudioSample, VideoSample } from "mediabunny";
import type * as NodeAv from "node-av";
import type { ForeignMedium, ForeignPictures, ForeignSound } from "./foreign.ts";

/** Names of FFmpeg's demuxers that read one file and nothing else. */
const DEMUXERS = [
  ...["avi", "flv", "mpeg", "mpegvideo", "mpegts", "asf", "rm", "nut", "ivf", "m4v", "mxf"],
  ...["mov", "matroska", "ogg", "wav", "w64", "aiff", "caf", "au", "amr", "flac", "mp3", "aac"],
  ...["ac3", "eac3", "dts", "ape", "wv", "tta"],
];

/** Those whose headers state how long the sound is; others guess, or count silence in front. */
const STATE_LENGTH = ["mov", "wav", "w64", "aiff", "caf", "au"];

/** The one whose number of pictures counts those that its edit list hides, too. */
const COUNTS_HIDDEN = "mov";

/** FFmpeg, and mediabunny's samples that are backed by its frames. */
export interface Ffmpeg {
  av: typeof NodeAv;
  server: typeof import("@mediabunny/server");
}

/** Opens the file at an absolute path with a demuxer of FFmpeg; null when it knows none. */
export async function openWithFfmpeg(ffmpeg: Ffmpeg, path: string): Promise<ForeignMedium | null> {
  const { Demuxer } = ffmpeg.av;
  const probed = await Demuxer.probeFormat(path);
  const format = probed?.format.split(",").find((name) => DEMUXERS.includes(name));
  if (format === undefined) return null;
  const open = () => Demuxer.open(path, { format, copyTs: true });
  let demuxer: NodeAv.Demuxer;
  try {
    demuxer = await open();
  } catch {
    // Damaged beyond FFmpeg too: what mediabunny says of it is the better word.
    return null;
  }
  const kind = { video: ffmpeg.av.AVMEDIA_TYPE_VIDEO, audio: ffmpeg.av.AVMEDIA_TYPE_AUDIO };
  const picture = demuxer.streams.find(
    (stream) =>
      stream.codecpar.codecType === kind.video &&
      !(stream.disposition & ffmpeg.av.AV_DISPOSITION_ATTACHED_PIC),
  );
  const sound = demuxer.streams.find((stream) => stream.codecpar.codecType === kind.audio);
  const medium: ForeignMedium = {
    pictures: picture ? picturesOf(ffmpeg, open, picture, format) : null,
    sound: sound ? soundOf(ffmpeg, open, sound, STATE_LENGTH.includes(format)) : null,
    close: () => demuxer.closeSync(),
  };
  return medium;
}

type Open = () => Promise<NodeAv.Demuxer>;

function picturesOf(
  ffmpeg: Ffmpeg,
  open: Open,
  stream: NodeAv.Stream,
  format: string,
): ForeignPictures {
  const { num, den } = stream.avgFrameRate;
  const tick = stream.timeBase.num / stream.timeBase.den;
  return {
    frameRate: den > 0 ? num / den : 0,
    statedFrames: format === COUNTS_HIDDEN ? 0 : Number(stream.nbFrames),
    orientation: { rotation: rotationOf(ffmpeg, stream), flip: false },
    async times() {
      const times = [];
      for await (const packet of packetsOf(ffmpeg, open, stream.index)) {
        const at = packet.pts === ffmpeg.av.AV_NOPTS_VALUE ? packet.dts : packet.pts;
        times.push({ timestamp: Number(at) * tick, duration: Number(packet.duration) * tick });
      }
      return times;
    },
    async *samples() {
      let index = 0;
      for await (const frame of framesOf(ffmpeg, open, stream.index)) {
        const timestamp = frame.pts === ffmpeg.av.AV_NOPTS_VALUE ? index : Number(frame.pts) * tick;
        index++;
        // Coded pixels count; 0/1 stands for "not said", which mediabunny does not take.
        frame.sampleAspectRatio = new ffmpeg.av.Rational(1, 1);
        const resource = new ffmpeg.server.AvFrameVideoSampleResource(frame);
        yield new VideoSample(resource, { timestamp, duration: Number(frame.duration) * tick });
      }
    },
  };
}

function soundOf(
  ffmpeg: Ffmpeg,
  open: Open,
  stream: NodeAv.Stream,
  statesLength: boolean,
): ForeignSound {
  const { duration, timeBase } = stream;
  const known = statesLength && duration !== ffmpeg.av.AV_NOPTS_VALUE;
  const stated = known ? Number(duration) : 0;
  return {
    statedS: (stated * timeBase.num) / timeBase.den,
    async *samples() {
      for await (const frame of framesOf(ffmpeg, open, stream.index)) {
        yield new AudioSample(new ffmpeg.server.AvFrameAudioSampleResource(frame));
      }
    },
  };
}

/** Degrees clockwise by which pictures are shown, from the matrix of the container. */
function rotationOf({ av }: Ffmpeg, { codecpar }: NodeAv.Stream): 0 | 90 | 180 | 270 {
  const matrix = codecpar.getCodedSideData(av.AV_PKT_DATA_DISPLAYMATRIX);
  if (!matrix || matrix.length < 36) return 0;
  const [a, b] = [matrix.readInt32LE(0), matrix.readInt32LE(4)];
  if (Math.abs(a) > Math.abs(b)) return a < 0 ? 180 : 0;
  return b > 0 ? 90 : b < 0 ? 270 : 0;
}

// Read synchronously: the queues of node-av 6 need Promise.withResolvers, which Node 20 lacks.
async function* packetsOf(
  { av }: Ffmpeg,
  open: Open,
  index: number,
): AsyncGenerator<NodeAv.Packet> {
  const demuxer = await open();
  try {
    for (const packet of demuxer.packetsSync(index)) {
      if (!packet) return;
      if (!packet.hasFlags(av.AV_PKT_FLAG_DISCARD)) yield packet;
      packet.free();
    }
  } finally {
    demuxer.closeSync();
  }
}

/** Streams that state nothing of their length: what is not complete at their end does not count. */
const OPEN_ENDED = ["mpegts", "mpeg", "mpegvideo", "m4v"];

async function* framesOf({ av }: Ffmpeg, open: Open, index: number): AsyncGenerator<NodeAv.Frame> {
  const demuxer = await open();
  const openEnded = OPEN_ENDED.includes(demuxer.formatName);
  let atEnd = false;
  const packets = withLast(demuxer.packetsSync(index), () => (atEnd = openEnded));
  const decoder = await av.Decoder.create(demuxer.getStream(index)!, {
    exitOnError: true,
    threadCount: 1,
  });
  try {
    for (const frame of decoder.framesSync(packets)) {
      if (!frame) return;
      if (!frame.decodeErrorFlags) {
        yield frame;
        continue;
      }
      frame.free();
      if (!atEnd) throw new Error("a picture is damaged and FFmpeg would patch it");
    }
  } catch (error) {
    if (!atEnd) throw error;
    for (const frame of decoder.flushFramesSync()) {
      if (!frame) return;
      yield frame;
    }
  } finally {
    decoder.close();
    demuxer.closeSync();
  }
}

/** Says when the last packet of a stream is handed on. */
function* withLast(
  packets: Iterable<NodeAv.Packet | null>,
  isLast: () => void,
): Generator<NodeAv.Packet | null> {
  let before: NodeAv.Packet | null = null;
  for (const packet of packets) {
    if (before) yield before;
    if (!packet) isLast();
    before = packet;
  }
  if (before) isLast();
  yield before;
}
