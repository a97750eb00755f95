/*
 * The facts of a Matroska or WebM file (RFC 9559) that mediabunny does not hand on: the duration
 * that a track states for all its frames, how much is cut from the end of its sound, and whether
 * the elements follow on each other to where the file says that it ends. mediabunny looks for the
 * next element that it knows where one is damaged, and so passes over seconds of a clip in silence.
 */
import type { MediaBytes } from "./bytes.ts";
import { beat } from "../core/progress.ts";
import { cutOff, holed } from "./damage.ts";

/** The facts that a track of a Matroska file states. */
export interface MatroskaTrack {
  /** Nanoseconds of every frame; 0 where none are stated. */
  defaultDurationNs: number;
  /** Nanoseconds of decoded sound that are not part of the clip, at its end. */
  discardNs: number;
}

const ID = {
  segment: 0x18538067,
  tracks: 0x1654ae6b,
  trackEntry: 0xae,
  trackNumber: 0xd7,
  defaultDuration: 0x23e383,
  cluster: 0x1f43b675,
  blockGroup: 0xa0,
  block: 0xa1,
  discardPadding: 0x75a2,
};

/** Elements that are gone into; everything else is passed over. */
const PARENTS = new Set([ID.segment, ID.tracks, ID.trackEntry, ID.cluster, ID.blockGroup]);

/** Elements that may stand in a file, in its segment and in its clusters. */
const KNOWN = new Set([
  ...[0x1a45dfa3, ID.segment, 0xec, 0xbf],
  ...[
    0x114d9b74,
    0x1549a966,
    ID.tracks,
    ID.cluster,
    0x1c53bb6b,
    0x1941a469,
    0x1043a770,
    0x1254c367,
  ],
  ...[0xe7, 0x5854, 0xa7, 0xab, 0xa3, ID.blockGroup, 0xaf, ID.trackEntry],
]);

/** The longest head of an element: four bytes of name, eight of size. */
const HEAD_BYTES = 12;

/**
 * Reads what every track states, by track number, going from element to element through the file.
 *
 * @throws {DataError} `media-cut-off` when the segment is longer than the file, `media-holed` when
 *   something else than an element stands where one should.
 */
export async function readMatroska(
  bytes: MediaBytes,
  file: string,
): Promise<Map<number, MatroskaTrack>> {
  const tracks = new Map<number, MatroskaTrack>();
  let track: MatroskaTrack = { defaultDurationNs: 0, discardNs: 0 };
  let segmentEnd = Infinity;
  // The end of the track's entry or block's group whose children are being read.
  let innerEnd = 0;
  for (let at = 0; at < Math.min(segmentEnd, bytes.size);) {
    beat();
    const head = readHead(await bytes.view(at, HEAD_BYTES));
    const inner = at < innerEnd;
    if (!head || (!inner && !KNOWN.has(head.id))) {
      // A file that does not state its end may stop anywhere.
      if (segmentEnd === Infinity && bytes.size - at < HEAD_BYTES) break;
      throw holed(file, `no element of Matroska begins at byte ${at}, where one should`);
    }
    const { id, size } = head;
    const start = at + head.headBytes;
    const end = start + size;
    if (id === ID.segment && size !== Infinity) {
      if (end > bytes.size) throw cutOff(file, `${end} bytes`, `it has ${bytes.size}`);
      segmentEnd = end;
    } else if (size !== Infinity && end > segmentEnd) {
      throw holed(file, `the element at byte ${at} states ${size} bytes, more than are left`);
    }
    if (id === ID.trackEntry) track = { defaultDurationNs: 0, discardNs: 0 };
    if (id === ID.trackEntry || id === ID.blockGroup) innerEnd = end;
    if (inner && id === ID.trackNumber) tracks.set(unsigned(await bytes.read(start, size)), track);
    if (inner && id === ID.defaultDuration) {
      track.defaultDurationNs = unsigned(await bytes.read(start, size));
    }
    if (inner && id === ID.block) {
      const number = readVint(await bytes.view(start, 8), 0);
      track = tracks.get(number?.value ?? -1) ?? track;
    }
    if (inner && id === ID.discardPadding) {
      track.discardNs += Math.max(0, signed(await bytes.read(start, size)));
    }
    at = PARENTS.has(id) ? start : end;
  }
  return tracks;
}

interface Head {
  id: number;
  size: number;
  headBytes: number;
}

function readHead(view: DataView): Head | null {
  const idLength = view.byteLength > 0 ? vintLength(view.getUint8(0)) : 9;
  if (idLength > 4 || view.byteLength < idLength) return null;
  let id = 0;
  for (let i = 0; i < idLength; i++) id = id * 256 + view.getUint8(i);
  const size = readVint(view, idLength);
  return size && { id, size: size.value, headBytes: idLength + size.length };
}

/** Reads a number of EBML; Infinity stands for "not known". */
function readVint(view: DataView, at: number): { value: number; length: number } | null {
  const length = at < view.byteLength ? vintLength(view.getUint8(at)) : 9;
  if (length > 8 || view.byteLength < at + length) return null;
  const most = 0xff >> length;
  let value = view.getUint8(at) & most;
  let unknown = value === most;
  for (let i = 1; i < length; i++) {
    const byte = view.getUint8(at + i);
    unknown &&= byte === 0xff;
    value = value * 256 + byte;
  }
  return { value: unknown ? Infinity : value, length };
}

/** Says how long a number of EBML is by its first byte: 1 to 8, or 9 for none. */
function vintLength(first: number): number {
  return Math.clz32(first) - 23;
}

function unsigned(bytes: Uint8Array): number {
  return bytes.reduce((value, byte) => value * 256 + byte, 0);
}

function signed(bytes: Uint8Array): number {
  const value = unsigned(bytes);
  return (bytes[0] ?? 0) < 128 ? value : value - 256 ** bytes.length;
}
