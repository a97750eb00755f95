import { UrlSource } from "mediabunny";
import { wholeBody } from "../core/body.ts";
import { AubadeError, DataError } from "../core/errors.ts";
import { checkPictureBytes, MAX_WHOLE_BYTES } from "./limits.ts";
import { beat } from "../core/progress.ts";

const RETRY_DELAYS_S = [0.5, 2];

/**
 * Returns a source over HTTP with range requests; a failing request is repeated twice, then it is
 * an error.
 */
export function mediaUrlSource(url: string): UrlSource {
  let failures = 0;
  return new UrlSource(url, { getRetryDelay: () => RETRY_DELAYS_S[failures++] ?? null });
}

/**
 * Returns all bytes behind a URL; a failing request is repeated twice.
 *
 * @throws {DataError} `media-missing` when the server has no such file, `media-unreadable`.
 */
export async function fetchBytes(url: string): Promise<Uint8Array> {
  for (let attempt = 0; ; attempt++) {
    try {
      const response = await fetch(url);
      if (response.ok) return await pictureIn(response, url);
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
async function pictureIn(response: Response, url: string): Promise<Uint8Array> {
  const reader = response.body!.getReader();
  const read = async () => {
    const { value } = await reader.read();
    beat();
    return value;
  };
  try {
    return await wholeBody(read, MAX_WHOLE_BYTES);
  } catch (cause) {
    if (cause instanceof RangeError) checkPictureBytes(MAX_WHOLE_BYTES + 1, url);
    throw cause;
  } finally {
    // Not waited for: a broken body may never say that it is closed.
    reader.cancel().catch(() => {});
  }
}

function refused(url: string, { status, statusText }: Response): DataError {
  return new DataError(
    "media-missing",
    `${url} cannot be fetched: the server answers ${`${status} ${statusText}`.trim()}.`,
    { hint: "Check the address, and whether it needs a login." },
  );
}
