import { orAborted, wholeBody } from "../../core/body.ts";
import { DataError } from "../../core/errors.ts";

/** How a judge is reached. */
export interface JudgeEndpoint {
  /** Base of an OpenAI-compatible service, such as `http://localhost:8000/v1`. */
  url: string;
  model: string;
  /** Sent as a bearer token; never in a message or a log. */
  apiKey?: string | undefined;
  temperature: number;
  max_tokens: number;
  /** Seconds for one request with its reply. */
  timeout_s: number;
  /** Further requests after one that failed in a way that may pass. */
  retries: number;
  /** Seconds before the first further request; doubled before each next one. */
  backoff_s: number;
  /** Maximum of requests under way at once. */
  concurrency: number;
}

/** The most bytes of a reply: a judge that thinks aloud at length needs a few hundred thousand. */
const MAX_REPLY_BYTES = 8 * 2 ** 20;

/** Maximum wait between requests, whatever the service asks for, in seconds. */
const LONGEST_WAIT_S = 60;

/** Tells whether a status may pass: time-outs, rates, a service that starts. */
function mayPass(status: number): boolean {
  return [408, 409, 425, 429].includes(status) || status >= 500;
}

/** The failure of one request, and whether another may do better. */
class RequestFailure extends Error {
  readonly passing: boolean;
  readonly waitS: number | undefined;

  constructor(message: string, passing: boolean, waitS?: number) {
    super(message);
    this.passing = passing;
    this.waitS = waitS;
  }
}

/** Asks an OpenAI-compatible service, a few prompts at a time. */
export class JudgeClient {
  readonly #endpoint: JudgeEndpoint;
  readonly #waiting: (() => void)[] = [];
  #free: number;

  constructor(endpoint: JudgeEndpoint) {
    this.#endpoint = endpoint;
    this.#free = endpoint.concurrency;
  }

  /**
   * The reply to a prompt.
   *
   * @throws {DataError} `judge-failed` with the last failure and the number of requests.
   */
  async ask(prompt: string): Promise<string> {
    const { retries, backoff_s: backoff } = this.#endpoint;
    for (let tries = 1; ; tries++) {
      try {
        return await this.#limited(() => this.#request(prompt));
      } catch (error) {
        if (!(error instanceof RequestFailure)) throw error;
        if (!error.passing || tries > retries) throw this.#failure(error, tries);
        const waitS = Math.min(LONGEST_WAIT_S, error.waitS ?? backoff * 2 ** (tries - 1));
        await new Promise((resolve) => setTimeout(resolve, waitS * 1000));
      }
    }
  }

  async #limited<T>(work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await work();
    } finally {
      // A place goes from hand to hand, so that nobody new slips in between.
      const next = this.#waiting.shift();
      if (next !== undefined) next();
      else this.#free++;
    }
  }

  async #request(prompt: string): Promise<string> {
    const { timeout_s: timeout } = this.#endpoint;
    const stop = new AbortController();
    const timer = setTimeout(() => {
      stop.abort(new Error(`no reply within ${timeout} s`));
    }, timeout * 1000);
    let reply;
    try {
      reply = await this.#exchange(prompt, stop.signal);
    } catch (error) {
      const endless = error instanceof RangeError;
      const reason: unknown = stop.signal.aborted ? stop.signal.reason : error;
      throw new RequestFailure(describe(reason), !endless);
    } finally {
      clearTimeout(timer);
      stop.abort();
    }
    const { status, text, retryAfter } = reply;
    if (status !== 200) {
      const waitS = /^\d+$/.test(retryAfter ?? "") ? Number(retryAfter) : undefined;
      throw new RequestFailure(`status ${status}: ${short(text)}`, mayPass(status), waitS);
    }
    return contentOf(text);
  }

  /** The signal bounds the whole reply, its body too. */
  async #exchange(prompt: string, signal: AbortSignal) {
    const { url, model, apiKey, temperature, max_tokens } = this.#endpoint;
    const response = await orAborted(
      fetch(`${url.replace(/\/+$/, "")}/chat/completions`, {
        method: "POST",
        headers: {
          "content-type": "application/json",
          ...(apiKey !== undefined && { authorization: `Bearer ${apiKey}` }),
        },
        body: JSON.stringify({
          ...{ model, temperature, max_tokens },
          messages: [{ role: "user", content: prompt }],
        }),
        signal,
        // A redirect would hand the key to another place.
        redirect: "error",
      }),
      signal,
    );
    const reader = response.body?.getReader();
    const read = async () => reader && (await orAborted(reader.read(), signal)).value;
    try {
      const text = new TextDecoder().decode(await wholeBody(read, MAX_REPLY_BYTES));
      // Some services say which key they were given; out with it before a text is cut or kept.
      const retryAfter = response.headers.get("retry-after");
      return { status: response.status, text: this.#withoutKey(text), retryAfter };
    } finally {
      // Not waited for: a broken body may never say that it is closed.
      reader?.cancel().catch(() => {});
    }
  }

  #withoutKey(text: string): string {
    const { apiKey } = this.#endpoint;
    return apiKey ? text.replaceAll(apiKey, "***") : text;
  }

  #failure(error: RequestFailure, tries: number): DataError {
    const { url } = this.#endpoint;
    const message = this.#withoutKey(error.message);
    const asked = tries === 1 ? "one request" : `${tries} requests`;
    return new DataError("judge-failed", `The judge at ${url} failed after ${asked}: ${message}.`, {
      hint: "Look at the service; see options.timeout_s, retries and concurrency of the reward.",
    });
  }
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause instanceof Error ? ` (${error.cause.message})` : "";
  return `${error.message}${cause}`;
}

function short(text: string): string {
  const line = text.replaceAll(/\s+/g, " ").trim();
  return line.length > 200 ? `${line.slice(0, 197)}...` : line;
}

function contentOf(text: string): string {
  let content: unknown;
  try {
    const body = JSON.parse(text) as { choices?: { message?: { content?: unknown } }[] } | null;
    content = body?.choices?.[0]?.message?.content;
  } catch {
    throw new RequestFailure(`a reply that is not JSON: ${short(text)}`, true);
  }
  if (typeof content === "string" && content.trim() !== "") return content;
  throw new RequestFailure(`a reply without choices[0].message.content: ${short(text)}`, true);
}
