import { CheckpointError } from "../../core/errors.ts";
import { quoted } from "../../core/quoted.ts";
import { type Purpose, redact, statusError, subject, unreachable } from "./failure.ts";
import { blobName } from "./name.ts";
import type { RemoteFile } from "./repository.ts";
import { type HubAnswer, type HubClient, isTransient, pause, send } from "./request.ts";

/** A file on its way: what has come of it lies on the disk. */
export interface Part {
  /** Bytes that are there. */
  readonly bytes: number;
  /** Adds bytes at the end. */
  append(bytes: Uint8Array): Promise<void>;
  /** Drops all bytes. */
  reset(): Promise<void>;
  /** SHA-256 of the bytes that are there, in hex. */
  sha256(): Promise<string>;
}

/** Answers with a wrong length, a wrong range or wrong content are asked for again so often. */
const WRONG_RETRIES = 2;

/** Why an attempt ended before the file was whole. */
interface Setback {
  error: CheckpointError;
  /** A drop is waited out and resumed; something wrong starts again and is soon given up. */
  kind: "drop" | "wrong";
  headers?: Headers;
}

/**
 * Fetches what is missing of a file into its part, across dropped connections.
 *
 * A drop is resumed at the byte that was reached; as long as bytes arrive in between, the count of
 * retries begins anew. Returns "changed" when the Hub now tells another ETag: then the part belongs
 * to a file that is no more.
 *
 * @throws {CheckpointError} `wrong-length`, `bad-checksum`, `unreachable`, or as
 *   {@link statusError}; what the part throws passes through.
 */
export async function transfer(
  client: HubClient,
  file: RemoteFile,
  part: Part,
  purpose: Purpose,
  onBytes: (bytes: number) => void,
): Promise<"done" | "changed"> {
  let drops = 0;
  let wrongs = 0;
  const state: { validator?: string } = {};
  if (part.bytes > file.size) await part.reset();
  for (;;) {
    onBytes(part.bytes);
    const before = part.bytes;
    let setback: Setback | "changed" | undefined;
    if (part.bytes < file.size)
      setback = await attempt(client, file, part, purpose, state, onBytes);
    if (setback === "changed") return "changed";
    if (setback === undefined) {
      const sum = file.sha256 === undefined ? undefined : await part.sha256();
      if (sum === file.sha256) return "done";
      const error = new CheckpointError(
        "bad-checksum",
        `${subject(purpose)} has SHA-256 ${sum} where the Hub tells ${file.sha256}.`,
        { hint: "It was discarded; try again, and check the disk and proxies if it stays so." },
      );
      setback = { error, kind: "wrong" };
      // A second copy with the same fault will not be cured by a third.
      wrongs = Math.max(wrongs, WRONG_RETRIES - 1);
    }
    if (setback.kind === "wrong") {
      await part.reset();
      state.validator = undefined;
      wrongs++;
      if (wrongs > WRONG_RETRIES) throw setback.error;
      await pause(client, wrongs, setback.error, setback.headers);
    } else {
      drops = part.bytes > before ? 1 : drops + 1;
      if (drops > client.retries) throw setback.error;
      await pause(client, drops, setback.error, setback.headers);
    }
  }
}

/** Sends one request for what is missing and writes what comes of it. */
async function attempt(
  client: HubClient,
  file: RemoteFile,
  part: Part,
  purpose: Purpose,
  state: { validator?: string },
  onBytes: (bytes: number) => void,
): Promise<Setback | "changed" | undefined> {
  const headers: Record<string, string> = {};
  if (part.bytes > 0) {
    headers.Range = `bytes=${part.bytes}-`;
    // The validator is the one of the host that serves the bytes: the Hub's ETag means nothing
    // there. A part of an earlier run has none; it is checked by its hash in the end.
    if (state.validator !== undefined) headers["If-Range"] = state.validator;
  }
  let answer: HubAnswer;
  try {
    // Always through the Hub: the addresses it redirects to are valid for a short time only.
    answer = await send(client, file.url, { headers }, purpose);
  } catch (caught) {
    if (!(caught instanceof CheckpointError)) throw caught;
    return { error: caught, kind: "drop" };
  }
  try {
    return await receive(client, file, part, purpose, state, answer, onBytes);
  } finally {
    answer.end();
  }
}

async function receive(
  client: HubClient,
  file: RemoteFile,
  part: Part,
  purpose: Purpose,
  state: { validator?: string },
  { response, etag: told, host, read }: HubAnswer,
  onBytes: (bytes: number) => void,
): Promise<Setback | "changed" | undefined> {
  const { status, headers } = response;
  const wrong = (message: string): Setback => ({
    error: wrongLength(purpose, message),
    kind: "wrong",
  });
  if (status === 416) return wrong(`has no bytes from ${part.bytes} on; ${file.size} were told`);
  if (!response.ok) {
    const error = statusError(purpose, client.endpoint, host, response, client.token);
    // A link to another host may have run out by now: the Hub gives a new one.
    const stale = status === 403 && host !== new URL(client.endpoint).host;
    if (!isTransient(status) && !stale) throw error;
    return { error, kind: "drop", headers };
  }
  if (told !== null && blobName(told, subject(purpose), client.token) !== file.etag)
    return "changed";
  if (status === 206) {
    const range = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(headers.get("content-range") ?? "");
    const fits = range !== null && Number(range[1]) === part.bytes;
    if (!fits || (range[2] !== "*" && Number(range[2]) !== file.size)) {
      const came = quoted(redact(headers.get("content-range") ?? "", client.token));
      return wrong(`came as ${came} where bytes from ${part.bytes} of ${file.size} were asked for`);
    }
  } else if (part.bytes > 0) {
    // The server does not do ranges, or has another file by now: this is the whole of it.
    await part.reset();
    onBytes(0);
  }
  const etag = headers.get("etag");
  state.validator = etag !== null && !etag.startsWith("W/") ? etag : undefined;
  const length = headers.get("content-length");
  if (length !== null && part.bytes + Number(length) !== file.size) {
    return wrong(`has ${part.bytes + Number(length)} bytes where ${file.size} were told`);
  }
  for (;;) {
    let chunk: Uint8Array | undefined;
    try {
      chunk = await read();
    } catch (cause) {
      client.signal?.throwIfAborted();
      return { error: unreachable(purpose, host, cause, client.token), kind: "drop" };
    }
    if (chunk === undefined) break;
    if (part.bytes + chunk.byteLength > file.size) {
      const bytes = part.bytes + chunk.byteLength;
      return wrong(`has at least ${bytes} bytes where ${file.size} were told`);
    }
    await part.append(chunk);
    onBytes(part.bytes);
  }
  if (part.bytes === file.size) return undefined;
  // Without a length in the answer, a cut connection looks like an end.
  const message = `ended after ${part.bytes} bytes where ${file.size} were told`;
  return { error: wrongLength(purpose, message), kind: "drop" };
}

function wrongLength(purpose: Purpose, message: string): CheckpointError {
  return new CheckpointError("wrong-length", `${subject(purpose)} ${message}.`, {
    hint: "Try again; if it stays so, the file changed on the server or a proxy cuts it.",
  });
}
