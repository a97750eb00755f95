import { orAborted, wholeBody } from "../../core/body.ts";
import { CheckpointError } from "../../core/errors.ts";
import { type Purpose, statusError, subject, unreachable } from "./failure.ts";

/** How requests are sent: to which Hub, as whom, and with how much patience. */
export interface HubClient {
  readonly endpoint: string;
  readonly token: string | undefined;
  readonly fetch: typeof fetch;
  readonly signal: AbortSignal | undefined;
  /** Attempts after the first that may fail in a row. */
  readonly retries: number;
  readonly retryDelayMs: number;
  readonly timeoutMs: number;
  readonly onWarning: (message: string) => void;
}

/** An answer, and what the Hub itself said on the way to it. */
export interface HubAnswer {
  readonly response: Response;
  /** Headers of the Hub's own answers; where several have one, the last counts. */
  readonly hub: Headers;
  /** ETag of the file as the Hub itself tells it, wherever the bytes come from. */
  readonly etag: string | null;
  /** Host of the last answer. */
  readonly host: string;
  /** Next bytes of the body; undefined at its end. Fails when the connection drops or is silent. */
  readonly read: () => Promise<Uint8Array | undefined>;
  /** Ends the exchange: nothing more is read of the answer. */
  readonly end: () => void;
}

const REDIRECTS = [301, 302, 303, 307, 308];
/** The most bytes of an answer that is a list of files, not one of the files. */
const MAX_ANSWER_BYTES = 64 * 2 ** 20;
/** A server that asks for a longer pause than this is not waited for longer. */
const MAX_PAUSE_MS = 300_000;

/**
 * Sends one request and follows redirects by hand.
 *
 * The token goes to the Hub's own origin only, and no more once a redirect has left it. With
 * `leave` false the redirect that would leave is itself the answer, as in Python's HEAD.
 *
 * @throws {CheckpointError} `unreachable`; the reason of the client's signal when that stops it.
 */
export async function send(
  client: HubClient,
  address: string,
  init: { method?: string; headers?: Record<string, string>; leave?: boolean },
  purpose: Purpose,
): Promise<HubAnswer> {
  client.signal?.throwIfAborted();
  const origin = new URL(client.endpoint).origin;
  const stall = new AbortController();
  const stop = () => stall.abort(client.signal?.reason);
  client.signal?.addEventListener("abort", stop);
  let timer: ReturnType<typeof setTimeout> | undefined;
  const touch = () => {
    clearTimeout(timer);
    const silence = () => stall.abort(new Error(`silent for ${client.timeoutMs / 1000} s`));
    timer = setTimeout(silence, client.timeoutMs);
  };
  const release = () => {
    clearTimeout(timer);
    client.signal?.removeEventListener("abort", stop);
  };
  const hub = new Headers();
  let etag: string | null = null;
  let url = new URL(address);
  let atHome = true;
  try {
    for (let hop = 0; hop < 8; hop++) {
      touch();
      // Compressed answers have no length that could be checked, and no ranges.
      const headers: Record<string, string> = { ...init.headers, "Accept-Encoding": "identity" };
      if (atHome && client.token !== undefined) headers.Authorization = `Bearer ${client.token}`;
      const method = init.method ?? "GET";
      const sent = client.fetch(url.href, {
        method,
        headers,
        redirect: "manual",
        signal: stall.signal,
      });
      const response = await orAborted(sent, stall.signal);
      if (atHome) {
        response.headers.forEach((value, name) => hub.set(name, value));
        etag = response.headers.get("x-linked-etag") ?? response.headers.get("etag") ?? etag;
      }
      const location = response.headers.get("location");
      const next =
        REDIRECTS.includes(response.status) && location !== null ? new URL(location, url) : null;
      if (next === null || (next.origin !== origin && init.leave === false)) {
        const reader = response.body?.getReader();
        const read = async () => {
          touch();
          return reader && (await orAborted(reader.read(), stall.signal)).value;
        };
        const end = () => {
          release();
          // Not waited for: a broken body may never say that it is closed.
          reader?.cancel().catch(() => {});
        };
        return { response, hub, etag, host: url.host, read, end };
      }
      response.body?.cancel().catch(() => {});
      if (next.protocol !== "https:" && next.protocol !== url.protocol) {
        throw new Error("a redirect led away from https");
      }
      url = next;
      atHome &&= next.origin === origin;
    }
    throw new Error("too many redirects");
  } catch (cause) {
    release();
    client.signal?.throwIfAborted();
    const reason = stall.signal.aborted ? stall.signal.reason : cause;
    throw unreachable(purpose, url.host, reason, client.token);
  }
}

/** Says whether a status may be another one a moment later. */
export function isTransient(status: number): boolean {
  return status === 408 || status === 429 || (status >= 500 && status !== 501);
}

/**
 * Waits before the next attempt: as long as Retry-After says, else twice as long each time.
 *
 * @throws the reason of the client's signal when that stops it.
 */
export async function pause(
  client: HubClient,
  failures: number,
  error: CheckpointError,
  headers?: Headers,
): Promise<void> {
  const asked = retryAfterMs(headers?.get("retry-after") ?? null, Date.now());
  const ms = Math.min(asked ?? client.retryDelayMs * 2 ** (failures - 1), MAX_PAUSE_MS);
  const what = error.message.slice(0, error.message.length - (error.hint?.length ?? 0)).trim();
  client.onWarning(
    `${what} Trying again in ${Math.ceil(ms / 1000)} s (${failures} of ${client.retries}).`,
  );
  await new Promise<void>((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(client.signal!.reason as Error);
    };
    const timer = setTimeout(() => {
      client.signal?.removeEventListener("abort", stop);
      resolve();
    }, ms);
    if (client.signal?.aborted) stop();
    client.signal?.addEventListener("abort", stop, { once: true });
  });
}

/** Reads a Retry-After header, in seconds or as a date; `now` in ms. */
export function retryAfterMs(value: string | null, now: number): number | undefined {
  if (value === null) return undefined;
  if (/^\s*\d+\s*$/.test(value)) return Number(value) * 1000;
  const at = Date.parse(value);
  return Number.isNaN(at) ? undefined : Math.max(0, at - now);
}

/**
 * Sends a request until it is answered for good.
 *
 * @throws {CheckpointError} `unreachable`, or what {@link statusError} makes of a status that is
 *   neither in the 200s nor, with `leave` false, a redirect.
 */
export async function ask(
  client: HubClient,
  address: string,
  init: { method?: string; headers?: Record<string, string>; leave?: boolean },
  purpose: Purpose,
): Promise<HubAnswer> {
  for (let failures = 1; ; failures++) {
    let error: CheckpointError;
    let headers: Headers | undefined;
    try {
      const answer = await send(client, address, init, purpose);
      const { response, host } = answer;
      const leaving = init.leave === false && REDIRECTS.includes(response.status);
      if (response.ok || leaving) return answer;
      answer.end();
      error = statusError(purpose, client.endpoint, host, response, client.token);
      if (!isTransient(response.status)) throw error;
      headers = response.headers;
    } catch (caught) {
      if (!(caught instanceof CheckpointError) || caught.code !== "unreachable") throw caught;
      error = caught;
    }
    if (failures > client.retries) throw error;
    await pause(client, failures, error, headers);
  }
}

/**
 * Gives the `fetch` that the Hub's own client is to use: ours, with the token, retries and errors.
 *
 * An answer is read to its end here, so the caller never waits for a silent connection.
 */
export function guardedFetch(client: HubClient, purpose: Purpose): typeof fetch {
  return async (input) => {
    const address = input instanceof Request ? input.url : String(input);
    for (let failures = 1; ; failures++) {
      const answer = await ask(client, address, {}, purpose);
      try {
        const { status, headers } = answer.response;
        return new Response(await wholeBody(answer.read, MAX_ANSWER_BYTES), { status, headers });
      } catch (cause) {
        client.signal?.throwIfAborted();
        if (cause instanceof RangeError) throw nonsense(purpose, cause.message);
        const error = unreachable(purpose, answer.host, cause, client.token);
        if (failures > client.retries) throw error;
        await pause(client, failures, error);
      } finally {
        answer.end();
      }
    }
  };
}

/** Says what was being fetched when an answer made no sense. */
export function nonsense(purpose: Purpose, message: string): CheckpointError {
  return new CheckpointError("not-the-hub", `${subject(purpose)}: ${message}.`, {
    hint: "Check HF_ENDPOINT: this does not look like the Hub, or a proxy changes its answers.",
  });
}
