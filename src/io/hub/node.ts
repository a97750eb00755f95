import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { CheckpointError } from "../../core/errors.ts";
import { refuseUnknown } from "../../core/options.ts";
import { exists, makeFolder, readText } from "../node.ts";
import { isUrl, joinPath } from "../path.ts";
import { type ModelCache, type Snapshot, modelCache } from "./cache/node.ts";
import { isCommit, isHubName } from "./name.ts";
import { HUB_OPTIONS, type HubOptions, type HubSettings, hubSettings } from "./options.ts";
import { holdPart } from "./part/node.ts";
import { type ProgressMeter, progressMeter } from "./progress.ts";
import { type RemoteFile, remoteFile, repository } from "./repository.ts";
import type { HubClient } from "./request.ts";
import { transfer } from "./transfer.ts";
import { SMALL_FILES, wantedFiles, wantedShards } from "./wanted.ts";

export { isHubName } from "./name.ts";
export type { HubOptions, HubProgress } from "./options.ts";

const INDEX = "model.safetensors.index.json";

/**
 * Makes a model's files available as a folder.
 *
 * A path that exists and a URL are returned as they are. A name on the Hub ("org/name") is looked up
 * in the cache that Python's huggingface_hub uses; what is missing is downloaded into it, several
 * files at once, each resumed where an earlier download stopped. Only files that aubade reads are
 * fetched. The result is the folder of the snapshot, in which every wanted file is whole.
 *
 * When the Hub fails and the cache has the whole model, that is used, with a warning.
 *
 * @throws {CheckpointError} `missing-folder` (neither a folder nor a name), `not-in-cache`
 *   (offline), `unreachable`, `missing-model`, `missing-revision`, `missing-file`, `gated`,
 *   `unauthorized`, `rate-limited`, `hub-failed`, `wrong-length`, `bad-checksum`, `disk-full`,
 *   `no-permission`, `not-a-model`, `missing-weights`, `bad-index`; the message names the file.
 * @throws {ConfigError} `bad-endpoint`, `bad-token`, `bad-revision`, `bad-parallel`.
 * @example
 * const folder = await modelFolder("Qwen/Qwen2.5-Omni-3B", { onProgress: show });
 */
export async function modelFolder(reference: string, options: HubOptions = {}): Promise<string> {
  refuseUnknown(options, HUB_OPTIONS, "the Hub");
  if (isUrl(reference) || (await exists(reference))) return reference;
  if (!isHubName(reference)) {
    throw new CheckpointError(
      "missing-folder",
      `${reference} is neither a folder nor a name on the Hub.`,
      { hint: 'Name a folder that exists, or a model such as "Qwen/Qwen2.5-Omni-3B".' },
    );
  }
  const settings = await hubSettings(options, process.env, homedir(), (path) =>
    readFile(path, "utf8").catch(() => undefined),
  );
  const cache = modelCache(settings.cacheFolder, reference);
  const kept = await cache.find(settings.revision);
  if (settings.offline) return wholeOrError(reference, settings, kept);
  if (kept?.certain && isCommit(settings.revision)) return kept.folder;
  return fetchModel(reference, settings, options, cache, kept);
}

/** Returns the cached snapshot, or an error that says what it lacks. */
function wholeOrError(name: string, settings: HubSettings, kept: Snapshot | undefined): string {
  if (kept?.missing.length === 0) return kept.folder;
  const lacks =
    kept === undefined
      ? `is not in the cache ${settings.cacheFolder}`
      : `is not whole in the cache: ${kept.folder} lacks ${kept.missing.join(", ")}`;
  throw new CheckpointError(
    "not-in-cache",
    `${name} (revision ${settings.revision}) ${lacks}, and offline mode is on.`,
    {
      hint:
        "Run it once online (unset HF_HUB_OFFLINE and TRANSFORMERS_OFFLINE), or copy the model's " +
        "folder from the cache of another machine.",
    },
  );
}

async function fetchModel(
  name: string,
  settings: HubSettings,
  options: HubOptions,
  cache: ModelCache,
  kept: Snapshot | undefined,
): Promise<string> {
  const warn = options.onWarning ?? (() => {});
  const { signal } = options;
  const client: HubClient = {
    ...settings,
    fetch: options.fetch ?? fetch,
    signal,
    onWarning: warn,
  };
  let found;
  try {
    // With a whole copy at hand, a Hub that cannot be reached is not waited for long.
    const patience = kept?.missing.length === 0 ? { ...client, retries: 1 } : client;
    found = await repository(patience, name, settings.revision);
  } catch (error) {
    signal?.throwIfAborted();
    const known = error instanceof CheckpointError && error.code !== "missing-revision";
    if (!known || kept?.missing.length !== 0) throw error;
    warn(`${error.message} The copy in the cache (commit ${kept.commit}) is used.`);
    return kept.folder;
  }
  const { commit, listing } = found;
  const { small, weights, hasIndex } = wantedFiles(listing, name);
  const meter = progressMeter(options.onProgress, () => performance.now());
  const etags = new Map<string, string>();
  const run = { client, name, commit, cache, meter, parallel: settings.parallel, etags };
  if (hasIndex) {
    await fetchFiles(run, [INDEX]);
    const etag = etags.get(INDEX);
    const path = etag ? joinPath(cache.blobs, etag) : joinPath(cache.folder(commit), INDEX);
    weights.push(...wantedShards(await readText(path), `${INDEX} of ${name}`));
  }
  await fetchFiles(run, [...small.filter((file) => file !== INDEX), ...weights]);
  await settle(run, listing, [...weights, ...small], settings.revision, warn);
  return cache.folder(commit);
}

interface Run {
  client: HubClient;
  name: string;
  commit: string;
  cache: ModelCache;
  meter: ProgressMeter;
  parallel: number;
  /** Blobs of the files that the snapshot does not have yet. */
  etags: Map<string, string>;
}

/** Brings the blobs of files that the snapshot lacks into the cache. */
async function fetchFiles(run: Run, files: readonly string[]): Promise<void> {
  const { client, name, commit, cache, meter, etags } = run;
  const lacking: string[] = [];
  for (const file of files) if (!(await cache.has(commit, file))) lacking.push(file);
  if (lacking.length === 0) return;
  await makeFolder(cache.blobs);
  const described: RemoteFile[] = [];
  await inParallel(run, lacking, async (file, inner) => {
    const remote = await remoteFile(inner, name, commit, file);
    etags.set(file, remote.etag);
    if (await exists(joinPath(cache.blobs, remote.etag))) return;
    meter.expect(file, remote.size);
    described.push(remote);
  });
  // The largest first: the small ones fill the gaps.
  described.sort((a, b) => b.size - a.size || (a.file < b.file ? -1 : 1));
  await inParallel({ ...run, client }, described, (file, inner) => fetchBlob(run, file, inner));
}

/** Fetches one blob, however often its ETag changes within reason. */
async function fetchBlob(run: Run, remote: RemoteFile, client: HubClient): Promise<void> {
  const { name, commit, cache, meter, etags } = run;
  const { file } = remote;
  const purpose = { name, revision: commit, file };
  for (let changes = 0; ; changes++) {
    const part = await holdPart(cache.blobs, remote.etag, client.signal, () =>
      client.onWarning(`${file} of ${name} is being fetched by another process: waiting for it.`),
    );
    if (part === undefined) return meter.set(file, remote.size);
    try {
      const onBytes = (bytes: number) => meter.set(file, bytes);
      if ((await transfer(client, remote, part, purpose, onBytes)) === "done") {
        await part.finish();
        return;
      }
      await part.reset();
    } catch (error) {
      await part.rest();
      throw error;
    }
    await part.rest();
    remote = await remoteFile(client, name, commit, file);
    etags.set(file, remote.etag);
    meter.expect(file, remote.size);
    if (changes < 3) continue;
    throw new CheckpointError("wrong-etag", `${file} of ${name} keeps changing on the server.`, {
      hint: "Try again later.",
    });
  }
}

/**
 * Makes the snapshot: the links in an order in which the model's description is the last, then the
 * revision. Whoever is interrupted before leaves a snapshot that does not look whole.
 */
async function settle(
  { name, commit, cache, etags }: Run,
  listing: readonly string[],
  files: readonly string[],
  revision: string,
  warn: (message: string) => void,
): Promise<void> {
  const optional = [...SMALL_FILES, "adapter_model.safetensors", "model.safetensors"];
  try {
    for (const file of optional.filter((each) => !listing.includes(each))) {
      await cache.noteAbsent(commit, file);
    }
  } catch {
    // A note only saves a question to the Hub; a cache that cannot be written may still be whole.
  }
  for (const file of files) {
    const etag = etags.get(file);
    if (etag !== undefined) await cache.place(commit, file, etag);
  }
  await cache.setRevision(revision, commit).catch((error: Error) => {
    warn(`${name}: the cache cannot note that ${revision} is ${commit}: ${error.message}`);
  });
}

/** Does `work` for all items, several at once; the first failure stops the others and is thrown. */
async function inParallel<T>(
  { client, parallel }: { client: HubClient; parallel: number },
  items: readonly T[],
  work: (item: T, client: HubClient) => Promise<void>,
): Promise<void> {
  const stop = new AbortController();
  const outer = () => stop.abort(client.signal?.reason);
  client.signal?.throwIfAborted();
  client.signal?.addEventListener("abort", outer);
  const queue = [...items];
  let failure: { error: unknown } | undefined;
  const worker = async () => {
    for (let item = queue.shift(); item !== undefined; item = queue.shift()) {
      try {
        await work(item, { ...client, signal: stop.signal });
      } catch (error) {
        failure ??= { error };
        stop.abort(error);
        return;
      }
    }
  };
  try {
    await Promise.all(Array.from({ length: Math.min(parallel, items.length) }, worker));
  } finally {
    client.signal?.removeEventListener("abort", outer);
  }
  if (failure !== undefined) throw failure.error;
}
