import { execFileSync } from "node:child_process";
import { mkdir, mkdtemp, rm, truncate, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { readFileSync } from "node:fs";
import { crc32, deflateSync, inflateSync } from "node:zlib";
import { afterAll, beforeAll, expect, test } from "vitest";
import { DataError } from "../../src/core/errors.ts";
import { withoutExif } from "../../src/media/jpeg.ts";
import { decodeImage } from "../../src/media/decode-image.ts";
import { loadAudio, loadImage, loadPictures, loadVideo } from "../../src/media/load.ts";
import { sampledFps } from "../../src/media/frames.ts";
import { bytesOf, maxDifference } from "./golden.ts";

const GIF_TRANSPARENT = "R0lGODlhAwABAIEAAAkIB2QAAABkAAAAACH5BAEAAAAALAAAAAADAAEAAAgGAAEEEBAQADs=";
const FOLDER = "test/golden/media/images";

interface Picture {
  mode: string;
  size: [number, number];
  refused: boolean;
  rgb: string;
}

const { files } = JSON.parse(readFileSync("test/golden/media/images.json", "utf8")) as {
  files: Record<string, Picture>;
};

async function failure(promise: Promise<unknown>): Promise<{ code: string; message: string }> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof DataError) return { code: error.code, message: error.message };
    throw error;
  }
  throw new Error("it should have failed");
}

const read = (name: string) => new Uint8Array(readFileSync(`${FOLDER}/${name}`));
const bytes = (name: string, data = read(name)) => ({ name, data });

const exact = Object.entries(files).filter(
  ([name, { refused }]) => !refused && !name.endsWith("avif"),
);

test.each(exact)("%s has Pillow's pixels, every byte", async (name, { size, rgb }) => {
  const frame = await loadImage(`${FOLDER}/${name}`);
  expect([frame.width, frame.height, frame.timestamp]).toEqual([...size, 0]);
  // Measured: 0 for all formats; JPEG too, for sharp and Pillow share libjpeg-turbo's code.
  expect(maxDifference(frame.rgb, inflateSync(bytesOf(rgb)))).toBe(0);
});

test("the golden pictures cover what they are meant to", () => {
  const modes = new Set(Object.values(files).map(({ mode }) => mode));
  expect([...modes].sort()).toEqual(["1", "CMYK", "I;16", "L", "LA", "P", "RGB", "RGBA"]);
});

test.each([
  // Colours at half size are not smoothed by libheif.
  { name: "420.avif", most: 10, mean: 2.5 },
  { name: "444.avif", most: 1, mean: 0.3 },
  { name: "alpha.avif", most: 2, mean: 0.5 },
])("$name is near Pillow's", async ({ name, most, mean }) => {
  const { rgb } = await loadImage(`${FOLDER}/${name}`);
  const want = inflateSync(bytesOf(files[name]!.rgb));
  expect(maxDifference(rgb, want)).toBeLessThanOrEqual(most);
  const sum = rgb.reduce((total, value, i) => total + Math.abs(value - want[i]!), 0);
  expect(sum / rgb.length).toBeLessThan(mean);
});

test.each(["grey-16.png", "grey-16.tiff"])(
  "16-bit grey is refused instead of turned white: %s",
  async (name) => {
    const { code, message } = await failure(loadImage(`${FOLDER}/${name}`));
    expect(code).toBe("media-pixel-format");
    expect(message).toMatch(/grey-16\.\w+ is a \w+ with 16 bits of grey\. Save it with 8 bits/);
  },
);

test("what a BMP states and does not hold, or how it is packed, is named", async () => {
  const whole = read("rgb.bmp");
  const changed = (at: number, value: number, name = "rgb.bmp") => {
    const data = read(name);
    new DataView(data.buffer).setUint32(at, value, true);
    return failure(loadImage({ name: "a.bmp", data }));
  };
  const cut = await failure(loadImage({ name: "a.bmp", data: whole.slice(0, -4) }));
  expect(cut.message).toContain(
    "a.bmp cannot be decoded: it states 21 x 13 pixels, but is cut off",
  );
  expect((await changed(30, 1, "grey.bmp")).message).toContain("a.bmp is a BMP in run lengths");
  expect((await changed(18, 2 ** 31 - 1)).code).toBe("media-too-large");
  expect((await changed(18, 0)).message).toContain("it states 0 x 13 pixels");
  expect((await changed(14, 7)).message).toContain("its header states 7 bytes");
});

test("bytes, blobs and file URLs are sources too", async () => {
  const want = (await loadImage(`${FOLDER}/420.jpg`)).rgb;
  const url = pathToFileURL(`${FOLDER}/420.jpg`).href;
  const blob = { name: "b", data: new Blob([read("420.jpg")]) };
  for (const source of [bytes("420.jpg"), blob, url]) {
    expect((await loadImage(source)).rgb).toEqual(want);
  }
  // The name is no evidence of the format.
  const named = await loadImage(bytes("lie.png", read("420.jpg")));
  expect(named.rgb).toEqual(want);
});

test("transparent pixels of a GIF become white, unlike Pillow's", async () => {
  // Three pixels: transparent at the index of (9, 8, 7), red, green.
  const data = Buffer.from(GIF_TRANSPARENT, "base64");
  const { rgb } = await loadImage({ name: "t.gif", data: new Uint8Array(data) });
  expect([...rgb]).toEqual([255, 255, 255, 100, 0, 0, 0, 100, 0]);
});

test("missing files, folders and other formats are named", async () => {
  const missing = await failure(loadImage("nowhere/cat.jpg"));
  expect(missing.code).toBe("media-missing");
  expect(missing.message).toContain("nowhere/cat.jpg");
  const jxl = new TextEncoder().encode("JXL and so on");
  for (const [source, text] of [
    ["package.json", "package.json is no JPEG, PNG, WebP, GIF, AVIF, BMP or TIFF"],
    ["src", "src is a folder"],
    [
      { name: "cat.jxl", data: jxl },
      "cat.jxl is no JPEG, PNG, WebP, GIF, AVIF, BMP or TIFF. Convert",
    ],
    [{ name: "none.png", data: new Uint8Array(0) }, "none.png is empty"],
  ] as const) {
    const { code, message } = await failure(loadImage(source));
    expect(code).toBe("media-unreadable");
    expect(message).toContain(text);
  }
});

test.each([
  "420.jpg",
  "422.jpg",
  "lossy.webp",
  "still.gif",
  "rgba.png",
  "rgb-interlaced.png",
  "rgb.bmp",
  "lzw.tiff",
  "444.avif",
])("a %s that is cut off is an error that names it", async (name) => {
  const whole = read(name);
  for (const share of [0.3, 0.6, 0.9]) {
    const cut = whole.slice(0, Math.floor(whole.length * share));
    const { code, message } = await failure(loadImage({ name, data: cut }));
    expect(code).toBe("media-corrupt");
    expect(message).toContain(`${name} cannot be decoded: `);
  }
});

test("every flipped byte of a PNG is noticed", async () => {
  const whole = read("palette2.png");
  // The four bytes that name a chunk count too; the last chunk carries nothing.
  for (let at = 8; at < whole.length - 12; at++) {
    const bad = whole.slice();
    bad[at]! ^= 4;
    const { code } = await failure(loadImage({ name: "p.png", data: bad }));
    expect(code, `byte ${at}`).toBe("media-corrupt");
  }
});

test("Exif is cut out of a JPEG and nothing else", () => {
  const turned = read("turned.jpg");
  const cut = withoutExif(turned);
  const text = (data: Uint8Array) => Buffer.from(data).toString("latin1");
  expect(text(turned)).toContain("Exif\0\0");
  expect(text(cut)).not.toContain("Exif\0\0");
  expect(turned.length - cut.length).toBeGreaterThan(10);
  expect(text(turned).endsWith(text(cut).slice(40))).toBe(true);
  const plain = read("420.jpg");
  expect(withoutExif(plain)).toEqual(plain);
  for (const length of [3, 7, 30, 200]) {
    expect(withoutExif(plain.subarray(0, length))).toEqual(plain.subarray(0, length));
  }
});

let server: Server;
let url = "";
let folder = "";
const asked: string[] = [];
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "aubade-images-"));
  server = createServer((request, response) => {
    asked.push(request.url!);
    if (request.url === "/420.jpg") response.end(read("420.jpg"));
    else if (request.url === "/busy" && asked.filter((path) => path === "/busy").length < 2)
      response.writeHead(503).end();
    else if (request.url === "/busy") response.end(read("rgb.png"));
    else if (request.url === "/hung.jpg") response.write("\xff\xd8\xff");
    else response.writeHead(404).end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(async () => {
  server.close();
  await rm(folder, { recursive: true });
});

test("pictures come over HTTP; a busy server is asked again, a missing file is not", async () => {
  expect((await loadImage(`${url}/420.jpg`)).width).toBe(61);
  expect((await loadImage(`${url}/busy`)).width).toBe(21);
  const { code, message } = await failure(loadImage(`${url}/gone.png`));
  expect(code).toBe("media-missing");
  expect(message).toMatch(/gone\.png cannot be fetched: the server answers 404 Not Found/);
  expect(asked).toEqual(["/420.jpg", "/busy", "/busy", "/gone.png"]);
});

test("a server that never ends its picture is given up", async () => {
  const { code, message } = await failure(loadImage(`${url}/hung.jpg`, { timeoutS: 1 }));
  expect(code).toBe("media-stalled");
  expect(message).toMatch(/hung\.jpg: no progress for 1 s while reading it/);
});

test("a list of pictures is a clip, its last picture repeated to an even number", async () => {
  const sources = ["rgb.png", "422.jpg", "lossless.webp"].map((name) => `${FOLDER}/${name}`);
  const video = await loadPictures(sources);
  expect([video.width, video.height, video.totalFrames, video.fps]).toEqual([21, 13, 4, 2]);
  expect([video.durationS, video.indices]).toEqual([2, [0, 1, 2, 3]]);
  expect(video.frames.map((frame) => frame.timestamp)).toEqual([0, 0.5, 1, 1.5]);
  expect(video.frames[3]!.rgb).toBe(video.frames[2]!.rgb);
  expect(video.frames[1]!.rgb).toEqual((await loadImage(sources[1]!)).rgb);
  // Positions see the rate that was stated.
  expect(sampledFps(video, video.frames.length)).toBe(2);
  expect(video.file).toBe(`${FOLDER}/rgb.png and 2 more`);
});

test("a list may state its rate, repeat pictures and resize them", async () => {
  const path = join(folder, "a.png");
  await writeFile(path, read("rgb.png"));
  const calls: number[] = [];
  const video = await loadPictures([path, `${FOLDER}/420.jpg`, path, path], {
    fps: 4,
    transform: (frame, chosen) => {
      calls.push(chosen);
      return { ...frame, width: 1, height: 1, rgb: frame.rgb.slice(0, 3) };
    },
  });
  expect([video.fps, video.durationS, video.frames.length]).toEqual([4, 1, 4]);
  expect(calls).toEqual([4, 4]);
  expect((await loadPictures([path])).frames).toHaveLength(2);
});

test("a list's faults are named", async () => {
  expect((await failure(loadPictures([]))).code).toBe("media-empty-video");
  const two = [`${FOLDER}/rgb.png`, `${FOLDER}/420.jpg`];
  const sizes = await failure(loadPictures(two));
  expect(sizes.code).toBe("media-size-change");
  expect(sizes.message).toMatch(/rgb\.png and 1 more changes its size from 21 x 13 to 61 x 43/);
  expect((await failure(loadPictures(two, { fps: 0 }))).code).toBe("media-bad-fps");
  const missing = await failure(loadPictures([two[0]!, "nowhere.png"]));
  expect(missing.message).toContain("nowhere.png cannot be opened");
});

/** A PNG that states a size, with data that inflates to a number of zeros. */
function pngOfZeros(width: number, height: number, zeros: number): Uint8Array {
  const chunk = (type: string, body: Uint8Array) => {
    const named = Buffer.concat([Buffer.from(type, "latin1"), body]);
    const numbers = Buffer.alloc(8);
    numbers.writeUInt32BE(body.length, 0);
    numbers.writeUInt32BE(crc32(named), 4);
    return Buffer.concat([numbers.subarray(0, 4), named, numbers.subarray(4)]);
  };
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 2, 0, 0, 0], 8);
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10]);
  const data = chunk("IDAT", deflateSync(new Uint8Array(zeros)));
  return new Uint8Array(
    Buffer.concat([signature, chunk("IHDR", header), data, chunk("IEND", new Uint8Array(0))]),
  );
}

test("a PNG is inflated no further than its size needs", async () => {
  const bomb = pngOfZeros(4, 4, 300_000_000);
  const grown = process.resourceUsage().maxRSS;
  const { code, message } = await failure(decodeImage({ name: "bomb.png", data: bomb }));
  expect(code).toBe("media-corrupt");
  expect(message).toContain("bomb.png cannot be decoded: its picture data has the wrong length");
  // In KiB; all of it would be 300 MB.
  expect(process.resourceUsage().maxRSS - grown).toBeLessThan(100_000);
  expect((await failure(loadImage({ name: "b", data: pngOfZeros(4, 4, 51) }))).message).toContain(
    "wrong length",
  );
  expect((await loadImage({ name: "b", data: pngOfZeros(4, 4, 52) })).width).toBe(4);
});

test("pictures of more pixels than Pillow takes are refused by their headers", async () => {
  const gif = read("still.gif");
  gif.fill(0xff, 6, 10);
  const picture = Buffer.from(gif).indexOf(Buffer.from([0x2c, 0, 0, 0, 0, 21, 0, 13, 0]));
  gif.fill(0xff, picture + 5, picture + 9);
  const jpeg = read("420.jpg");
  const frame = Buffer.from(jpeg).indexOf(Buffer.from([0xff, 0xc0]));
  jpeg.set([0xff, 0xdc, 0xff, 0xdc], frame + 5);
  for (const [name, data, size] of [
    ["bomb.png", pngOfZeros(20000, 20000, 1000), "20000 x 20000"],
    ["bomb.gif", gif, "65535 x 65535"],
    ["bomb.jpg", jpeg, "65500 x 65500"],
  ] as const) {
    const { code, message } = await failure(loadImage({ name, data }));
    expect([name, code]).toEqual([name, "media-too-large"]);
    expect(message).toContain(`${name} states ${size} pixels; at most 178956970 are read.`);
  }
});

test("devices, pipes and files of gigabytes are refused", async () => {
  const pipe = join(folder, "pipe.png");
  execFileSync("mkfifo", [pipe]);
  const huge = join(folder, "huge.png");
  await writeFile(huge, "");
  await truncate(huge, 3 * 2 ** 30);
  const clip = join(folder, "clip");
  await mkdir(clip);
  execFileSync("mkfifo", [join(clip, "0.png"), join(clip, "audio.wav")]);
  for (const [loading, text] of [
    [() => loadImage("/dev/zero"), "/dev/zero is a device or a pipe"],
    [() => loadVideo("/dev/zero"), "/dev/zero is a device or a pipe"],
    [() => loadImage(pipe), "pipe.png is a device or a pipe"],
    [() => loadAudio(pipe), "pipe.png is a device or a pipe"],
    [() => loadVideo(clip, { frames: () => [0] }), "0.png is a device or a pipe"],
    [() => loadAudio(clip), "audio.wav is a device or a pipe"],
    [() => loadImage(huge), "huge.png has 3221225472 bytes or more"],
  ] as const) {
    expect((await failure(loading())).message).toContain(text);
  }
});
