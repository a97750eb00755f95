/* The media platform in a browser: URLs and blobs; WebCodecs decodes. */
import { BlobSource, BufferSource, type Source } from "mediabunny";
import type { MediaFolder } from "./frame-folder.ts";
import type { MediaSource } from "./types.ts";
import { urlSource } from "./url-source.ts";

/** Opens the bytes of a medium. A string is a URL, relative to the page. */
export function openSource(source: MediaSource): Promise<Source> {
  if (typeof source === "string") return Promise.resolve(urlSource(source));
  return Promise.resolve(
    source.data instanceof Uint8Array ? new BufferSource(source.data) : new BlobSource(source.data),
  );
}

/** A page has no folders: always null. */
export function openFolder(_source: MediaSource): Promise<MediaFolder | null> {
  return Promise.resolve(null);
}

/** WebCodecs needs no preparation. */
export function prepareDecoders(): Promise<void> {
  return Promise.resolve();
}
