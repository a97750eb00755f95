/*
 * From a file to 16 kHz mono.
 *
 * The pieces of sound are put end to end. What an encoder puts before and after the sound (the
 * priming of AAC, the delay and the padding of MP3, what the last page of Ogg cuts off) is dropped,
 * as FFmpeg and so librosa drop it. Channels are averaged (arithmetic mean, as librosa.to_mono),
 * then resampled.
 */
import { AudioSampleSink, type AudioSample, type Input, type InputAudioTrack } from "mediabunny";
import { AubadeError, DataError } from "../core/errors.ts";
import { openFolder, openForeign } from "#media";
import { cutOff } from "../container/damage.ts";
import { preSkipOf, readSoundFacts, type SoundFacts } from "../container/facts.ts";
import { type ForeignSound, orForeign } from "./foreign.ts";
import { audioFileOf } from "./frame-folder.ts";
import { corrupt, requireDecoder, withMedia } from "./open.ts";
import { checkSampleRate, resample } from "../signal/resample.ts";
import { type AudioClip, type DecodeOptions, type MediaSource, sourceName } from "./types.ts";
import { watch, watched } from "./watchdog.ts";

/** The rate in Hz that all audio towers are trained at. */
const MODEL_SAMPLE_RATE = 16000;

/** Seconds by which the length that FFmpeg states may be off: a packet of sound or two. */
const STATED_SLACK_S = 0.2;

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
 * @throws {DataError} `media-missing`, `media-unreadable`, `media-corrupt`, `media-cut-off`,
 *   `media-holed`, `media-no-audio-track`, `media-bad-track`, `media-sample-rate`, `media-empty-audio`,
 *   `media-not-finite`, `media-decoder-missing`, `media-stalled`.
 */
export async function decodeAudio(
  source: MediaSource,
  options: DecodeAudioOptions = {},
): Promise<AudioClip> {
  const file = sourceName(source);
  const folder = await openFolder(source);
  if (folder) return decodeAudio(await audioFileOf(folder), options);
  const { mono, sourceRate } = await orForeign(
    () => decodeKnown(source, options),
    () => watch(openForeign(source), { file, what: "reading its header" }),
    ({ sound }) => {
      if (!sound) throw noSound(file);
      return options.track ? null : decodeForeign(sound, file);
    },
  );
  const samples = resample(mono, sourceRate, MODEL_SAMPLE_RATE);
  const durationS = mono.length / sourceRate;
  return { file, samples, sampleRate: MODEL_SAMPLE_RATE, durationS, sourceRate };
}

/** Sound as it was decoded. */
interface Mono {
  mono: Float32Array;
  sourceRate: number;
}

function decodeKnown(source: MediaSource, options: DecodeAudioOptions): Promise<Mono> {
  const file = sourceName(source);
  return withMedia(source, options, async (input, container) => {
    const track = await chooseTrack(input, file, options);
    await requireDecoder(track, file);
    checkSampleRate(await track.getSampleRate(), file);
    const checking = { file, what: "checking that its sound is whole" };
    const facts = await watch(readSoundFacts(input, track, container, file), checking);
    const preSkip = await preSkipOf(track);
    return decodeMono(new AudioSampleSink(track).samples(), { ...facts, preSkip }, file);
  });
}

async function decodeForeign({ samples, statedS }: ForeignSound, file: string): Promise<Mono> {
  const shown = { fromS: -Infinity, endS: Infinity };
  const facts = { skip: 0, keep: Infinity, discardS: 0, shown, preSkip: 0 };
  try {
    const decoded = await decodeMono(samples(), facts, file);
    const thereS = decoded.mono.length / decoded.sourceRate;
    if (thereS + STATED_SLACK_S < statedS) {
      throw cutOff(file, `${statedS.toFixed(2)} s of sound`, `${thereS.toFixed(2)} s are there`);
    }
    return decoded;
  } catch (cause) {
    throw cause instanceof AubadeError ? cause : corrupt(file, cause);
  }
}

function noSound(file: string): DataError {
  return new DataError("media-no-audio-track", `${file} has no audio track that is known here.`, {
    hint: "Turn audio off for this row (use_audio_in_video: false), or leave it out.",
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
    throw noSound(file);
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
  samples: AsyncIterable<AudioSample>,
  facts: SoundFacts & { preSkip: number },
  file: string,
): Promise<Mono> {
  const parts: Float32Array[] = [];
  // The rate of what is decoded: AAC with SBR has twice the one that its container states.
  let sourceRate = 0;
  for await (const sample of watched(samples, { file, what: "decoding audio" })) {
    try {
      if (sourceRate === 0) {
        sourceRate = sample.sampleRate;
        checkSampleRate(sourceRate, file);
      }
      if (sample.sampleRate !== sourceRate) throw rateChange(file, sourceRate, sample);
      // FFmpeg and browsers drop the pre-skip of Opus from the first piece, but not from its time.
      const early = parts.length === 0 && sample.timestamp < 0 ? facts.preSkip : 0;
      parts.push(shownMono(sample, sample.timestamp + early / sourceRate, facts));
    } finally {
      sample.close();
    }
  }
  const all = concat(parts);
  const end = all.length - Math.round(facts.discardS * sourceRate);
  const mono = all.subarray(
    facts.skip,
    Math.max(facts.skip, Math.min(end, facts.skip + facts.keep)),
  );
  if (mono.length === 0) {
    throw new DataError("media-empty-audio", `${file} has an audio track without sound.`, {
      hint: "Turn audio off for this row, or leave it out.",
    });
  }
  requireFinite(mono, sourceRate, file);
  return { mono, sourceRate };
}

function rateChange(file: string, rate: number, { sampleRate, timestamp }: AudioSample): DataError {
  return new DataError(
    "media-rate-change",
    `${file}: the sound changes from ${rate} Hz to ${sampleRate} Hz at ${timestamp.toFixed(2)} s.`,
    { hint: "Re-encode the file at one sample rate." },
  );
}

function requireFinite(mono: Float32Array, rate: number, file: string): void {
  const index = mono.findIndex((value) => !Number.isFinite(value));
  if (index === -1) return;
  throw new DataError(
    "media-not-finite",
    `${file}: sample ${index} of its sound (${(index / rate).toFixed(3)} s) is ${mono[index]}.`,
    { hint: "Write the file again without such values, or leave the row out." },
  );
}

function concat(parts: readonly Float32Array[]): Float32Array {
  const all = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** Returns the mean of the channels of a piece that begins at `startS`, as far as it is shown. */
function shownMono(sample: AudioSample, startS: number, { shown }: SoundFacts): Float32Array {
  const { numberOfFrames, numberOfChannels, sampleRate } = sample;
  // As in FFmpeg, the piece in which an edit ends stays whole.
  if (Math.round(startS * sampleRate) >= Math.round(shown.endS * sampleRate)) {
    return new Float32Array(0);
  }
  const before = Math.round((shown.fromS - startS) * sampleRate);
  const skip = Math.min(numberOfFrames, Math.max(0, before));
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
