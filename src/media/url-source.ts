import { UrlSource } from "mediabunny";

const RETRY_DELAYS_S = [0.5, 2];

/** A source over HTTP with range requests; a failing request is repeated twice, then it is an error. */
export function urlSource(url: string): UrlSource {
  let failures = 0;
  return new UrlSource(url, { getRetryDelay: () => RETRY_DELAYS_S[failures++] ?? null });
}
