import { CheckpointError } from "../../core/errors.ts";
import { quoted } from "../../core/quoted.ts";

/** The purpose of a request, to say so in errors. */
export interface Purpose {
  /** Name of the model, "org/name". */
  name: string;
  /** Revision as the user knows it. */
  revision: string;
  /** File, when it is about one. */
  file?: string;
}

/** Names what a request was for: "org/name" or "model.safetensors of org/name". */
export function subject({ name, file }: Purpose): string {
  return file === undefined ? name : `${file} of ${name}`;
}

/** Takes the token out of a text from outside, and what is not printable ASCII. */
export function redact(text: string, token: string | undefined): string {
  const clean = token === undefined ? text : text.replaceAll(token, "<token>");
  return clean.replace(/[^\x20-\x7e]+/g, " ").slice(0, 300);
}

/**
 * Copies the messages of an error and of its causes, without the token.
 *
 * The errors of `fetch` and of what stands in for it may hold on to a request with its headers, so
 * they themselves are never passed on.
 */
export function safeCause(cause: unknown, token: string | undefined): Error {
  const said: string[] = [];
  for (let error = cause, depth = 0; error && depth < 4; depth++) {
    const { message, code, cause: below } = error as Error & { code?: unknown };
    const text = [typeof error === "string" ? error : message, code].filter(
      (part) => typeof part === "string",
    );
    said.push(text.join(" ").trim());
    error = below;
  }
  return new Error(redact(said.filter((text) => text !== "").join(": "), token));
}

/** Returns the error of a server that did not answer, or stopped answering. */
export function unreachable(
  purpose: Purpose,
  host: string,
  cause: unknown,
  token: string | undefined,
): CheckpointError {
  const below = safeCause(cause, token);
  return new CheckpointError(
    "unreachable",
    `${subject(purpose)}: ${host} cannot be reached (${below.message}).`,
    {
      hint: "Check the connection, and HF_ENDPOINT if it is set; what came so far is kept.",
      cause: below,
    },
  );
}

/** Turns the status of an answer into an error that says who must do what. */
export function statusError(
  purpose: Purpose,
  endpoint: string,
  host: string,
  response: Response,
  token: string | undefined,
): CheckpointError {
  const { status, headers } = response;
  const kind = headers.get("x-error-code") ?? "";
  const said = redact(headers.get("x-error-message") ?? "", token);
  const answered = `${host} answered ${status}${said && `, ${quoted(said)}`}`;
  const page = `${endpoint}/${purpose.name}`;
  const what = subject(purpose);
  const failed = (code: string, message: string, hint: string) =>
    new CheckpointError(code, message, { hint });
  if (host !== new URL(endpoint).host) {
    return failed("refused", `${what}: ${answered}.`, "Try again; download links expire.");
  }
  if (kind === "RevisionNotFound") {
    const message = `${purpose.name} has no revision ${quoted(purpose.revision)} (${answered}).`;
    return failed("missing-revision", message, `See its branches and tags at ${page}/tree/main.`);
  }
  if (kind === "EntryNotFound" || (status === 404 && purpose.file !== undefined)) {
    const message = `${what} is not there at revision ${purpose.revision} (${answered}).`;
    return failed("missing-file", message, `See its files at ${page}/tree/main.`);
  }
  if (status === 401 || status === 403) {
    if (kind === "GatedRepo" || status === 403) {
      return failed(
        "gated",
        `${what} is gated or private (${answered}).`,
        token === undefined
          ? `Accept its licence at ${page}, then log in: set HF_TOKEN or run "hf auth login".`
          : `Accept its licence at ${page} with the account of this token, or use another token.`,
      );
    }
    return failed(
      "unauthorized",
      `${what} does not exist, is private, or needs an accepted licence (${answered}).`,
      token === undefined
        ? `Check the name, accept the licence at ${page}, and log in: set HF_TOKEN or run ` +
            `"hf auth login".`
        : `Check the name, accept the licence at ${page}, and check that the token is valid.`,
    );
  }
  if (status === 404) {
    const hint = `Check the name; if it is private, log in: set HF_TOKEN or run "hf auth login".`;
    return failed("missing-model", `There is no model ${what} (${answered}).`, hint);
  }
  if (status === 429) {
    const hint = "Wait some minutes; with a token (HF_TOKEN) the Hub allows more.";
    return failed("rate-limited", `${what}: too many requests (${answered}).`, hint);
  }
  if (status >= 500) return failed("hub-failed", `${what}: ${answered}.`, "Try again later.");
  return failed("refused", `${what}: ${answered}.`, `Check the model at ${page}.`);
}
