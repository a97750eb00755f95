import { DataError } from "../core/errors.ts";
import { hash32 } from "../core/random.ts";

/** Says whether a source is a data address, such as `data:image/png;base64,...`. */
export function isDataAddress(source: string): boolean {
  return /^data:/i.test(source);
}

/** Returns a data address as messages show it: its type, its length and a sum, never its content. */
export function dataAddressName(source: string): string {
  const type = /^data:([\w.+-]+(?:\/[\w.+-]+)?)?/i.exec(source)?.[1] ?? "text/plain";
  const sum = hash32(source).toString(16).padStart(8, "0");
  return `data:${type} (${source.length} characters, ${sum})`;
}

/**
 * Returns the bytes of a data address, in base64 or percent-encoded.
 *
 * Source: RFC 2397.
 *
 * @throws {DataError} `media-unreadable` when it has no comma or its content cannot be decoded.
 */
export function dataAddressBytes(source: string): Uint8Array<ArrayBuffer> {
  const comma = source.indexOf(",");
  const broken = (what: string, cause?: unknown): DataError =>
    new DataError("media-unreadable", `${dataAddressName(source)} cannot be read: ${what}.`, {
      hint: "Write it as data:image/png;base64, and the whole file in base64.",
      cause,
    });
  if (comma < 0) throw broken("it has no comma before its content");
  try {
    const content = decodeURIComponent(source.slice(comma + 1));
    if (!/;\s*base64$/i.test(source.slice(0, comma))) return new TextEncoder().encode(content);
    const standard = content.replaceAll(/\s/g, "").replaceAll("-", "+").replaceAll("_", "/");
    return Uint8Array.from(atob(standard), (character) => character.charCodeAt(0));
  } catch (cause) {
    throw broken("its content is not base64", cause);
  }
}
