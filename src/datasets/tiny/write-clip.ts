import {
  AudioSample,
  AudioSampleSource,
  BufferTarget,
  EncodedAudioPacketSource,
  type EncodedPacket,
  EncodedVideoPacketSource,
  Mp4OutputFormat,
  NullTarget,
  Output,
  Quality,
  VideoSample,
  VideoSampleSource,
} from "mediabunny";
import { assert } from "../../core/errors.ts";
import { FRAME_SIZE, FRAMES_PER_SECOND, SAMPLE_RATE, type Clip } from "./clip.ts";

/** Constant H.264 quantiser: steps of about 10 levels, which the task does not notice. */
const VIDEO_QUANTIZER = 24;
const AUDIO_BITS_PER_SECOND = 64000;

/** Limited range: luma takes 219 of 255 steps from 16 up, chroma 224 around 128. */
const [LUMA_SCALE, CHROMA_SCALE] = [219 / 255, 224 / 255];

/** Samples of one AAC packet, and by how many the encoder delays its input. */
const AAC_FRAME = 1024;
/**
 * Whole AAC packets that fit into two seconds: 1.984 s, so that no decoder sees a padded tail (two
 * seconds and a tail would be 51 audio tokens instead of 50). Every sound has ended by 1.96 s.
 */
const AAC_FRAMES = 31;

/**
 * Encodes a clip as an mp4 file with H.264 video (constant quantiser) and AAC sound.
 *
 * The encoders must be registered first (in Node `prepareDecoders` of `#media` does it). With the
 * same encoder build the same clip gives the same bytes: the file carries no time of creation.
 * Decoded, the first video frame and the first sample of `clip.samples` are at time 0.
 */
export async function writeClip(clip: Clip): Promise<Uint8Array> {
  const packets = await encode(clip);
  const target = new BufferTarget();
  const output = new Output({ format: new Mp4OutputFormat({ fastStart: "in-memory" }), target });
  const video = new EncodedVideoPacketSource("avc");
  const audio = new EncodedAudioPacketSource("aac");
  output.addVideoTrack(video, { frameRate: FRAMES_PER_SECOND });
  output.addAudioTrack(audio);
  await output.start();
  for (const { packet, meta } of packets.audio) await audio.add(packet, meta);
  audio.close();
  for (const { packet, meta } of packets.video) await video.add(packet, meta);
  await output.finalize();
  assert(target.buffer !== null, "a finished output has no bytes");
  const bytes = new Uint8Array(target.buffer);
  clearTimes(bytes);
  return bytes;
}

/** One encoded packet with what the encoder said about it. */
interface Coded<Meta> {
  packet: EncodedPacket;
  meta: Meta | undefined;
}

/** The packets of both tracks. */
interface Packets {
  video: Coded<EncodedVideoChunkMetadata>[];
  audio: Coded<EncodedAudioChunkMetadata>[];
}

/**
 * Encodes both tracks at once and keeps the packets. Written straight to the file they would lie
 * in the order in which the two encoders happened to finish.
 */
async function encode(clip: Clip): Promise<Packets> {
  const packets: Packets = { video: [], audio: [] };
  const output = new Output({ format: new Mp4OutputFormat(), target: new NullTarget() });
  const video = new VideoSampleSource({
    codec: "avc",
    quality: new Quality({ quantizer: VIDEO_QUANTIZER }),
    keyFrameInterval: 60,
    hardwareAcceleration: "prefer-software",
    onEncodedPacket: (packet, meta) => packets.video.push({ packet, meta }),
  });
  const audio = new AudioSampleSource({
    codec: "aac",
    quality: new Quality({ bitrate: AUDIO_BITS_PER_SECOND }),
    onEncodedPacket: (packet, meta) => packets.audio.push({ packet, meta }),
  });
  output.addVideoTrack(video);
  output.addAudioTrack(audio);
  await output.start();
  await Promise.all([addFrames(video, clip.frames), addSamples(audio, clip.samples)]);
  await output.finalize();
  return packets;
}

async function addFrames(source: VideoSampleSource, frames: readonly Uint8Array[]): Promise<void> {
  for (const [index, frame] of frames.entries()) {
    const sample = new VideoSample(toI420(frame, FRAME_SIZE, FRAME_SIZE), {
      format: "I420",
      codedWidth: FRAME_SIZE,
      codedHeight: FRAME_SIZE,
      timestamp: index / FRAMES_PER_SECOND,
      duration: 1 / FRAMES_PER_SECOND,
    });
    await source.add(sample);
    sample.close();
  }
}

async function addSamples(source: AudioSampleSource, samples: Float32Array): Promise<void> {
  // The encoder stamps its delayed output with the time of its input. Starting one packet early
  // puts the delay before time 0, where players and our own decoder drop it.
  const sample = new AudioSample({
    data: samples.slice(0, AAC_FRAMES * AAC_FRAME),
    format: "f32-planar",
    numberOfChannels: 1,
    sampleRate: SAMPLE_RATE,
    timestamp: -AAC_FRAME / SAMPLE_RATE,
  });
  await source.add(sample);
  sample.close();
}

/**
 * Converts RGB bytes to planar 4:2:0 with limited range, the mean of each 2 x 2 block as chroma.
 *
 * rgb: [height, width, 3] u8, even sides. Returns Y, U and V planes one after the other.
 * Source: ITU-R BT.601-7 sections 2.5.1 to 2.5.3.
 */
export function toI420(rgb: Uint8Array, width: number, height: number): Uint8Array {
  const pixels = width * height;
  const planes = new Uint8Array(pixels + pixels / 2);
  for (let pixel = 0; pixel < pixels; pixel++) {
    const [r, g, b] = [rgb[3 * pixel]!, rgb[3 * pixel + 1]!, rgb[3 * pixel + 2]!];
    planes[pixel] = Math.round(16 + LUMA_SCALE * luma(r, g, b));
  }
  for (let row = 0; row < height; row += 2) {
    for (let column = 0; column < width; column += 2) {
      const [r, g, b] = [0, 1, 2].map((channel) => {
        const first = 3 * (row * width + column) + channel;
        const second = first + 3 * width;
        return (rgb[first]! + rgb[first + 3]! + rgb[second]! + rgb[second + 3]!) / 4;
      }) as [number, number, number];
      const y = luma(r, g, b);
      const at = pixels + (row / 2) * (width / 2) + column / 2;
      planes[at] = Math.round(128 + CHROMA_SCALE * ((b - y) / 1.772));
      planes[at + pixels / 4] = Math.round(128 + CHROMA_SCALE * ((r - y) / 1.402));
    }
  }
  return planes;
}

function luma(r: number, g: number, b: number): number {
  return 0.299 * r + 0.587 * g + 0.114 * b;
}

/** Sets creation and modification times of an mp4 file to zero, so that equal clips are equal. */
function clearTimes(bytes: Uint8Array): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const walk = (start: number, end: number): void => {
    for (let at = start; at + 8 <= end;) {
      const size = view.getUint32(at);
      const type = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
      if (size < 8) return;
      if (type === "moov" || type === "trak" || type === "mdia") walk(at + 8, at + size);
      if (type === "mvhd" || type === "tkhd" || type === "mdhd") {
        // Version 1 boxes hold the two times in 64 bits each, version 0 in 32.
        const timeBytes = bytes[at + 8] === 1 ? 16 : 8;
        bytes.fill(0, at + 12, at + 12 + timeBytes);
      }
      at += size;
    }
  };
  walk(0, bytes.length);
}
