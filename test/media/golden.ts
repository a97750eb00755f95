import { readFileSync } from "node:fs";

/** The path of a clip that test/golden/media/make_clips.py makes. */
export const clipPath = (name: string): string => `test/golden/media/clips/${name}`;
/** Clips without loss, which decode to the same bits everywhere, by their names in mel.json. */
export const LOSSLESS = { voice: clipPath("voice.flac"), film: clipPath("film.mp4") };
/** Frames of the film that frames.json looks at. */
export const FILM_FRAMES = [0, 9, 21];

/** A sparse spectrogram or signal of media.json. */
export interface Sampled {
  stride: number;
  values: string;
}

/** The output of test/golden/media/make.py. */
export interface MediaGolden {
  resize: {
    salt: number;
    from: [number, number];
    to: [number, number];
    pil: string;
    float: string;
    video: string;
  }[];
  frames: [total: number, n: number, spaced: number, hfLength: number, hf: number][];
  smartResize: [w: number, h: number, min: number, max: number, W: number, H: number][];
  patchify: { salt: number; size: [number, number]; grid: number[]; slow: string; fast: string };
  logMelSpeech: Sampled & { samples: number; frames: number };
  logMelFull: Sampled & { frames: number };
  logMelFullEnd: string;
  resample: Record<string, Sampled & { length: number }>;
}

export const golden = JSON.parse(
  readFileSync(new URL("../golden/media/media.json", import.meta.url), "utf8"),
) as MediaGolden;

export function bytesOf(base64: string): Uint8Array {
  return new Uint8Array(Buffer.from(base64, "base64"));
}

export function floatsOf(base64: string): Float32Array {
  return new Float32Array(bytesOf(base64).buffer);
}

/** The same noisy picture as `picture` in test/golden/media/make.py. */
export function noisyPicture(width: number, height: number, salt: number) {
  const rgb = new Uint8Array(width * height * 3);
  for (let i = 0; i < rgb.length; i++) {
    const noise = Math.floor((((i + salt) * 2654435761) % 2 ** 32) / 2 ** 24);
    const ramp = Math.floor(((Math.floor(i / 3) % width) * 255) / width);
    rgb[i] = Math.floor((noise + 3 * ramp) / 4);
  }
  return { width, height, rgb, timestamp: 0 };
}

/** The largest absolute difference of two sequences of one length. */
export function maxDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) throw new Error(`${a.length} values against ${b.length}`);
  let worst = 0;
  for (let i = 0; i < a.length; i++) worst = Math.max(worst, Math.abs(a[i]! - b[i]!));
  return worst;
}

/** A PCM16 WAV file of interleaved samples in [-1, 1]. */
export function wavFile(samples: ArrayLike<number>, sampleRate: number, channels = 1): Uint8Array {
  const view = new DataView(new ArrayBuffer(44 + samples.length * 2));
  const text = (at: number, s: string) =>
    new TextEncoder().encode(s).forEach((byte, i) => view.setUint8(at + i, byte));
  text(0, "RIFF");
  view.setUint32(4, 36 + samples.length * 2, true);
  text(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true);
  view.setUint16(22, channels, true);
  view.setUint32(24, sampleRate, true);
  view.setUint32(28, sampleRate * channels * 2, true);
  view.setUint16(32, channels * 2, true);
  view.setUint16(34, 16, true);
  text(36, "data");
  view.setUint32(40, samples.length * 2, true);
  for (let i = 0; i < samples.length; i++) {
    view.setInt16(44 + i * 2, Math.round(samples[i]! * 32767), true);
  }
  return new Uint8Array(view.buffer);
}
