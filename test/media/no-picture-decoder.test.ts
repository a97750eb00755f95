import { expect, test, vi } from "vitest";
import { loadImage } from "../../src/media/load.ts";

vi.mock("sharp", () => {
  throw new Error("Cannot find package 'sharp'");
});

test("JPEG without the decoder package says what to install", async () => {
  await expect(loadImage("test/golden/media/images/420.jpg")).rejects.toMatchObject({
    code: "media-decoder-missing",
    message: expect.stringMatching(/420\.jpg: .* npm install sharp/) as string,
  });
});

test("PNG works without the decoder package", async () => {
  expect((await loadImage("test/golden/media/images/rgba.png")).width).toBe(21);
});
