/*
 * Checks that the pages of an Ogg file (RFC 3533) are whole, follow on each other and come to an
 * end. mediabunny looks for the next page where one is damaged and reads no checksums.
 */
import { fourLetters, type MediaBytes } from "./bytes.ts";
import { beat } from "../core/progress.ts";
import { cutOff, holed } from "./damage.ts";

const HEADER_BYTES = 27;
const LAST_PAGE = 0x04;

/** The facts that the pages of a stream state, in samples on the clock of its codec. */
export interface OggStream {
  /** Packets that end by the first page that states a position, and that position. */
  firstPackets: number;
  firstPosition: number;
  lastPosition: number;
}

/**
 * Goes through the pages of a file; returns its streams by serial number.
 *
 * @throws {DataError} `media-cut-off` when a page is not complete or a stream has no last page,
 *   `media-holed` when bytes between pages or whole pages are missing or a checksum is wrong.
 */
export async function readOgg(bytes: MediaBytes, file: string): Promise<Map<number, OggStream>> {
  const streams = new Map<number, OggStream>();
  /** The number of the page that follows, by stream; -1 after the last one. */
  const next = new Map<number, number>();
  for (let at = 0; at < bytes.size;) {
    beat();
    const head = await bytes.view(at, HEADER_BYTES + 255);
    if (head.byteLength < HEADER_BYTES) break;
    if (fourLetters(head, 0) !== "OggS") throw holed(file, `no page of Ogg begins at byte ${at}`);
    const serial = head.getUint32(14, true);
    const number = head.getUint32(18, true);
    const segments = head.getUint8(26);
    let size = HEADER_BYTES + segments;
    for (let i = 0; i < segments && HEADER_BYTES + i < head.byteLength; i++) {
      size += head.getUint8(HEADER_BYTES + i);
    }
    if (at + size > bytes.size) break;
    const expected = next.get(serial);
    if (expected !== undefined && expected !== -1 && number !== expected) {
      throw holed(file, `page ${number} of Ogg follows page ${expected - 1} (byte ${at})`);
    }
    const checksum = head.getUint32(22, true);
    if (oggChecksum(await bytes.read(at, size)) !== checksum) {
      throw holed(file, `the checksum of page ${number} of Ogg (byte ${at}) is wrong`);
    }
    const stream = streams.get(serial) ?? { firstPackets: 0, firstPosition: 0, lastPosition: 0 };
    streams.set(serial, stream);
    notePosition(stream, head);
    next.set(serial, head.getUint8(5) & LAST_PAGE ? -1 : number + 1);
    at += size;
  }
  const open = [...next.values()].find((number) => number !== -1);
  if (open === undefined) return streams;
  throw cutOff(
    file,
    "a last page of its stream of Ogg",
    `it ends after ${open === 1 ? "one page" : `${open} pages`}`,
  );
}

function notePosition(stream: OggStream, head: DataView): void {
  const position = Number(head.getBigInt64(6, true));
  // Pages of headers are at 0; on a page at -1 no packet ends.
  if (position <= 0) return;
  stream.lastPosition = position;
  if (stream.firstPosition > 0) return;
  stream.firstPosition = position;
  const segments = head.getUint8(26);
  for (let i = 0; i < segments; i++) {
    if (head.getUint8(HEADER_BYTES + i) < 255) stream.firstPackets++;
  }
}

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte << 24;
  for (let bit = 0; bit < 8; bit++) value = (value << 1) ^ (value < 0 ? 0x04c11db7 : 0);
  return value;
});

/** CRC-32 of a page, its own field taken as 0. */
function oggChecksum(page: Uint8Array): number {
  let value = 0;
  for (let i = 0; i < page.length; i++) {
    const byte = i >= 22 && i < 26 ? 0 : page[i]!;
    value = (value << 8) ^ CRC_TABLE[(value >>> 24) ^ byte]!;
  }
  return value >>> 0;
}
