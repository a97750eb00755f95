import { CheckpointError } from "../../core/errors.ts";
import { redact } from "./failure.ts";
import { blobName, fileUrl, isCommit } from "./name.ts";
import { type HubClient, ask, guardedFetch, nonsense } from "./request.ts";

/** A model at a revision: which commit that is, and which files it has. */
export interface Repository {
  /** Commit, 40 hex digits. */
  commit: string;
  /** Names of the files, as the server said them. */
  listing: string[];
}

/**
 * Asks the Hub which commit a revision is and which files it has.
 *
 * @throws {CheckpointError} `unreachable`, `missing-model`, `missing-revision`, `gated`,
 *   `unauthorized`, `rate-limited`, `hub-failed`, `refused`, `not-the-hub`.
 */
export async function repository(
  client: HubClient,
  name: string,
  revision: string,
): Promise<Repository> {
  const purpose = { name, revision };
  // Loaded here: who has the model in the cache does not pay for the client.
  const { modelInfo } = await import("@huggingface/hub");
  try {
    // The token is not handed over: our fetch adds it, for the Hub's own address only.
    const { sha, filePaths } = await modelInfo({
      name,
      revision,
      hubUrl: client.endpoint,
      additionalFields: ["sha", "filePaths"],
      fetch: guardedFetch(client, purpose),
    });
    if (typeof sha !== "string" || !isCommit(sha) || !Array.isArray(filePaths)) {
      throw nonsense(purpose, "the answer has no commit or no list of files");
    }
    return { commit: sha, listing: filePaths.filter((file) => typeof file === "string") };
  } catch (cause) {
    if (cause instanceof CheckpointError || client.signal?.aborted) throw cause;
    const said = redact((cause as Error).message ?? "", client.token);
    throw nonsense(purpose, `the answer cannot be read (${said})`);
  }
}

/** A file of a model at a commit, as the Hub describes it. */
export interface RemoteFile {
  readonly file: string;
  /** Name of its blob in the cache: the ETag without quotes. */
  readonly etag: string;
  /** Length in bytes. */
  readonly size: number;
  /** Hash of the content in hex, known for files in LFS or Xet, whose ETag it is. */
  readonly sha256: string | undefined;
  /** Address at the Hub. */
  readonly url: string;
}

/**
 * Asks the Hub for the length and the ETag of a file, with HEAD and without leaving the Hub.
 *
 * @throws {CheckpointError} as {@link repository}, and `missing-file`, `bad-etag`.
 */
export async function remoteFile(
  client: HubClient,
  name: string,
  commit: string,
  file: string,
): Promise<RemoteFile> {
  const purpose = { name, revision: commit, file };
  const url = fileUrl(client.endpoint, name, commit, file);
  const answer = await ask(client, url, { method: "HEAD", leave: false }, purpose);
  answer.end();
  const { hub } = answer;
  const said = hub.get("x-repo-commit");
  if (said !== null && said !== commit) {
    throw nonsense(
      purpose,
      `asked for at ${commit}, but answered at ${redact(said, client.token).slice(0, 40)}`,
    );
  }
  const etag = blobName(answer.etag, `${file} of ${name}`, client.token);
  // The length of a redirect that leaves the Hub is the length of its own text.
  const plain = answer.response.ok ? hub.get("content-length") : null;
  const size = Number(hub.get("x-linked-size") ?? plain ?? NaN);
  if (!Number.isSafeInteger(size) || size < 0) throw nonsense(purpose, "the length is not told");
  return { file, etag, size, sha256: /^[0-9a-f]{64}$/.test(etag) ? etag : undefined, url };
}
