import { ALL_FORMATS, Input, type InputTrack } from "mediabunny";
import { openSource, prepareDecoders } from "#media";
import { AubadeError, DataError } from "../core/errors.ts";
import { MediaBytes } from "../container/bytes.ts";
import { checkForm } from "../container/chunks.ts";
import { type Container, readContainer } from "../container/whole.ts";
import { emptyFile } from "../container/damage.ts";
import { sourceName, type DecodeOptions, type MediaSource } from "./types.ts";
import { watch } from "./watchdog.ts";

/** The formats that a page cannot read, for hints. */
export const ONLY_IN_NODE =
  "AVI, FLV, MPEG-PS, AIFF, and codecs such as MPEG-4 part 2, MPEG-2, Theora, ALAC and Speex are " +
  "read in Node only, with the package @mediabunny/server.";

/**
 * Opens a media file, hands it and what its container states to `use`, and closes it whatever happens.
 *
 * @throws {DataError} `media-missing`, `media-empty-file`, `media-cut-off`, `media-holed`,
 *   `media-unreadable` (no known container, or a damaged one), `media-corrupt` (decoding fails),
 *   `media-stalled`, or what `use` throws.
 */
export async function withMedia<T>(
  source: MediaSource,
  options: DecodeOptions,
  use: (input: Input, container: Container) => Promise<T>,
): Promise<T> {
  const file = sourceName(source);
  if (typeof source !== "string" && sizeOf(source.data) === 0) throw emptyFile(file);
  const opened = await openSource(source);
  const input = new Input({ formats: ALL_FORMATS, source: opened });
  try {
    const known = { file, what: "reading its header", ...options };
    const bytes = await watch(MediaBytes.of(opened), known);
    if (bytes) await checkForm(bytes, file);
    const format = await watch(headerOf(input.getFormat(), file), known);
    const checking = { file, what: "checking that it is whole" };
    const container = await watch(readContainer(format, bytes, file), checking);
    await watch(requireTracks(input, file), known);
    return await use(input, container);
  } catch (cause) {
    if (cause instanceof AubadeError) throw cause;
    throw corrupt(file, cause);
  } finally {
    input.dispose();
  }
}

function sizeOf(data: Uint8Array | Blob): number {
  return data instanceof Uint8Array ? data.byteLength : data.size;
}

async function headerOf<T>(reading: Promise<T>, file: string): Promise<T> {
  try {
    return await reading;
  } catch (cause) {
    throw new DataError("media-unreadable", `${file} cannot be read: ${messageOf(cause)}.`, {
      hint:
        "aubade reads MP4, MOV, WebM, Matroska, WAV, FLAC, MP3, Ogg, ADTS and MPEG-TS. " +
        ONLY_IN_NODE,
      cause,
    });
  }
}

async function requireTracks(input: Input, file: string): Promise<void> {
  const tracks = await headerOf(input.getTracks(), file);
  if (tracks.length > 0) return;
  const what = "neither sound nor pictures that are known here";
  throw new DataError("media-unreadable", `${file} holds ${what}.`, {
    hint: `It may have been cut off while it was written; fetch it again. ${ONLY_IN_NODE}`,
  });
}

/**
 * Makes sure that a track can be decoded here.
 *
 * @throws {DataError} `media-decoder-missing` when this platform has no decoder for its codec.
 */
export async function requireDecoder(track: InputTrack, file: string): Promise<void> {
  const codec = await track.getCodec();
  if (codec === null || !/^(pcm-|ulaw$|alaw$)/.test(codec)) await prepareDecoders();
  if (codec !== null && (await track.canDecode())) return;
  const name = codec ?? String(await track.getInternalCodecId());
  throw new DataError("media-decoder-missing", `${file}: no decoder here for ${name}.`, {
    hint: `Re-encode the clip, for example as H.264 with AAC. ${ONLY_IN_NODE}`,
  });
}

/** Returns the error of a file that breaks off or goes wrong while it is decoded. */
export function corrupt(file: string, cause: unknown): DataError {
  return new DataError("media-corrupt", `${file} cannot be decoded: ${messageOf(cause)}.`, {
    hint: "The file is damaged or incomplete; fetch it again or leave the row out.",
    cause,
  });
}

function messageOf(cause: unknown): string {
  const message = cause instanceof Error ? cause.message.replace(/\.$/, "") : String(cause);
  // An assumption of mediabunny does not hold in this file.
  return /^assertion failed/i.test(message) ? "its structure is damaged or incomplete" : message;
}
