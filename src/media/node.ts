/*
 * The media platform in Node: files, folders and URLs; FFmpeg through @mediabunny/server, pictures
 * through sharp.
 */
import { rmSync, type Stats } from "node:fs";
import { mkdtemp, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { BlobSource, BufferSource, FilePathSource, type Source } from "mediabunny";
import type * as NodeAv from "node-av";
import { DataError } from "../core/errors.ts";
import { emptyFile } from "../container/damage.ts";
import { openWithFfmpeg } from "./ffmpeg-demuxer.ts";
import type { ForeignMedium } from "./foreign.ts";
import { checkPictureBytes } from "./limits.ts";
import { dataAddressBytes, isDataAddress } from "./data-address.ts";
import { registerServerDecoders } from "./server-decoders.ts";
import type { MediaFolder } from "./frame-folder.ts";
import type { PictureFormat, Pixels } from "../signal/frame.ts";
import { decodeWithSharp } from "./sharp-decoder.ts";
import type { MediaSource } from "./types.ts";
import { fetchBytes, mediaUrlSource } from "./url-source.ts";

/**
 * Opens the bytes of a medium.
 *
 * @throws {DataError} `media-missing` when the path names nothing, `media-empty-file`.
 */
export async function openSource(source: MediaSource): Promise<Source> {
  if (typeof source !== "string") {
    return source.data instanceof Uint8Array
      ? new BufferSource(source.data)
      : new BlobSource(source.data);
  }
  if (isDataAddress(source)) return new BufferSource(dataAddressBytes(source));
  if (/^https?:/i.test(source)) return mediaUrlSource(source);
  const path = localPath(source);
  const found = await statOrThrow(path);
  if (found.isDirectory()) {
    throw new DataError("media-unreadable", `${source} is a folder where a media file is needed.`, {
      hint: "A folder of frames can be given to loadVideo and loadAudio.",
    });
  }
  checkIsFile(found, source);
  if (found.size === 0) throw emptyFile(source);
  return new FilePathSource(path);
}

/**
 * Returns all bytes of a medium.
 *
 * @throws {DataError} `media-missing` when the path or URL names nothing, `media-unreadable`.
 */
export async function mediaBytes(source: MediaSource): Promise<Uint8Array> {
  if (typeof source !== "string") {
    const { data } = source;
    return data instanceof Uint8Array ? data : new Uint8Array(await data.arrayBuffer());
  }
  if (isDataAddress(source)) return dataAddressBytes(source);
  if (/^https?:/i.test(source)) return fetchBytes(source);
  const path = localPath(source);
  const found = await statOrThrow(path);
  if (found.isDirectory()) {
    throw new DataError("media-unreadable", `${source} is a folder where a picture is needed.`, {
      hint: "Name a picture file in it.",
    });
  }
  return readWhole(path, found, source);
}

/**
 * Decodes a picture file.
 *
 * @throws {DataError} `media-decoder-missing` when sharp is not installed.
 * @throws {Error} of the decoder when the bytes are damaged.
 */
export function decodePicture(
  bytes: Uint8Array,
  _format: PictureFormat,
  file: string,
): Promise<Pixels> {
  return decodeWithSharp(bytes, file);
}

/**
 * Returns the contents of a folder, or null when the source is no folder.
 *
 * @throws {DataError} `media-missing` when the path names nothing.
 */
export async function openFolder(source: MediaSource): Promise<MediaFolder | null> {
  if (typeof source !== "string" || /^(https?|data):/i.test(source)) return null;
  const path = localPath(source);
  if (!(await statOrThrow(path)).isDirectory()) return null;
  return {
    name: source,
    files: (await readdir(path)).sort(),
    read: async (file) => {
      const inside = join(path, file);
      return readWhole(inside, await statOrThrow(inside), inside);
    },
  };
}

/**
 * Makes decoders available for compressed audio and video; PCM needs none.
 *
 * @throws {DataError} `media-decoder-missing` when @mediabunny/server is not installed.
 */
export function prepareDecoders(): Promise<void> {
  return registerServerDecoders(quietFfmpeg);
}

/** Opens a medium that mediabunny does not know; null when FFmpeg, or its package, is no help. */
export async function openForeign(source: MediaSource): Promise<ForeignMedium | null> {
  try {
    await prepareDecoders();
  } catch {
    return null;
  }
  const server = await import("@mediabunny/server");
  const ffmpeg = { av: await loadNodeAv(), server };
  const isPath = typeof source === "string" && !/^https?:/i.test(source) && !isDataAddress(source);
  if (isPath) return openWithFfmpeg(ffmpeg, resolve(localPath(source)));
  // Reading through functions of JavaScript, FFmpeg can end the process when the file is damaged
  // (node-av 6.1: a reader of its own that outlives the file), so that all it gets is files.
  const folder = await mkdtemp(join(tmpdir(), "aubade-medium-"));
  const remove = () => rmSync(folder, { recursive: true, force: true });
  try {
    const path = join(folder, "medium");
    await writeFile(path, await mediaBytes(source));
    const medium = await openWithFfmpeg(ffmpeg, path);
    if (!medium) remove();
    return medium && { ...medium, close: () => (medium.close(), remove()) };
  } catch (error) {
    remove();
    throw error;
  }
}

function localPath(source: string): string {
  return source.startsWith("file:") ? fileURLToPath(source) : source;
}

/**
 * Refuses a device or a pipe: it gives bytes for ever, or none, and holds a thread of Node's until
 * the end.
 */
function checkIsFile(found: Stats, name: string): void {
  if (found.isFile()) return;
  throw new DataError("media-not-a-file", `${name} is a device or a pipe, not a file.`, {
    hint: "Copy what it gives into a file, and name that.",
  });
}

async function readWhole(path: string, found: Stats, name: string): Promise<Uint8Array> {
  checkIsFile(found, name);
  checkPictureBytes(found.size, name);
  return new Uint8Array(await readFile(path));
}

async function statOrThrow(path: string) {
  try {
    return await stat(path);
  } catch (cause) {
    throw new DataError(
      "media-missing",
      `${resolve(path)} cannot be opened: there is no such file.`,
      {
        hint: "Check the path; those of rows are relative to the file that names them.",
        cause,
      },
    );
  }
}

/** Damage is reported as an error of ours; FFmpeg's own lines on stderr say it a second time. */
async function quietFfmpeg(): Promise<void> {
  const { Log, AV_LOG_QUIET } = await loadNodeAv();
  Log.setLevel(AV_LOG_QUIET);
}

/** FFmpeg's own interface: the very module that @mediabunny/server imports. */
async function loadNodeAv(): Promise<typeof NodeAv> {
  const server = createRequire(import.meta.url).resolve("@mediabunny/server");
  const { href } = pathToFileURL(createRequire(server).resolve("node-av"));
  return (await import(href)) as typeof NodeAv;
}
