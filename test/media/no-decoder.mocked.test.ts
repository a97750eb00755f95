import { expect, test, vi } from "vitest";
import { decodeAudio } from "../../src/media/decode-audio.ts";
import { LOSSLESS, wavFile } from "./golden.ts";

vi.mock("@mediabunny/server", () => {
  throw new Error("Cannot find package '@mediabunny/server'");
});

test("compressed sound without the decoder package says what to install", async () => {
  const loading = decodeAudio(LOSSLESS.voice);
  await expect(loading).rejects.toMatchObject({
    code: "media-decoder-missing",
    message: expect.stringContaining("npm install @mediabunny/server") as string,
  });
});

test("WAV works without the decoder package", async () => {
  const data = wavFile(new Float32Array(400), 16000);
  expect((await decodeAudio({ name: "a.wav", data })).samples).toHaveLength(400);
});
