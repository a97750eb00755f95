import { prepareDecoders } from "#media";
import { makeClip } from "../../src/datasets/tiny/clip.ts";
import { writeClip } from "../../src/datasets/tiny/write-clip.ts";

/** A clip of 2 s as mp4: H.264 and AAC, about 20 KB. */
export async function smallMp4(): Promise<Uint8Array> {
  await prepareDecoders();
  return writeClip(makeClip(1, 0));
}

/** Returns the index at which the letters of a box, or of another mark, stand for the n-th time. */
export function placeOf(bytes: Uint8Array, mark: string, nth = 0): number {
  let at = -1;
  for (let i = 0; i <= nth; i++) at = Buffer.from(bytes).indexOf(mark, at + 1, "latin1");
  if (at < 0) throw new Error(`there is no ${mark}`);
  return at;
}

/** An mp4 whose first table of times states so many samples that a reader loops for hours. */
export function loopingMp4(mp4: Uint8Array): Uint8Array {
  const bad = mp4.slice();
  const times = placeOf(bad, "stts");
  const view = new DataView(bad.buffer);
  // One entry: the count of samples, each of which lasts as long as before.
  view.setUint32(times + 12, 0xffffffff);
  return bad;
}
