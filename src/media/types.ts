import type { Frame } from "../signal/frame.ts";
import { dataAddressName, isDataAddress } from "./data-address.ts";

/**
 * The source of a medium: a path (Node), a folder of frames (Node), a URL, or bytes with a name.
 * The name appears in messages and in the ledger.
 */
export type MediaSource = string | { name: string; data: Uint8Array | Blob };

/** The chosen frames of a clip, and what the clip was before the choice. */
export interface VideoClip {
  file: string;
  frames: Frame[];
  /** Pixels per row of every frame. */
  width: number;
  /** Rows of every frame. */
  height: number;
  /** Frames of the clip in presentation order, before the choice. */
  totalFrames: number;
  /** Mean frame rate in Hz: totalFrames / durationS. */
  fps: number;
  /** Seconds from the start of the first frame to the end of the last. */
  durationS: number;
  /** The position of every entry of `frames` among the clip's frames. */
  indices: number[];
}

/** A soundtrack as the models hear it. */
export interface AudioClip {
  file: string;
  /** Mono f32, nominally in [-1, 1]. */
  samples: Float32Array;
  sampleRate: 16000;
  durationS: number;
  /** The rate in Hz that the file has. */
  sourceRate: number;
}

/** The facts that a frame choice may look at. */
export interface FrameInfo {
  /** Frames of the clip in presentation order. */
  totalFrames: number;
  /** Mean frame rate in Hz. */
  fps: number;
  durationS: number;
}

/** Chooses frames: returns positions in 0 .. totalFrames-1, ascending, repeats allowed. */
export type FrameChoice = (info: FrameInfo) => number[];

/** Something about a medium that is not an error but that a user should know. */
export interface MediaWarning {
  code: string;
  file: string;
  message: string;
}

/** Options of every decoder. */
export interface DecodeOptions {
  /** Seconds without progress after which decoding is given up. Default 30. */
  timeoutS?: number;
  /** Ends decoding when it aborts, with its reason. */
  signal?: AbortSignal;
  /** Called for what is worth knowing, such as an ignored second track. */
  onWarning?: (warning: MediaWarning) => void;
}

/** Returns the name by which messages call a source: the path, the URL or the given name. */
export function sourceName(source: MediaSource): string {
  const name = typeof source === "string" ? source : source.name;
  return isDataAddress(name) ? dataAddressName(name) : name;
}
