import { CheckpointError } from "../core/errors.ts";

/** Random access to the bytes of one file, wherever it lies: on disk, in memory or behind a URL. */
export interface ByteSource {
  /** Length of the whole file in bytes. */
  readonly size: number;
  /**
   * Reads `length` bytes from `offset`.
   *
   * Ownership: the result is the caller's own, and starts at byte 0 of a buffer of its own, so any
   * typed array can be laid over it.
   *
   * @throws {CheckpointError} when the range leaves the file or the file ends early.
   */
  read(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>>;
  /** Fills `into` from `offset`, for readers that use one buffer again; where it costs nothing. */
  readInto?(offset: number, into: Uint8Array<ArrayBuffer>): Promise<void>;
  /** Frees what the source holds open, if it holds anything. */
  close?(): Promise<void>;
}

/** A file being written beside its final name, so that a crash leaves the old one whole. */
export interface FileWriter {
  /** Adds bytes at the end. */
  write(bytes: Uint8Array): Promise<void>;
  /** Flushes to the disk and gives the file its final name. */
  commit(): Promise<void>;
  /** Drops what was written. */
  abort(): Promise<void>;
}

/**
 * Checks that a range lies inside a file before anything is allocated for it.
 *
 * @throws {CheckpointError} when it does not.
 */
export function checkRange(name: string, size: number, offset: number, length: number): void {
  const whole = Number.isSafeInteger(offset) && Number.isSafeInteger(length);
  if (whole && offset >= 0 && length >= 0 && offset + length <= size) return;
  throw new CheckpointError(
    "range-outside-file",
    `${name} has ${size} bytes; bytes ${offset} to ${offset + length} were asked for.`,
    { hint: "The file is shorter than its header says; fetch it again." },
  );
}

/** Wraps bytes in memory as a source; reads are copies. */
export function bytesSource(
  bytes: Uint8Array | ArrayBuffer,
  name = "a file in memory",
): ByteSource {
  const view = bytes instanceof Uint8Array ? bytes : new Uint8Array(bytes);
  return {
    size: view.byteLength,
    async read(offset, length) {
      checkRange(name, view.byteLength, offset, length);
      return new Uint8Array(view.subarray(offset, offset + length));
    },
    async readInto(offset, into) {
      checkRange(name, view.byteLength, offset, into.length);
      into.set(view.subarray(offset, offset + into.length));
    },
  };
}

/** Wraps a Blob, for example a file that a user dropped on a page. */
export function blobSource(blob: Blob, name = "a dropped file"): ByteSource {
  return {
    size: blob.size,
    async read(offset, length) {
      checkRange(name, blob.size, offset, length);
      return new Uint8Array(await blob.slice(offset, offset + length).arrayBuffer());
    },
  };
}

/**
 * Opens a URL for ranged reads.
 *
 * A server that ignores `Range` is noticed at the first request; the file is then held in memory.
 *
 * @throws {CheckpointError} when the server refuses or answers with the wrong range.
 */
export async function urlSource(url: string, request: typeof fetch = fetch): Promise<ByteSource> {
  const probe = await fetchRange(url, 0, 1, request);
  if (probe.status === 200) return bytesSource(await probe.arrayBuffer(), url);
  await probe.arrayBuffer();
  const size = Number(/\/(\d+)$/.exec(probe.headers.get("content-range") ?? "")?.[1] ?? NaN);
  if (!Number.isSafeInteger(size)) {
    throw new CheckpointError(
      "no-size",
      `${url} answers ranges, but does not say how long the file is.`,
      { hint: "Serve it with a Content-Range header that ends in the total size." },
    );
  }
  return {
    size,
    async read(offset, length) {
      checkRange(url, size, offset, length);
      if (length === 0) return new Uint8Array(0);
      const response = await fetchRange(url, offset, length, request);
      const bytes = new Uint8Array(await response.arrayBuffer());
      if (response.status === 206 && bytes.byteLength === length) return bytes;
      throw new CheckpointError(
        "short-read",
        `${url} answered ${bytes.byteLength} bytes (status ${response.status}) where ` +
          `${length} from ${offset} were asked for.`,
        { hint: "Try again; the connection was cut or the file changed on the server." },
      );
    },
  };
}

/**
 * Reads a whole URL.
 *
 * @throws {CheckpointError} `unreachable`, `missing-file`, `refused`.
 */
export async function urlBytes(url: string): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await (await ask(url, {})).arrayBuffer());
}

/**
 * Says whether a URL answers.
 *
 * @throws {CheckpointError} `unreachable` when the server cannot be asked, `refused` when it fails.
 */
export async function urlExists(url: string): Promise<boolean> {
  try {
    await ask(url, { method: "HEAD" });
    return true;
  } catch (error) {
    if (error instanceof CheckpointError && error.code === "missing-file") return false;
    throw error;
  }
}

function fetchRange(
  url: string,
  offset: number,
  length: number,
  request: typeof fetch,
): Promise<Response> {
  return ask(url, { headers: { Range: `bytes=${offset}-${offset + length - 1}` } }, request);
}

/** Returns the SHA-256 of bytes or of a text's UTF-8, as 64 hexadecimal digits. */
export async function sha256(content: Uint8Array<ArrayBuffer> | string): Promise<string> {
  const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(hash, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function ask(
  url: string,
  init: RequestInit,
  request: typeof fetch = fetch,
): Promise<Response> {
  let response: Response;
  try {
    response = await request(url, init);
  } catch (cause) {
    throw new CheckpointError("unreachable", `${url} cannot be reached.`, {
      hint: "Check the address and the connection.",
      cause,
    });
  }
  if (response.ok && !isFallBackPage(url, response)) return response;
  if (response.ok) {
    throw new CheckpointError("missing-file", `${url} is not there: a page came in its place.`, {
      hint: "Put the file where the server looks for it (in a Vite project: the folder public/).",
    });
  }
  const code = response.status === 404 || response.status === 410 ? "missing-file" : "refused";
  throw new CheckpointError(code, `${url} answered with status ${response.status}.`, {
    hint: "Check the address, and the access token if the repository is private.",
  });
}

/** Tells whether a single-page application answered with its page, as it does to any address. */
function isFallBackPage(url: string, response: Response): boolean {
  const isPage = response.headers.get("content-type")?.startsWith("text/html") === true;
  return isPage && !/\.html?$/i.test(new URL(url, globalThis.location?.href).pathname);
}
