import { ALL_FORMATS, AudioSampleSink, FilePathSource, Input } from "mediabunny";
import { prepareDecoders } from "#media";

/** The mean of all channels of a sound file at its own rate. */
export async function flacMono(path: string): Promise<Float32Array> {
  await prepareDecoders();
  const input = new Input({ formats: ALL_FORMATS, source: new FilePathSource(path) });
  const track = (await input.getPrimaryAudioTrack())!;
  const parts: number[] = [];
  for await (const sample of new AudioSampleSink(track).samples()) {
    const planes = Array.from({ length: sample.numberOfChannels }, (_, planeIndex) => {
      const plane = new Float32Array(sample.numberOfFrames);
      sample.copyTo(plane, { planeIndex, format: "f32-planar" });
      return plane;
    });
    sample.close();
    for (let i = 0; i < planes[0]!.length; i++) {
      parts.push(planes.reduce((sum, plane) => sum + plane[i]!, 0) / planes.length);
    }
  }
  input.dispose();
  return Float32Array.from(parts);
}
