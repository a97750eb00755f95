/*
 * From a file to 16 kHz mono.
 *
 * The pieces of sound are put end to end; what lies before t = 0 (the priming of AAC and Opus) is
 * dropped. Channels are averaged (arithmetic mean, as librosa.to_mono), then resampled.
 */
import { AudioSampleSink, type AudioSample, type Input, type InputAudioTrack } from "mediabunny";
import { DataError } from "../core/errors.ts";
import { openFolder } from "#media";
import { audioFileOf } from "./frame-folder.ts";
import { requireDecoder, withMedia } from "./open.ts";
import { resample } from "./resample.ts";
import { type AudioClip, type DecodeOptions, type MediaSource, sourceName } from "./types.ts";
import { watched } from "./watchdog.ts";

/** The rate in Hz that all audio towers are trained at. */
export const MODEL_SAMPLE_RATE = 16000;

/** How to decode audio. */
export interface DecodeAudioOptions extends DecodeOptions {
  /** Which audio track, from 0. Without it the first is used, with a warning if there are more. */
  track?: number;
}

/**
 * Decodes a soundtrack to 16 kHz mono.
 *
 * Numerics: f32 samples from the decoder, mean in f64 rounded to f32, resampled in f64.
 *
 * @throws {DataError} `media-missing`, `media-unreadable`, `media-corrupt`, `media-no-audio-track`,
 *   `media-bad-track`, `media-empty-audio`, `media-decoder-missing`, `media-stalled`.
 */
export async function decodeAudio(
  source: MediaSource,
  options: DecodeAudioOptions = {},
): Promise<AudioClip> {
  const file = sourceName(source);
  const folder = await openFolder(source);
  if (folder) return decodeAudio(await audioFileOf(folder), options);
  return withMedia(source, options, async (input) => {
    const track = await chooseTrack(input, file, options);
    await requireDecoder(track, file);
    const { mono, sourceRate } = await decodeMono(track, file, options);
    const samples = resample(mono, sourceRate, MODEL_SAMPLE_RATE);
    const durationS = mono.length / sourceRate;
    return { file, samples, sampleRate: MODEL_SAMPLE_RATE, durationS, sourceRate };
  });
}

async function chooseTrack(
  input: Input,
  file: string,
  { track, onWarning }: DecodeAudioOptions,
): Promise<InputAudioTrack> {
  const tracks = await input.getAudioTracks();
  const first = tracks[0];
  if (!first) {
    throw new DataError("media-no-audio-track", `${file} has no audio track.`, {
      hint: "Turn audio off for this row (use_audio_in_video: false), or leave it out.",
    });
  }
  if (track !== undefined) {
    const chosen = tracks[track];
    if (chosen) return chosen;
    throw new DataError(
      "media-bad-track",
      `${file}: audio track ${track} is asked for, but there are tracks 0 to ${tracks.length - 1}.`,
    );
  }
  if (tracks.length > 1) {
    onWarning?.({
      code: "media-several-audio-tracks",
      file,
      message: `${file} has ${tracks.length} audio tracks; the first is used.`,
    });
  }
  return first;
}

async function decodeMono(
  track: InputAudioTrack,
  file: string,
  options: DecodeAudioOptions,
): Promise<{ mono: Float32Array; sourceRate: number }> {
  const sourceRate = await track.getSampleRate();
  const parts: Float32Array[] = [];
  let length = 0;
  const samples = new AudioSampleSink(track).samples();
  for await (const sample of watched(samples, { file, what: "decoding audio", ...options })) {
    try {
      if (sample.sampleRate !== sourceRate) {
        throw new DataError(
          "media-rate-change",
          `${file}: the sound changes from ${sourceRate} Hz to ${sample.sampleRate} Hz.`,
          { hint: "Re-encode the file at one sample rate." },
        );
      }
      const part = monoFromZero(sample);
      parts.push(part);
      length += part.length;
    } finally {
      sample.close();
    }
  }
  if (length === 0) {
    throw new DataError("media-empty-audio", `${file} has an audio track without sound.`, {
      hint: "Turn audio off for this row, or leave it out.",
    });
  }
  const mono = new Float32Array(length);
  let at = 0;
  for (const part of parts) {
    mono.set(part, at);
    at += part.length;
  }
  return { mono, sourceRate };
}

function monoFromZero(sample: AudioSample): Float32Array {
  const { numberOfFrames, numberOfChannels, sampleRate, timestamp } = sample;
  const skip = Math.min(numberOfFrames, Math.max(0, Math.round(-timestamp * sampleRate)));
  const mono = new Float32Array(numberOfFrames - skip);
  if (mono.length === 0) return mono;
  const sum = new Float64Array(mono.length);
  const plane = new Float32Array(mono.length);
  for (let planeIndex = 0; planeIndex < numberOfChannels; planeIndex++) {
    sample.copyTo(plane, { planeIndex, format: "f32-planar", frameOffset: skip });
    for (let i = 0; i < sum.length; i++) sum[i]! += plane[i]!;
  }
  for (let i = 0; i < sum.length; i++) mono[i] = sum[i]! / numberOfChannels;
  return mono;
}
