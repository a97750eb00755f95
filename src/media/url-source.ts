import { UrlSource } from "mediabunny";
import { AubadeError, DataError } from "../core/errors.ts";
import { checkPictureBytes } from "./limits.ts";
import { beat } from "./progress.ts";

const RETRY_DELAYS_S = [0.5, 2];

/** A source over HTTP with range requests; a failing request is repeated twice, then it is an error. */
export function urlSource(url: string): UrlSource {
  let failures = 0;
  return new UrlSource(url, { getRetryDelay: () => RETRY_DELAYS_S[failures++] ?? null });
}

/**
 * All bytes behind a URL; a failing request is repeated twice.
 *
 * @throws {DataError} `media-missing` when the server has no such file, `media-unreadable`.
 */
export async function fetchBytes(url: string): Promise<Uint8Array> {
  for (let attempt = 0; ; attempt++) {
    try {
      const response = await fetch(url);
      if (response.ok) return await wholeBody(response, url);
      if (response.status >= 400 && response.status < 500) throw refused(url, response);
      throw new Error(`the server answers ${response.status} ${response.statusText}`.trim());
    } catch (cause) {
      if (cause instanceof AubadeError) throw cause;
      const delayS = RETRY_DELAYS_S[attempt];
      if (delayS === undefined) {
        const why = cause instanceof Error ? cause.message : String(cause);
        throw new DataError("media-unreadable", `${url} cannot be fetched: ${why}.`, {
          hint: "Check the connection and the address.",
          cause,
        });
      }
      await new Promise((resolve) => setTimeout(resolve, delayS * 1000));
    }
  }
}

/** Bytes are counted as they come: what an answer says of its length need not be true. */
async function wholeBody(response: Response, url: string): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let length = 0;
  const reader = response.body!.getReader();
  try {
    for (let next = await reader.read(); !next.done; next = await reader.read()) {
      beat();
      parts.push(next.value);
      length += next.value.length;
      checkPictureBytes(length, url);
    }
  } finally {
    // Not waited for: a broken body may never say that it is closed.
    reader.cancel().catch(() => {});
  }
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

function refused(url: string, { status, statusText }: Response): DataError {
  return new DataError(
    "media-missing",
    `${url} cannot be fetched: the server answers ${`${status} ${statusText}`.trim()}.`,
    { hint: "Check the address, and whether it needs a login." },
  );
}
