import { expect, test, vi } from "vitest";
import { decodeImage } from "../../src/media/decode-image.ts";

vi.mock("sharp", () => {
  throw new Error("Cannot find package 'sharp'");
});

test("JPEG without the decoder package says what to install", async () => {
  await expect(decodeImage("test/golden/media/images/420.jpg")).rejects.toMatchObject({
    code: "media-decoder-missing",
    message: expect.stringMatching(/420\.jpg: .* npm install sharp/) as string,
  });
});

test("PNG works without the decoder package", async () => {
  expect((await decodeImage("test/golden/media/images/rgba.png")).width).toBe(21);
});
