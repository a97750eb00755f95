/** The segment in which Exif lives. */
const APP1 = 0xe1;
const START_OF_SCAN = 0xda;

/**
 * Returns a JPEG without its APP1 segments, where cameras write how the picture should be turned.
 *
 * The reference preparation does not turn pictures, and Chromium does so even when asked not to.
 * What cannot be walked is handed back as it is; the decoder says what is wrong with it.
 */
export function withoutExif(jpeg: Uint8Array): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(jpeg.length);
  let to = 2;
  let at = 2;
  out.set(jpeg.subarray(0, 2));
  while (at + 4 <= jpeg.length && jpeg[at] === 0xff && jpeg[at + 1] !== START_OF_SCAN) {
    const end = at + 2 + (jpeg[at + 2]! << 8) + jpeg[at + 3]!;
    const segment = jpeg.subarray(at, end);
    if (jpeg[at + 1] !== APP1) {
      out.set(segment, to);
      to += segment.length;
    }
    at = end;
  }
  const rest = jpeg.subarray(at);
  out.set(rest, to);
  return out.subarray(0, to + rest.length);
}
