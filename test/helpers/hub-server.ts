import { createHash } from "node:crypto";
import { type IncomingMessage, type Server, type ServerResponse, createServer } from "node:http";
import type { AddressInfo } from "node:net";

/** How an answer is spoilt. Lengths are of the body that this answer would have. */
export type Fault =
  | { kind: "drop"; after: number }
  | { kind: "status"; status: number; retryAfter?: string; code?: string; message?: string }
  | { kind: "short"; by: number }
  | { kind: "long"; by: number }
  | { kind: "end"; after: number; ranges?: boolean }
  | { kind: "ignore-range" }
  | { kind: "other-bytes" }
  | { kind: "other-etag"; etag: string }
  | { kind: "slow"; chunk: number; everyMs: number }
  | { kind: "hang" }
  | { kind: "no-etag" }
  | { kind: "elsewhere"; location: string };

/** A fault, and the requests that it befalls. */
export interface FaultRule {
  /** Which of the two servers; both when absent. */
  host?: "hub" | "cdn";
  method?: "GET" | "HEAD";
  /** Requests whose path matches. */
  path: RegExp;
  /** How many requests it befalls; all when absent. */
  times?: number;
  fault: Fault;
}

/** One request that a server got. */
export interface SeenRequest {
  host: "hub" | "cdn";
  method: string;
  path: string;
  range: string | undefined;
  ifRange: string | undefined;
  authorization: string | undefined;
  encoding: string | undefined;
}

/** A model that the server has; `lfs` files are served by the second host. */
export interface HubModel {
  name: string;
  commit: string;
  branches: Record<string, string>;
  files: Record<string, { content: Uint8Array; lfs: boolean }>;
  /** Token without which it is not shown. */
  gatedFor?: string;
  /** Name that it has had before, which redirects. */
  formerName?: string;
}

/** A Hub on this machine, with a second host that serves large files. */
export interface HubServer {
  endpoint: string;
  cdn: string;
  requests: SeenRequest[];
  faults: FaultRule[];
  models: HubModel[];
  /** Requests for content: GET of files, on either host, without those that redirect. */
  downloads(): SeenRequest[];
  close(): Promise<void>;
}

/** The ETag that the Hub gives a file: SHA-256 in LFS, else the hash of the git blob. */
export function etagOf(content: Uint8Array, lfs: boolean): string {
  if (lfs) return createHash("sha256").update(content).digest("hex");
  return createHash("sha1").update(`blob ${content.length}\0`).update(content).digest("hex");
}

/** Starts the two servers; they speak what huggingface_hub and @huggingface/hub need of the Hub. */
export async function startHub(models: HubModel[]): Promise<HubServer> {
  const requests: SeenRequest[] = [];
  const faults: FaultRule[] = [];
  const listen = async (host: "hub" | "cdn", answer: Answerer): Promise<[Server, string]> => {
    const server = createServer((request, response) => {
      const { url, method, headers } = request;
      const path = decodeURIComponent(url!.replace(/\?.*$/, ""));
      requests.push({
        host,
        method: method!,
        path,
        range: headers.range,
        ifRange: headers["if-range"] as string | undefined,
        authorization: headers.authorization,
        encoding: headers["accept-encoding"] as string | undefined,
      });
      const rule = faults.find(
        (each) =>
          (each.host ?? host) === host &&
          (each.method ?? method) === method &&
          each.path.test(path) &&
          (each.times ?? 1) > 0,
      );
      if (rule?.times !== undefined) rule.times--;
      const fault = rule?.fault;
      if (fault?.kind === "hang") return;
      if (fault?.kind === "elsewhere") {
        response.writeHead(302, { location: fault.location }).end();
        return;
      }
      if (fault?.kind === "status") return refuse(response, fault);
      answer(request, response, path, fault);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return [server, `http://127.0.0.1:${(server.address() as AddressInfo).port}`];
  };
  let cdn = "";
  const [hubServer, endpoint] = await listen("hub", (request, response, path, fault) =>
    answerHub(models, cdn, request, response, path, fault),
  );
  const [cdnServer, cdnAddress] = await listen("cdn", (request, response, path, fault) => {
    const hash = path.replace("/blobs/", "");
    const content = models
      .flatMap(({ files }) => Object.values(files))
      .find((file) => file.lfs && etagOf(file.content, true) === hash)?.content;
    if (content === undefined) return refuse(response, { status: 403 });
    // S3 has ETags of its own, which say nothing about the Hub's.
    sendContent(request, response, content, { etag: `"cdn-${hash.slice(0, 12)}"` }, fault);
  });
  cdn = cdnAddress;
  return {
    endpoint,
    cdn,
    requests,
    faults,
    models,
    downloads: () =>
      requests.filter(
        ({ host, method, path }) =>
          method === "GET" && (host === "cdn" || path.startsWith("/api/resolve-cache/")),
      ),
    async close() {
      for (const server of [hubServer, cdnServer]) {
        server.closeAllConnections();
        await new Promise((resolve) => server.close(resolve));
      }
    },
  };
}

type Answerer = (
  request: IncomingMessage,
  response: ServerResponse,
  path: string,
  fault: Fault | undefined,
) => void;

function refuse(
  response: ServerResponse,
  { status, code, message, retryAfter }: Omit<Fault & { kind: "status" }, "kind">,
): void {
  const headers: Record<string, string> = {};
  if (code !== undefined) headers["x-error-code"] = code;
  if (message !== undefined) headers["x-error-message"] = message;
  if (retryAfter !== undefined) headers["retry-after"] = retryAfter;
  response.writeHead(status, headers).end();
}

function answerHub(
  models: HubModel[],
  cdn: string,
  request: IncomingMessage,
  response: ServerResponse,
  path: string,
  fault: Fault | undefined,
): void {
  // Percent signs in a revision have been taken out: "refs/pr/1" arrives with its slashes.
  const api = /^\/api\/models\/([^/]+\/[^/]+)(?:\/(revision|tree)\/(.+))?$/.exec(path);
  const cached = /^\/api\/resolve-cache\/models\/([^/]+\/[^/]+)\/([0-9a-f]{40})\/(.+)$/.exec(path);
  const resolve = /^\/([^/]+\/[^/]+)\/resolve\/(.+)\/([^/]+)$/.exec(path);
  const name = (cached ?? resolve ?? api)?.[1];
  const former = models.find((model) => model.formerName === name);
  if (former !== undefined) {
    response.writeHead(307, { location: request.url!.replace(name!, former.name) }).end();
    return;
  }
  const model = models.find((each) => each.name === name);
  const missing = { status: 404, code: "RepoNotFound", message: "Repository not found" };
  // Without a token the Hub does not say whether a model exists.
  if (model === undefined) {
    const known = request.headers.authorization !== undefined;
    const message = "Invalid username or password.";
    return refuse(response, known ? missing : { ...missing, status: 401, message });
  }
  const gate = model.gatedFor;
  if (gate !== undefined && request.headers.authorization !== `Bearer ${gate}` && !api) {
    const message = `Access to model ${model.name} is restricted.`;
    const status = request.headers.authorization === undefined ? 401 : 403;
    return refuse(response, { status, code: "GatedRepo", message });
  }
  const revision = (cached ?? resolve)?.[2] ?? api![3] ?? "main";
  const commit = revision === model.commit ? revision : model.branches[revision];
  if (commit !== model.commit) {
    const message = `Invalid rev id: ${revision}`;
    return refuse(response, { status: 404, code: "RevisionNotFound", message });
  }
  if (api) {
    const entries = Object.entries(model.files);
    const answer =
      api[2] === "tree"
        ? entries.map(([file, { content, lfs }]) => ({
            type: "file",
            path: file,
            size: content.length,
            oid: etagOf(content, false),
            ...(lfs && {
              lfs: { oid: etagOf(content, true), size: content.length, pointerSize: 134 },
            }),
          }))
        : {
            _id: "0123456789abcdef01234567",
            id: model.name,
            modelId: model.name,
            sha: commit,
            private: false,
            gated: gate === undefined ? false : "auto",
            downloads: 0,
            likes: 0,
            lastModified: "2026-01-01T00:00:00.000Z",
            tags: [],
            siblings: entries.map(([file]) => ({ rfilename: file })),
          };
    const text = Buffer.from(JSON.stringify(answer));
    return sendContent(request, response, text, { "content-type": "application/json" }, fault);
  }
  const file = (cached ?? resolve)![3]!;
  const entry = Object.hasOwn(model.files, file) ? model.files[file]! : undefined;
  if (entry === undefined) {
    response.setHeader("x-repo-commit", commit);
    return refuse(response, { status: 404, code: "EntryNotFound", message: "Entry not found" });
  }
  const changed = fault?.kind === "other-etag" ? fault.etag : undefined;
  const etag = `"${changed ?? etagOf(entry.content, entry.lfs)}"`;
  const linked = fault?.kind === "no-etag" ? {} : { "x-linked-etag": etag };
  const size = String(entry.content.length);
  if (entry.lfs) {
    const location = `${cdn}/blobs/${etagOf(entry.content, true)}?Signature=s3cr3t`;
    response.writeHead(302, {
      "x-repo-commit": commit,
      "x-linked-size": size,
      ...linked,
      location,
      "content-type": "text/plain",
    });
    response.end(`Found. Redirecting to ${location}`);
  } else if (resolve && !cached) {
    const location = `/api/resolve-cache/models/${model.name}/${commit}/${encodeURIComponent(file)}`;
    response.writeHead(307, {
      "x-repo-commit": commit,
      "x-linked-size": size,
      ...linked,
      location,
    });
    response.end(`Temporary Redirect. Redirecting to ${location}`);
  } else {
    sendContent(request, response, entry.content, { etag, "x-repo-commit": commit }, fault);
  }
}

/** Sends a body, or the range of it that was asked for, with the fault. */
function sendContent(
  request: IncomingMessage,
  response: ServerResponse,
  whole: Uint8Array,
  headers: Record<string, string>,
  fault: Fault | undefined,
): void {
  const etag = headers.etag;
  const ifRange = request.headers["if-range"] as string | undefined;
  const asked = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? "");
  const deaf = fault?.kind === "ignore-range" || (fault?.kind === "end" && fault.ranges === false);
  const ranged = asked !== null && !deaf && (ifRange === undefined || ifRange === etag);
  const start = ranged ? Number(asked[1]) : 0;
  const end = ranged && asked[2] !== "" ? Number(asked[2]) : whole.length - 1;
  if (ranged && start >= whole.length) {
    response.writeHead(416, { "content-range": `bytes */${whole.length}` }).end();
    return;
  }
  let body = whole.subarray(start, end + 1);
  if (fault?.kind === "short") body = body.subarray(0, body.length - fault.by);
  if (fault?.kind === "long") body = Buffer.concat([body, new Uint8Array(fault.by)]);
  if (fault?.kind === "other-bytes") body = body.map((byte) => byte ^ 255);
  response.writeHead(ranged ? 206 : 200, {
    ...headers,
    "accept-ranges": "bytes",
    // A body without a told length ends where the connection does.
    ...(fault?.kind !== "end" && { "content-length": String(body.length) }),
    ...(ranged && { "content-range": `bytes ${start}-${end}/${whole.length}` }),
  });
  if (request.method === "HEAD") response.end();
  else if (fault?.kind === "end") response.end(body.subarray(0, fault.after));
  else if (fault?.kind === "drop") {
    response.write(body.subarray(0, fault.after), () => {
      // Let the bytes leave before the connection breaks.
      setTimeout(() => response.destroy(), 20);
    });
  } else if (fault?.kind === "slow") drip(response, body, fault.chunk, fault.everyMs);
  else response.end(body);
}

function drip(response: ServerResponse, body: Uint8Array, chunk: number, everyMs: number): void {
  let at = 0;
  const timer = setInterval(() => {
    if (at >= body.length || response.destroyed) {
      clearInterval(timer);
      response.end();
      return;
    }
    response.write(body.subarray(at, at + chunk));
    at += chunk;
  }, everyMs);
}
