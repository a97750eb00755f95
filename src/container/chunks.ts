/*
 * Checks that files of chunks hold as much as their headers state: the sound of WAV (RIFF, RF64),
 * of which mediabunny takes what is there, and the whole of AVI and AIFF, of which FFmpeg does.
 */
import { fourLetters, type MediaBytes } from "./bytes.ts";
import { cutOff } from "./damage.ts";

/** Sizes from here on stand for "not known yet" in files that were written into a pipe. */
const OPEN_SIZE = 0x7ffff000;

/**
 * Checks the size of the sound in a WAV file.
 *
 * @throws {DataError} `media-cut-off`.
 */
export async function checkWav(bytes: MediaBytes, file: string): Promise<void> {
  const head = await bytes.view(0, 12);
  if (head.byteLength < 12) return;
  const little = fourLetters(head, 0) !== "RIFX";
  let longSize = 0;
  for (let at = 12; at + 8 <= bytes.size;) {
    const chunk = await bytes.view(at, 24);
    const name = fourLetters(chunk, 0);
    const size = chunk.getUint32(4, little);
    if (name === "ds64" && chunk.byteLength === 24)
      longSize = Number(chunk.getBigUint64(16, little));
    if (name === "data") {
      const stated = size === 0xffffffff ? longSize : size < OPEN_SIZE ? size : 0;
      const there = bytes.size - at - 8;
      if (stated <= there) return;
      throw cutOff(file, `${stated} bytes of sound`, `${there} of them are there`);
    }
    at += 8 + size + (size & 1);
  }
}

/** Files whose first chunk is all of them, and whether their numbers are little-endian. */
const FORMS = new Map([
  ["RIFFAVI ", true],
  ["FORMAIFF", false],
  ["FORMAIFC", false],
]);

/**
 * Checks the size that an AVI or AIFF states; other files are let through.
 *
 * @throws {DataError} `media-cut-off`.
 */
export async function checkForm(bytes: MediaBytes, file: string): Promise<void> {
  const head = await bytes.view(0, 12);
  const little =
    head.byteLength < 12 ? undefined : FORMS.get(fourLetters(head, 0) + fourLetters(head, 8));
  if (little === undefined) return;
  const size = head.getUint32(4, little);
  const end = size + 8;
  if (size >= OPEN_SIZE || end <= bytes.size) return;
  throw cutOff(file, `${end} bytes`, `it has ${bytes.size}`);
}
