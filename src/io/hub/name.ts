import { CheckpointError, ConfigError } from "../../core/errors.ts";
import { quoted } from "../../core/quoted.ts";
import { redact } from "./failure.ts";
import { baseName } from "../path.ts";

/**
 * Says whether a model reference has the form of a name on the Hub ("org/name").
 *
 * A local folder may have the same form: who has a file system looks there first.
 */
export function isHubName(reference: string): boolean {
  const parts = reference.split("/");
  return (
    parts.length === 2 &&
    parts.every((part) => /^\w(?:[\w.-]{0,94}\w)?$/.test(part)) &&
    !/--|\.\.|\.git$/.test(reference)
  );
}

/** Returns the folder of a model in the Python cache: "models--org--name". */
export function cacheFolderName(name: string): string {
  return ["models", ...name.split("/")].join("--");
}

/** Says whether a revision is a full commit hash, which never comes to mean other files. */
export function isCommit(revision: string): boolean {
  return /^[0-9a-f]{40}$/.test(revision);
}

/**
 * Checks a revision that the user named: a branch, a tag, "refs/pr/1" or a commit.
 *
 * @throws {ConfigError} `bad-revision`: it becomes a path below refs/, and must not leave it.
 */
export function checkRevision(revision: string): string {
  const parts = revision.split("/");
  const fine = parts.every((part) => /^[\w@+=,%#~-][\w.@+=,%#~-]*$/.test(part));
  if (fine && !revision.includes("..")) return revision;
  throw new ConfigError("bad-revision", `${quoted(revision)} is no revision of a model.`, {
    hint: 'Name a branch, a tag or a commit, for example "main".',
  });
}

/** Address of a file of a model at a commit, branch or tag. */
export function fileUrl(endpoint: string, name: string, revision: string, file = ""): string {
  const path = file.split("/").map(encodeURIComponent).join("/");
  return `${endpoint}/${name}/resolve/${encodeURIComponent(revision)}${path && `/${path}`}`;
}

/**
 * Checks a file name that came from a server: a plain name, so that no path leaves its folder.
 *
 * @throws {CheckpointError} `bad-file-name`.
 */
export function checkFileName(file: unknown, where: string): string {
  const plain = typeof file === "string" && /^\w[\w.+=@ -]*$/.test(file) && baseName(file) === file;
  if (plain && file.length <= 255) return file;
  throw new CheckpointError(
    "bad-file-name",
    `${where} names the file ${quoted(file)}, which is no plain file name.`,
    { hint: "Do not use this repository, or tell its owner." },
  );
}

/**
 * Takes an ETag header apart; it becomes the name of a blob, so it must be a plain word, and not the
 * token that the server was sent.
 *
 * @throws {CheckpointError} `bad-etag` when it is absent or no plain word.
 */
export function blobName(etag: string | null, where: string, token: string | undefined): string {
  const word = etag?.replace(/^W\//, "").replace(/^"|"$/g, "") ?? "";
  const echoed = token !== undefined && etag?.includes(token) === true;
  if (!echoed && /^\w[\w-]{0,127}$/.test(word)) return word;
  const said = etag === null ? "no ETag" : `the ETag ${quoted(redact(etag, token))}`;
  throw new CheckpointError("bad-etag", `The server sent ${said} for ${where}.`, {
    hint: "Check HF_ENDPOINT: this does not look like the Hub, or a proxy changes its answers.",
  });
}
