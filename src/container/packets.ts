import { type EncodedPacket, EncodedPacketSink, type InputTrack } from "mediabunny";
import type { FrameTime } from "./frame-rate.ts";
import { beat } from "../core/progress.ts";
import { cutOff } from "./damage.ts";

/**
 * Returns the times of all packets that a track states, in decoding order.
 *
 * @throws {DataError} `media-cut-off` when the last of them is not in the file: the table of an MP4
 *   stands at its front as a rule and is whole when the rest is missing.
 */
export async function scanPackets(track: InputTrack, file: string): Promise<FrameTime[]> {
  const sink = new EncodedPacketSink(track);
  const packets: EncodedPacket[] = [];
  for await (const packet of sink.packets(undefined, undefined, { metadataOnly: true })) {
    beat();
    packets.push(packet);
  }
  const there = (index: number) => isThere(sink, packets, index);
  if (packets.length > 0 && !(await there(packets.length - 1))) {
    const whole = await firstMissing(packets.length, there);
    const what = track.isVideoTrack() ? "pictures" : "packets of sound";
    throw cutOff(file, `${packets.length} ${what}`, `${whole} of them are there`);
  }
  return packets.map(({ timestamp, duration }) => ({ timestamp, duration }));
}

async function isThere(
  sink: EncodedPacketSink,
  packets: EncodedPacket[],
  index: number,
): Promise<boolean> {
  const before = packets[index - 1];
  return (before ? await sink.getNextPacket(before) : await sink.getFirstPacket()) !== null;
}

/** Returns the first missing one, in a file that is whole up to some byte. */
async function firstMissing(
  count: number,
  there: (index: number) => Promise<boolean>,
): Promise<number> {
  let [low, high] = [0, count - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (await there(middle)) low = middle + 1;
    else high = middle;
  }
  return low;
}
