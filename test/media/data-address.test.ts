import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { SampleLoader } from "../../src/data/sample-loader.ts";
import { dataAddressBytes } from "../../src/media/data-address.ts";
import { loadAudio, loadImage } from "../../src/media/load.ts";
import * as web from "../../src/media/web.ts";
import { Processor } from "../../src/model/processor.ts";

/** A picture of 2 x 2 pixels: red, green, blue and white. */
const PNG =
  "iVBORw0KGgoAAAANSUhEUgAAAAIAAAACCAIAAAD91JpzAAAAFklEQVR4nGP8z8DAwMDAxMDAwMDAAAANHQEDasKb6QAAAABJRU5ErkJggg==";

function wav(samples: number): Uint8Array {
  const bytes = new Uint8Array(44 + 2 * samples);
  const view = new DataView(bytes.buffer);
  const text = (at: number, word: string) => bytes.set(new TextEncoder().encode(word), at);
  text(0, "RIFF");
  view.setUint32(4, 36 + 2 * samples, true);
  text(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true);
  view.setUint16(22, 1, true);
  view.setUint32(24, 16000, true);
  view.setUint32(28, 32000, true);
  view.setUint16(32, 2, true);
  view.setUint16(34, 16, true);
  text(36, "data");
  view.setUint32(40, 2 * samples, true);
  for (let i = 0; i < samples; i++) view.setInt16(44 + 2 * i, (i * 37) % 3000, true);
  return bytes;
}

describe("data addresses", () => {
  it.each(["data:image/png;base64,", "data:image;base64,", "DATA:IMAGE/PNG;charset=x;Base64,"])(
    "hold a picture: %s",
    async (head) => {
      const frame = await loadImage(`${head}${PNG}`);
      expect([frame.width, frame.height]).toEqual([2, 2]);
    },
  );

  it("hold a sound", async () => {
    const base64 = Buffer.from(wav(4000)).toString("base64");
    const clip = await loadAudio(`data:audio/wav;base64,${base64}`);
    expect([clip.samples.length, clip.sampleRate]).toEqual([4000, 16000]);
    expect(clip.samples[1]).toBeCloseTo(37 / 32768, 6);
    expect(clip.file).toMatch(/^data:audio\/wav \(\d+ characters, [0-9a-f]{8}\)$/);
  });

  it("are the same bytes in a page, percent-encoded too", async () => {
    expect([...(await web.mediaBytes("data:,a%20b"))]).toEqual([97, 32, 98]);
    expect([...dataAddressBytes("data:;base64,YW%20Jj")]).toEqual([97, 98, 99]);
    expect([...dataAddressBytes("data:x;base64,-_8=")]).toEqual([251, 255]);
  });

  it("are never shown whole, and named with their row", async () => {
    const folder = fileURLToPath(new URL("../../assets/tiny", import.meta.url));
    const loader = new SampleLoader(await Processor.load(folder));
    const bad = `data:image/png;base64,${"QUJD".repeat(50)}`;
    for (const image of [bad, bad.replace("base64,", "base64"), `${bad}*`]) {
      const conversation = [{ role: "user", content: [{ type: "image" as const, image }] }];
      const load = loader.load({ id: "a", place: "rows.jsonl:7", conversation });
      await expect(load).rejects.toThrow(/^rows\.jsonl:7: .*data:image\/png \(\d+ characters, /);
      await expect(load).rejects.not.toThrow("QUJDQUJD");
    }
  });

  it("of files that are not there name row, file and the place looked at", async () => {
    const folder = fileURLToPath(new URL("../../assets/tiny", import.meta.url));
    const loader = new SampleLoader(await Processor.load(folder));
    const part = { type: "image" as const, image: "no/such.png" };
    const conversation = [{ role: "user", content: [part] }];
    await expect(loader.load({ id: "a", place: "r.jsonl:2", conversation })).rejects.toThrow(
      `r.jsonl:2: ${process.cwd()}/no/such.png cannot be opened: there is no such file.`,
    );
  });
});
