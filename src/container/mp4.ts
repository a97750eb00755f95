/*
 * The facts of an MP4 or MOV (ISO/IEC 14496-12) that mediabunny does not hand on: whether its boxes
 * are whole, where the edit list of a track begins and ends to show something (8.6.6; mediabunny
 * applies where the first edit starts), and how many ticks its table of times counts (8.6.1.2;
 * mediabunny lengthens a frame before a gap in presentation time).
 */
import { beat } from "../core/progress.ts";
import { cutOff } from "./damage.ts";
import { fourLetters, type MediaBytes } from "./bytes.ts";

/** The facts that an MP4 file states about a track. */
export interface Mp4Track {
  /** The start of what is shown, in seconds of presentation time: after the first empty edits. */
  fromS: number;
  /** The end of what is shown, in seconds of presentation time; Infinity when nothing is said. */
  endS: number;
  /** Edits that show something; one is the rule, and `endS` is true for one only. */
  edits: number;
  /** Samples of the table of times and their ticks; 0 in a fragmented file. */
  samples: number;
  ticks: number;
}

/** Boxes without which a clip is not whole. */
const NEEDED = new Set(["moov", "moof", "mdat"]);

/**
 * Checks that the boxes of a file end within it.
 *
 * @throws {DataError} `media-cut-off`.
 */
export async function checkBoxes(bytes: MediaBytes, file: string): Promise<void> {
  for await (const { type, end } of boxes(bytes, { start: 0, end: bytes.size })) {
    beat();
    if (end <= bytes.size || !NEEDED.has(type)) continue;
    throw cutOff(file, `${end} bytes`, `it has ${bytes.size}`);
  }
}

/** Reads what a file states about the track with this id. */
export async function readMp4(bytes: MediaBytes, trackId: number): Promise<Mp4Track> {
  const facts: Mp4Track = { fromS: 0, endS: Infinity, edits: 1, samples: 0, ticks: 0 };
  const moov = await findBox(bytes, { start: 0, end: bytes.size }, "moov");
  const timescale = moov ? await readTimescale(bytes, moov) : 0;
  if (!moov || timescale === 0) return facts;
  for await (const trak of boxes(bytes, moov)) {
    if (trak.type !== "trak" || (await readTrackId(bytes, trak)) !== trackId) continue;
    const list = await findBox(bytes, trak, "edts", "elst");
    if (list) Object.assign(facts, readEdits(await contents(bytes, list), timescale));
    const times = await findBox(bytes, trak, "mdia", "minf", "stbl", "stts");
    if (times) Object.assign(facts, readTimes(await contents(bytes, times)));
  }
  return facts;
}

async function readTimescale(bytes: MediaBytes, moov: Box): Promise<number> {
  const header = await findBox(bytes, moov, "mvhd");
  const view = header && (await contents(bytes, header));
  return view && view.byteLength >= 24 ? view.getUint32(view.getUint8(0) === 1 ? 20 : 12) : 0;
}

async function readTrackId(bytes: MediaBytes, trak: Box): Promise<number> {
  const header = await findBox(bytes, trak, "tkhd");
  const view = header && (await contents(bytes, header));
  return view && view.byteLength >= 24 ? view.getUint32(view.getUint8(0) === 1 ? 20 : 12) : 0;
}

type Edits = Pick<Mp4Track, "fromS" | "endS" | "edits">;

function readEdits(view: DataView, timescale: number): Edits {
  const long = view.byteLength >= 8 && view.getUint8(0) === 1;
  let ticks = 0;
  let start = 0;
  let edits = 0;
  for (const at of entriesOf(view, long ? 20 : 12)) {
    const length = long ? Number(view.getBigUint64(at)) : view.getUint32(at);
    const from = long ? Number(view.getBigInt64(at + 8)) : view.getInt32(at + 4);
    // An empty edit delays what follows; after the last one it is silence that nobody sees.
    if (from === -1) {
      if (edits === 0) start += length;
      continue;
    }
    edits++;
    // In a fragmented file a length of 0 stands for all of it.
    ticks += length === 0 ? Infinity : length;
  }
  if (edits === 0) return { fromS: 0, endS: Infinity, edits: 1 };
  return { fromS: start / timescale, endS: (start + ticks) / timescale, edits };
}

function readTimes(view: DataView): Pick<Mp4Track, "samples" | "ticks"> {
  let samples = 0;
  let ticks = 0;
  for (const at of entriesOf(view, 8)) {
    samples += view.getUint32(at);
    ticks += view.getUint32(at) * view.getUint32(at + 4);
  }
  return { samples, ticks };
}

/** Returns the offset of each entry of a table: after version, flags and count. */
function entriesOf(view: DataView, entryBytes: number): number[] {
  if (view.byteLength < 8) return [];
  const count = Math.min(view.getUint32(4), Math.floor((view.byteLength - 8) / entryBytes));
  return Array.from({ length: count }, (_, i) => 8 + i * entryBytes);
}

interface Span {
  start: number;
  end: number;
}

interface Box extends Span {
  type: string;
}

/** Returns the box at the end of a path of types. */
async function findBox(bytes: MediaBytes, within: Span, ...path: string[]): Promise<Box | null> {
  const [type, ...deeper] = path;
  for await (const box of boxes(bytes, within)) {
    if (box.type !== type) continue;
    const inside = { ...box, end: Math.min(box.end, within.end) };
    return deeper.length === 0 ? inside : findBox(bytes, inside, ...deeper);
  }
  return null;
}

async function* boxes(bytes: MediaBytes, { start, end }: Span): AsyncGenerator<Box> {
  for (let at = start; at + 8 <= end;) {
    const view = await bytes.view(at, 16);
    if (view.byteLength < 8) return;
    const short = view.getUint32(0);
    const long = short === 1 && view.byteLength === 16;
    const size = short === 0 ? end - at : long ? Number(view.getBigUint64(8)) : short;
    const head = long ? 16 : 8;
    if (size < head) return;
    yield { type: fourLetters(view, 4), start: at + head, end: at + size };
    at += size;
  }
}

function contents(bytes: MediaBytes, { start, end }: Span): Promise<DataView> {
  return bytes.view(start, end - start);
}
