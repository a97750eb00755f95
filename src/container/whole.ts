/*
 * Facts of a container that mediabunny does not hand on, read once when a file is opened, whatever
 * is in it and whoever decodes it. Here is decided whether a file is whole (docs/media.md, "One rule
 * for damage").
 */
import {
  type InputFormat,
  IsobmffInputFormat,
  MatroskaInputFormat,
  OggInputFormat,
  WaveInputFormat,
} from "mediabunny";
import type { MediaBytes } from "./bytes.ts";
import { type MatroskaTrack, readMatroska } from "./matroska.ts";
import { checkBoxes } from "./mp4.ts";
import { type OggStream, readOgg } from "./ogg.ts";
import { checkWav } from "./chunks.ts";

/** A file as its container describes it. */
export interface Container {
  /** Null from a server that does not state their number. */
  bytes: MediaBytes | null;
  /** Tracks of a Matroska file by number; empty for other files. */
  matroska: Map<number, MatroskaTrack>;
  /** Streams of an Ogg file by serial number; empty for other files. */
  ogg: Map<number, OggStream>;
}

/**
 * Reads a container of a known format and checks that it is whole.
 *
 * @throws {DataError} `media-cut-off`, `media-holed`.
 */
export async function readContainer(
  format: InputFormat,
  bytes: MediaBytes | null,
  file: string,
): Promise<Container> {
  const container: Container = { bytes, matroska: new Map(), ogg: new Map() };
  if (!bytes) return container;
  if (format instanceof IsobmffInputFormat) await checkBoxes(bytes, file);
  if (format instanceof MatroskaInputFormat) container.matroska = await readMatroska(bytes, file);
  if (format instanceof OggInputFormat) container.ogg = await readOgg(bytes, file);
  if (format instanceof WaveInputFormat) await checkWav(bytes, file);
  return container;
}
