import { ConfigError } from "../../core/errors.ts";
import { checkRevision } from "./name.ts";

/** How far a download is. Counts of bytes cover the files that were not in the cache. */
export interface HubProgress {
  /** The file that moved last. */
  file: string;
  /** Bytes of that file that are on the disk. */
  fileBytes: number;
  /** Length of that file in bytes. */
  fileTotal: number;
  /** Bytes of all files that are on the disk, those of an earlier, interrupted run among them. */
  bytes: number;
  /** Length of all files in bytes. */
  total: number;
  /** Number of files. */
  files: number;
  /** Rate over the last seconds, in bytes per second. */
  bytesPerSecond: number;
}

/**
 * Options of a model on the Hub: its source and the cache; the environment gives those left out.
 */
export interface HubOptions {
  /** Branch, tag or commit; "main" when absent. */
  revision?: string | null;
  /** Address of the Hub; else HF_ENDPOINT, else https://huggingface.co. */
  endpoint?: string;
  /** Access token; else HF_TOKEN, HUGGING_FACE_HUB_TOKEN or the file that `hf auth login` wrote. */
  token?: string;
  /** Uses the cache only; else HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE. */
  offline?: boolean;
  /** The cache; else HF_HUB_CACHE and its relatives, as in Python's huggingface_hub. */
  cacheFolder?: string;
  /** Files fetched at once, 1 to 10; 4 when absent. */
  parallel?: number;
  /** Stops the download; what came is kept for the next one. */
  signal?: AbortSignal;
  /** Called as bytes arrive, some ten times a second, and at the end of every file. */
  onProgress?: (progress: HubProgress) => void;
  /** Called with a sentence when something went another way than asked, for example a retry. */
  onWarning?: (message: string) => void;
  /** Stands in for the platform's `fetch`. */
  fetch?: typeof fetch;
  /** Attempts after the first that may fail in a row; 5 when absent. */
  retries?: number;
  /** Wait before the first retry in ms, doubled for each one after it; 1000 when absent. */
  retryDelayMs?: number;
  /** Silence of a connection in ms after which it counts as dropped; 30000 when absent. */
  timeoutMs?: number;
}

/** The names of all {@link HubOptions}, by which others are refused. */
export const HUB_OPTIONS = [
  ...(["revision", "endpoint", "token", "offline", "cacheFolder", "parallel", "signal"] as const),
  ...(["onProgress", "onWarning", "fetch", "retries", "retryDelayMs", "timeoutMs"] as const),
] as const satisfies readonly (keyof HubOptions)[];

/** The options with everything filled in. */
export interface HubSettings {
  revision: string;
  endpoint: string;
  token: string | undefined;
  offline: boolean;
  cacheFolder: string;
  parallel: number;
  retries: number;
  retryDelayMs: number;
  timeoutMs: number;
}

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Fills in the options from the environment, by the rules of Python's huggingface_hub.
 *
 * `readText` gives the text of a file, or undefined when there is none.
 *
 * @throws {ConfigError} `bad-endpoint`, `bad-token` (which does not repeat it), `bad-revision`,
 *   `bad-parallel`.
 */
export async function hubSettings(
  options: HubOptions,
  environment: Environment,
  home: string,
  readText: (path: string) => Promise<string | undefined>,
): Promise<HubSettings> {
  const path = (text: string) => expandPath(text, environment, home);
  const env = (name: string) => environment[name] || undefined;
  const hfHome = path(env("HF_HOME") ?? `${env("XDG_CACHE_HOME") ?? `${home}/.cache`}/huggingface`);
  const cache = env("HF_HUB_CACHE") ?? env("HUGGINGFACE_HUB_CACHE") ?? `${hfHome}/hub`;
  const implicitToken = async () => {
    if (isTrue(env("HF_HUB_DISABLE_IMPLICIT_TOKEN"))) return undefined;
    return (
      env("HF_TOKEN")?.trim() ||
      env("HUGGING_FACE_HUB_TOKEN")?.trim() ||
      (await readText(path(env("HF_TOKEN_PATH") ?? `${hfHome}/token`)))
    );
  };
  return {
    revision: checkRevision(options.revision ?? "main"),
    endpoint: checkEndpoint(options.endpoint ?? env("HF_ENDPOINT") ?? "https://huggingface.co"),
    token: checkToken(options.token ?? (await implicitToken())),
    // As in Python, HF_HUB_OFFLINE=0 hides TRANSFORMERS_OFFLINE.
    offline: options.offline ?? isTrue(env("HF_HUB_OFFLINE") ?? env("TRANSFORMERS_OFFLINE")),
    cacheFolder: options.cacheFolder ?? path(cache),
    parallel: checkParallel(options.parallel ?? 4),
    retries: options.retries ?? 5,
    retryDelayMs: options.retryDelayMs ?? 1000,
    timeoutMs: options.timeoutMs ?? 30_000,
  };
}

function isTrue(value: string | undefined): boolean {
  return /^(1|on|yes|true)$/i.test(value ?? "");
}

/** Replaces a leading ~ and $NAME or ${NAME}; unknown names stay as they are. */
function expandPath(text: string, environment: Environment, home: string): string {
  return text
    .replace(/^~(?=$|[/\\])/, () => home)
    .replace(/\$(?:(\w+)|\{(\w+)\})/g, (all, a, b) => environment[a ?? b] ?? all);
}

/**
 * Checks the address of a Hub and drops its last slash.
 *
 * @throws {ConfigError} `bad-endpoint`.
 */
export function checkEndpoint(endpoint: string): string {
  let url: URL | undefined;
  try {
    url = new URL(endpoint);
  } catch {
    // Reported below.
  }
  const fine = url !== undefined && /^https?:$/.test(url.protocol);
  if (fine && !url!.username && !url!.password && !url!.search && !url!.hash) {
    return endpoint.replace(/\/+$/, "");
  }
  // The address is not repeated: somebody may have put a password into it.
  throw new ConfigError("bad-endpoint", "The Hub's endpoint is no plain http(s) address.", {
    hint: "Set HF_ENDPOINT (or `endpoint`) to an address such as https://huggingface.co.",
  });
}

function checkToken(token: string | undefined): string | undefined {
  const word = token?.trim();
  if (word === undefined || word === "") return undefined;
  // A header with other characters fails in `fetch`, whose message would repeat the token.
  if (/^[\x21-\x7e]+$/.test(word)) return word;
  throw new ConfigError("bad-token", "The Hub's access token holds blanks or odd characters.", {
    hint: "Copy it again from https://huggingface.co/settings/tokens.",
  });
}

function checkParallel(parallel: number): number {
  if (Number.isInteger(parallel) && parallel >= 1 && parallel <= 10) return parallel;
  throw new ConfigError("bad-parallel", `${parallel} files cannot be fetched at once.`, {
    hint: "Choose a whole number from 1 to 10.",
  });
}
