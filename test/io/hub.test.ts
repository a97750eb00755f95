import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { createHash } from "node:crypto";
import {
  chmod,
  lstat,
  mkdir,
  mkdtemp,
  readFile,
  readdir,
  readlink,
  rm,
  stat,
  symlink,
  unlink,
  utimes,
  writeFile,
} from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { AubadeError, CheckpointError } from "../../src/core/errors.ts";
import { placeBlob } from "../../src/io/hub/cache/node.ts";
import { type HubOptions, type HubProgress, modelFolder } from "../../src/io/hub/node.ts";
import * as web from "../../src/io/hub/web.ts";
import { ROOT } from "../../src/cli/package.ts";
import { type Fault, type HubServer, etagOf, startHub } from "../helpers/hub-server.ts";

const NAME = "org/tiny-Model.1";
const FOLDER = "models--org--tiny-Model.1";
const COMMIT = "0123456789abcdef0123456789abcdef01234567";
const TOKEN = "hf_averysecrettokenindeed";
const text = (value: unknown) => Buffer.from(JSON.stringify(value));
const noise = (length: number, seed: number) =>
  Uint8Array.from({ length }, (_, i) => (i * i * 31 + i * 7 + seed) >>> 3);

const SHARDS = [noise(300_000, 1), noise(200_000, 2), noise(100_000, 3)];
const shard = (at: number) => `model-0000${at + 1}-of-00003.safetensors`;
const FILES: Record<string, { content: Uint8Array; lfs: boolean }> = {
  ".gitattributes": { content: text("x"), lfs: false },
  "README.md": { content: text("readme"), lfs: false },
  "config.json": { content: text({ model_type: "tiny" }), lfs: false },
  "generation_config.json": { content: text({}), lfs: false },
  "tokenizer.json": { content: noise(50_000, 9), lfs: true },
  "tokenizer_config.json": { content: Buffer.alloc(0), lfs: false },
  "pytorch_model.bin": { content: noise(10, 4), lfs: true },
  "model.safetensors.index.json": {
    content: text({
      weight_map: {
        "thinker.a": shard(0),
        "thinker.b": shard(1),
        "talker.a": shard(1),
        "talker.b": shard(2),
        "token2wav.a": shard(2),
      },
    }),
    lfs: false,
  },
  ...Object.fromEntries(SHARDS.map((content, at) => [shard(at), { content, lfs: true }])),
};
const WANTED = [
  "config.json",
  "generation_config.json",
  shard(0),
  shard(1),
  "model.safetensors.index.json",
  "tokenizer.json",
  "tokenizer_config.json",
];

let hub: HubServer;
let cache: string;
let root: string;
let warnings: string[];
const said: string[] = [];

beforeAll(async () => {
  hub = await startHub([]);
  for (const method of ["log", "warn", "error", "info", "debug"] as const) {
    vi.spyOn(console, method).mockImplementation((...parts) => void said.push(inspect(parts)));
  }
  for (const name of Object.keys(process.env)) if (/^HF_|^HUGG/.test(name)) vi.stubEnv(name, "");
  vi.stubEnv("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1");
});
afterAll(async () => {
  await hub.close();
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
});
beforeEach(async () => {
  cache = await mkdtemp(join(tmpdir(), "aubade-hub-"));
  root = join(cache, FOLDER);
  warnings = [];
  hub.requests.length = 0;
  hub.faults.length = 0;
  hub.models.splice(0, hub.models.length, {
    name: NAME,
    commit: COMMIT,
    branches: { main: COMMIT, "refs/pr/1": COMMIT },
    files: { ...FILES },
  });
});
afterEach(async () => {
  // No request to another host, and no console line, ever has the token.
  for (const { host, authorization } of hub.requests) {
    if (host === "cdn") expect(authorization).toBeUndefined();
  }
  expect(said.join()).not.toContain(TOKEN);
  expect(warnings.join()).not.toContain(TOKEN);
  await rm(cache, { recursive: true, force: true });
});

const options = (more: HubOptions = {}): HubOptions => ({
  endpoint: hub.endpoint,
  cacheFolder: cache,
  token: TOKEN,
  retryDelayMs: 1,
  retries: 3,
  onWarning: (message) => warnings.push(message),
  ...more,
});
const get = (more?: HubOptions) => modelFolder(NAME, options(more));
const fault = (path: RegExp, what: Fault, times?: number, host?: "hub" | "cdn") => {
  hub.faults.push({
    path,
    fault: what,
    ...(times && { times }),
    ...(host && { host }),
    method: "GET",
  });
};
const blobOf = (file: string) =>
  join(root, "blobs", etagOf(FILES[file]!.content, FILES[file]!.lfs));
const there = (path: string) =>
  stat(path).then(
    () => true,
    () => false,
  );

/** Name of a part that a process left which is no more. */
function deadPart(blob: string): string {
  const host = createHash("sha256").update(hostname()).digest("hex").slice(0, 8);
  return `${blob}.${host}-99999999-01234567.incomplete`;
}

async function failure(work: Promise<unknown>): Promise<AubadeError> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(AubadeError);
  expect(inspect(error, { depth: 20, showHidden: true })).not.toContain(TOKEN);
  expect(inspect(error, { depth: 20 })).not.toContain("s3cr3t");
  return error as AubadeError;
}

async function expectWhole(folder: string): Promise<void> {
  expect((await readdir(folder)).sort()).toEqual([...WANTED].sort());
  for (const file of WANTED) {
    expect((await readFile(join(folder, file))).equals(FILES[file]!.content), file).toBe(true);
  }
  const left = (await readdir(join(root, "blobs"))).filter((name) => !/^[0-9a-f]+$/.test(name));
  expect(left).toEqual([]);
}

/** Checks that an interrupted download left nothing that offline mode takes for whole. */
async function expectNotWhole(): Promise<void> {
  const error = await failure(get({ offline: true }));
  expect(error.code).toBe("not-in-cache");
}

describe("a download", () => {
  it("makes the layout of huggingface_hub, with the wanted files only", async () => {
    const folder = await get();
    expect(folder).toBe(join(root, "snapshots", COMMIT));
    await expectWhole(folder);
    expect(await readFile(join(root, "refs", "main"), "utf8")).toBe(COMMIT);
    expect((await readdir(root)).sort()).toEqual([".no_exist", "blobs", "refs", "snapshots"]);
    for (const file of WANTED) {
      const etag = etagOf(FILES[file]!.content, FILES[file]!.lfs);
      expect(await readlink(join(folder, file))).toBe(`../../blobs/${etag}`);
      expect((await lstat(join(root, "blobs", etag))).isFile()).toBe(true);
    }
    expect((await readdir(join(root, ".no_exist", COMMIT))).includes("vocab.json")).toBe(true);
    expect(warnings).toEqual([]);
  });

  it("asks once for the commit, and for files by commit; a second call fetches nothing", async () => {
    await get();
    const api = hub.requests.filter(({ path }) => path.startsWith("/api/models/"));
    expect(api.map(({ path }) => path)).toEqual([`/api/models/${NAME}/revision/main`]);
    const files = hub.requests.filter(({ path }) => path.includes("/resolve/"));
    expect(files.every(({ path }) => path.includes(`/resolve/${COMMIT}/`))).toBe(true);
    expect(hub.requests.every(({ encoding }) => encoding === "identity")).toBe(true);
    hub.requests.length = 0;
    await get();
    expect(hub.requests.length).toBe(1);
    expect(await get({ revision: COMMIT })).toBe(join(root, "snapshots", COMMIT));
    expect(hub.requests.length).toBe(1);
  });

  it("sends the token to the Hub only", async () => {
    hub.models[0]!.gatedFor = TOKEN;
    await expectWhole(await get());
    const cdn = hub.requests.filter(({ host }) => host === "cdn");
    expect(cdn.length).toBe(3);
    expect(cdn.every(({ authorization }) => authorization === undefined)).toBe(true);
    const own = hub.requests.filter(({ host }) => host === "hub");
    expect(own.every(({ authorization }) => authorization === `Bearer ${TOKEN}`)).toBe(true);
  });

  it("does not send the token again once a redirect has left the Hub", async () => {
    const back = `${hub.endpoint}/back`;
    fault(/blobs/, { kind: "elsewhere", location: back }, undefined, "cdn");
    await failure(get({ retries: 0 }));
    const returned = hub.requests.filter(({ path }) => path === "/back");
    expect(returned.length).toBeGreaterThan(0);
    expect(returned.every(({ authorization }) => authorization === undefined)).toBe(true);
  });

  it("follows a model to its new name", async () => {
    hub.models[0]!.formerName = "org/old";
    const folder = await modelFolder("org/old", options());
    expect(folder).toBe(join(cache, "models--org--old", "snapshots", COMMIT));
    expect(await readFile(join(folder, "config.json"), "utf8")).toContain("tiny");
  });

  it("keeps a revision with slashes as Python does", async () => {
    await get({ revision: "refs/pr/1" });
    expect(await readFile(join(root, "refs", "refs", "pr", "1"), "utf8")).toBe(COMMIT);
    expect(await get({ revision: "refs/pr/1", offline: true })).toContain(COMMIT);
  });

  it("takes one file of weights, or an adapter", async () => {
    const content = noise(1000, 5);
    hub.models[0]!.files = {
      "config.json": FILES["config.json"]!,
      "model.safetensors": { content, lfs: true },
    };
    expect((await readdir(await get())).sort()).toEqual(["config.json", "model.safetensors"]);
    // No tokenizer is known to be there, so none is missing.
    expect(await get({ offline: true })).toContain(COMMIT);
    hub.models[0] = {
      ...hub.models[0]!,
      name: "org/adapter",
      files: {
        "adapter_config.json": { content: text({ r: 8 }), lfs: false },
        "adapter_model.safetensors": { content, lfs: true },
        "optimizer.pt": { content, lfs: true },
      },
    };
    const adapter = await modelFolder("org/adapter", options());
    expect((await readdir(adapter)).sort()).toEqual([
      "adapter_config.json",
      "adapter_model.safetensors",
    ]);
    expect(await modelFolder("org/adapter", options({ offline: true }))).toBe(adapter);
  });

  it("reports progress that ends at the sum of the files", async () => {
    const seen: HubProgress[] = [];
    fault(/blobs/, { kind: "drop", after: 50_000 }, 1, "cdn");
    await get({ onProgress: (progress) => seen.push(progress) });
    const total = WANTED.reduce((sum, file) => sum + FILES[file]!.content.length, 0);
    expect(seen.at(-1)).toMatchObject({ bytes: total, total, files: WANTED.length });
    for (const { fileBytes, fileTotal, bytes, total: all, bytesPerSecond } of seen) {
      expect(fileBytes).toBeLessThanOrEqual(fileTotal);
      expect(bytes).toBeLessThanOrEqual(all);
      expect(Number.isFinite(bytesPerSecond) && bytesPerSecond >= 0).toBe(true);
    }
    expect(Math.max(...seen.map(({ bytesPerSecond }) => bytesPerSecond))).toBeGreaterThan(0);
  });

  it("fetches several files at once, and no more than asked", async () => {
    for (const [parallel, expected] of [
      [1, 1],
      [3, 3],
    ] as const) {
      await rm(root, { recursive: true, force: true });
      let now = 0;
      let most = 0;
      const counting: typeof fetch = async (input, init) => {
        most = Math.max(most, ++now);
        await new Promise((resolve) => setTimeout(resolve, 10));
        try {
          return await fetch(input, init);
        } finally {
          now--;
        }
      };
      await expectWhole(await get({ parallel, fetch: counting }));
      expect(most).toBe(expected);
    }
  });

  it("leaves a local folder and a URL as they are", async () => {
    expect(await modelFolder(cache, options())).toBe(cache);
    expect(await modelFolder("https://host/model", options())).toBe("https://host/model");
    expect((await failure(modelFolder("./no/such/folder", options()))).code).toBe("missing-folder");
    expect(hub.requests).toEqual([]);
  });

  it("takes a blob that another revision brought", async () => {
    await get();
    const next = "f".repeat(40);
    const config = { content: text({ model_type: "next" }), lfs: false };
    hub.models[0] = {
      ...hub.models[0]!,
      commit: next,
      branches: { main: next },
      files: { ...FILES, "config.json": config },
    };
    hub.requests.length = 0;
    const folder = await get();
    expect(folder).toBe(join(root, "snapshots", next));
    expect(hub.downloads().map(({ path }) => path)).toEqual([
      `/api/resolve-cache/models/${NAME}/${next}/config.json`,
    ]);
    expect((await readdir(folder)).length).toBe(WANTED.length);
    expect(await readFile(join(root, "refs", "main"), "utf8")).toBe(next);
    expect(await readFile(join(root, "snapshots", COMMIT, "config.json"), "utf8")).toContain(
      "tiny",
    );
  });
});

describe("a connection that fails", () => {
  it("is resumed at the byte that was reached", async () => {
    fault(/blobs/, { kind: "drop", after: 60_000 }, 4, "cdn");
    await expectWhole(await get({ parallel: 1 }));
    const resumed = hub.downloads().filter(({ range }) => range !== undefined);
    expect(resumed.length).toBe(4);
    expect(resumed[0]).toMatchObject({ range: "bytes=60000-", ifRange: expect.any(String) });
    expect(warnings.length).toBe(4);
  });

  it("is resumed by the next run", async () => {
    // The first answer breaks, and no other comes.
    fault(/blobs/, { kind: "drop", after: 90_000 }, 1, "cdn");
    fault(/blobs/, { kind: "status", status: 503 }, 3, "cdn");
    const error = await failure(get({ parallel: 1, retries: 1 }));
    expect(error.code).toBe("refused");
    expect(error.message).toContain(shard(0));
    await expectNotWhole();
    expect((await stat(`${blobOf(shard(0))}.incomplete`)).size).toBe(90_000);
    hub.faults.length = 0;
    hub.requests.length = 0;
    await expectWhole(await get());
    expect(hub.downloads().map(({ range }) => range)).toContain("bytes=90000-");
  });

  it("is resumed after Python has been interrupted", async () => {
    await mkdir(join(root, "blobs"), { recursive: true });
    const path = `${blobOf(shard(0))}.incomplete`;
    await writeFile(path, SHARDS[0]!.subarray(0, 123_456));
    const old = new Date(Date.now() - 120_000);
    await utimes(path, old, old);
    await expectWhole(await get());
    expect(hub.downloads().map(({ range }) => range)).toContain("bytes=123456-");
  });

  it("is resumed after another process has died", async () => {
    await mkdir(join(root, "blobs"), { recursive: true });
    await writeFile(deadPart(blobOf(shard(1))), SHARDS[1]!.subarray(0, 77_777));
    await expectWhole(await get());
    expect(hub.downloads().map(({ range }) => range)).toContain("bytes=77777-");
  });

  it("starts again when the part was of something else", async () => {
    await mkdir(join(root, "blobs"), { recursive: true });
    const path = `${blobOf(shard(0))}.incomplete`;
    for (const content of [
      new Uint8Array(1000),
      new Uint8Array(300_000),
      new Uint8Array(400_000),
    ]) {
      await writeFile(path, content);
      const old = new Date(Date.now() - 120_000);
      await utimes(path, old, old);
      await expectWhole(await get());
      await rm(join(root, "snapshots"), { recursive: true });
      await rm(blobOf(shard(0)));
    }
  });

  it("that only seems to end is resumed too", async () => {
    fault(/blobs/, { kind: "end", after: 10_000 }, 2, "cdn");
    await expectWhole(await get({ parallel: 1 }));
    expect(hub.downloads().map(({ range }) => range)).toContain("bytes=10000-");
  });

  it("that falls silent counts as dropped", async () => {
    fault(/blobs/, { kind: "hang" }, 1, "cdn");
    await expectWhole(await get({ timeoutMs: 400, retries: 6 }));
    expect(warnings.join()).toContain("silent for 0.4 s");
    fault(/revision/, { kind: "hang" });
    const error = await failure(
      modelFolder("org/other", options({ timeoutMs: 50, retries: 1, cacheFolder: `${cache}/2` })),
    );
    expect(error.code).toBe("unreachable");
  });

  it("that is slow but alive is left alone", async () => {
    fault(/tokenizer.json|blobs/, { kind: "slow", chunk: 15_000, everyMs: 100 }, 1, "cdn");
    await expectWhole(await get({ timeoutMs: 1200 }));
    expect(warnings).toEqual([]);
  });

  it("starts again when the server does no ranges", async () => {
    fault(/blobs/, { kind: "drop", after: 60_000 }, 1, "cdn");
    fault(/blobs/, { kind: "ignore-range" }, undefined, "cdn");
    await expectWhole(await get({ parallel: 1 }));
  });

  it("gives up after the retries, names the file, and keeps what came", async () => {
    fault(/blobs/, { kind: "drop", after: 0 }, undefined, "cdn");
    const error = await failure(get({ parallel: 1 }));
    expect(error.code).toBe("unreachable");
    expect(error.message).toContain(shard(0));
    expect(hub.downloads().filter(({ host }) => host === "cdn").length).toBe(4);
    await expectNotWhole();
  });

  it("is waited for as Retry-After says", async () => {
    const status = { kind: "status", status: 429, retryAfter: "1" } as const;
    fault(/revision/, status, 1);
    const started = performance.now();
    await expectWhole(await get());
    expect(performance.now() - started).toBeGreaterThanOrEqual(950);
    expect(warnings.join()).toContain("Trying again in 1 s");
  });

  it.each([500, 502, 503, 504, 429, 408])("is tried again after status %d", async (status) => {
    fault(/revision/, { kind: "status", status }, 1);
    hub.faults.push({
      path: /config.json/,
      method: "HEAD",
      times: 1,
      fault: { kind: "status", status },
    });
    fault(/resolve-cache.*config.json/, { kind: "status", status }, 1);
    fault(/blobs/, { kind: "status", status }, 1, "cdn");
    await expectWhole(await get());
    expect(warnings.length).toBe(4);
  });

  it("stops when it is told to, and keeps what came", async () => {
    const stop = new AbortController();
    fault(/blobs/, { kind: "slow", chunk: 30_000, everyMs: 20 }, undefined, "cdn");
    const reason = new Error("enough");
    const work = get({
      signal: stop.signal,
      onProgress: ({ bytes }) => bytes > 60_000 && stop.abort(reason),
    });
    await expect(work).rejects.toBe(reason);
    await expectNotWhole();
    hub.faults.length = 0;
    hub.requests.length = 0;
    await expectWhole(await get());
    expect(hub.downloads().some(({ range }) => range !== undefined)).toBe(true);
    await expect(get({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  });
});

describe("an answer that is wrong", () => {
  it.each([
    ["short", { kind: "short", by: 7 }, "299993 bytes where 300000"],
    ["long", { kind: "long", by: 7 }, "300007 bytes where 300000"],
    [
      "short without a length",
      { kind: "end", after: 1000, ranges: false },
      "1000 bytes where 300000",
    ],
  ] as [string, Fault, string][])("because it is %s", async (_, what, message) => {
    const path = new RegExp(etagOf(SHARDS[0]!, true));
    // As many as are forgiven, then the file is whole.
    const times = what.kind === "end" ? 1 : 2;
    fault(path, what, times, "cdn");
    await expectWhole(await get());
    await rm(root, { recursive: true });
    fault(path, what, undefined, "cdn");
    const error = await failure(get());
    expect(error.code).toBe("wrong-length");
    expect(error.message).toContain(shard(0));
    expect(error.message).toContain(message);
    await expectNotWhole();
    expect(await there(blobOf(shard(0)))).toBe(false);
  });

  it("because the content has another hash: once forgiven, then discarded", async () => {
    const path = new RegExp(etagOf(SHARDS[0]!, true));
    fault(path, { kind: "other-bytes" }, 1, "cdn");
    await expectWhole(await get());
    await rm(root, { recursive: true });
    fault(path, { kind: "other-bytes" }, undefined, "cdn");
    const error = await failure(get());
    expect(error.code).toBe("bad-checksum");
    expect(error.message).toContain(shard(0));
    expect(error.message).toContain(etagOf(SHARDS[0]!, true));
    expect(error.message).toContain(
      createHash("sha256")
        .update(SHARDS[0]!.map((byte) => byte ^ 255))
        .digest("hex"),
    );
    expect(await there(`${blobOf(shard(0))}.incomplete`)).toBe(false);
    await expectNotWhole();
  });

  it("because the file changed midway: it starts again with the new ETag", async () => {
    const etag = "a".repeat(40);
    fault(/resolve-cache.*\/generation_config/, { kind: "other-etag", etag }, 1);
    await expectWhole(await get());
    await rm(root, { recursive: true });
    fault(/resolve-cache.*\/generation_config/, { kind: "other-etag", etag });
    expect((await failure(get())).code).toBe("wrong-etag");
    await expectNotWhole();
  });

  it.each(["../../x", "a/../../b", "", "a b", ".."])("because of the ETag %j", async (etag) => {
    hub.faults.push({ path: /\/config.json/, fault: { kind: "other-etag", etag } });
    expect((await failure(get())).code).toBe("bad-etag");
  });

  it("because it is no Hub's", async () => {
    fault(/revision/, { kind: "status", status: 200 });
    expect((await failure(get())).code).toBe("not-the-hub");
  });

  it.each([
    "../evil.safetensors",
    "/etc/x.safetensors",
    "a\\b.safetensors",
    "sub/x.safetensors",
    7,
  ])("because its index names the file %j", async (file) => {
    const content = text({ weight_map: { a: file } });
    hub.models[0]!.files["model.safetensors.index.json"] = { content, lfs: false };
    expect((await failure(get())).code).toBe("bad-file-name");
    await expectNotWhole();
  });

  it("whose other file names lead elsewhere does no harm", async () => {
    for (const file of ["../config.json", "/etc/passwd", "..\\x", "a/../../b"]) {
      hub.models[0]!.files[file] = { content: text("x"), lfs: false };
    }
    await expectWhole(await get());
  });

  it("whose index names a shard that is not there is an error", async () => {
    delete hub.models[0]!.files[shard(1)];
    const error = await failure(get());
    expect(error).toMatchObject({ code: "missing-file" });
    expect(error.message).toContain(shard(1));
    await expectNotWhole();
  });
});

describe("a Hub that refuses", () => {
  it("says who must do what", async () => {
    hub.models[0]!.gatedFor = "hf_somebodyelse";
    const gated = await failure(get());
    expect(gated.code).toBe("gated");
    expect(gated.message).toContain(`${hub.endpoint}/${NAME}`);
    vi.stubEnv("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1");
    const anonymous = await failure(get({ token: "" }));
    expect(anonymous.message).toContain("hf auth login");
    hub.models[0]!.gatedFor = undefined;
    const other = (name: string, more?: HubOptions) => failure(modelFolder(name, options(more)));
    expect((await other("org/none")).code).toBe("missing-model");
    expect((await other("org/none", { token: "" })).code).toBe("unauthorized");
    const revision = await failure(get({ revision: "v9" }));
    expect(revision.code).toBe("missing-revision");
    expect(revision.message).toContain('"v9"');
    fault(/revision/, { kind: "status", status: 403, message: `no ${TOKEN} here` }, 1);
    expect((await failure(get())).message).toContain("no <token> here");
    fault(/revision/, { kind: "status", status: 401, message: "Invalid credentials" }, 1);
    expect((await failure(get())).message).toContain("token is valid");
    fault(/revision/, { kind: "status", status: 418 }, 1);
    expect((await failure(get())).code).toBe("refused");
    fault(/revision/, { kind: "status", status: 500 }, 4);
    expect((await failure(get())).code).toBe("hub-failed");
    fault(/revision/, { kind: "status", status: 429 }, 4);
    expect((await failure(get())).code).toBe("rate-limited");
  });

  it("has no safetensors, or no model", async () => {
    const { files } = hub.models[0]!;
    for (const file of Object.keys(files)) if (file.includes("safetensors")) delete files[file];
    const error = await failure(get());
    expect(error.code).toBe("missing-weights");
    expect(error.message).toContain("pytorch_model.bin");
    delete files["config.json"];
    expect((await failure(get())).code).toBe("not-a-model");
  });

  it("never gets the token into an error, whatever fetch does with it", async () => {
    const leaking: typeof fetch = async (_, init) => {
      const headers = inspect(init?.headers);
      throw Object.assign(new Error(`cannot send ${headers}`), {
        request: init,
        cause: new Error(`below: ${headers}`),
      });
    };
    const error = await failure(get({ fetch: leaking }));
    expect(error.code).toBe("unreachable");
    expect(error.message).toContain("<token>");
    const bad = await failure(get({ token: `${TOKEN}\nX: y` }));
    expect(bad.code).toBe("bad-token");
    const address = await failure(get({ endpoint: `http://me:${TOKEN}@host` }));
    expect(address.code).toBe("bad-endpoint");
  });
});

describe("without the Hub", () => {
  let dead: string;
  beforeAll(async () => {
    const gone = await startHub([]);
    dead = gone.endpoint;
    await gone.close();
  });

  it("the cache is enough, offline and with a Hub that is away", async () => {
    const folder = await get();
    hub.requests.length = 0;
    expect(await get({ offline: true })).toBe(folder);
    expect(hub.requests).toEqual([]);
    expect(warnings).toEqual([]);
    expect(await get({ endpoint: dead })).toBe(folder);
    expect(warnings.at(-1)).toContain("is used");
    for (const status of [401, 403, 500]) {
      fault(/revision/, { kind: "status", status }, 2);
      expect(await get()).toBe(folder);
      hub.faults.length = 0;
    }
    expect((await failure(get({ revision: "v9" }))).code).toBe("missing-revision");
  });

  it.each(["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"])("%s is heeded", async (name) => {
    vi.stubEnv(name, "1");
    try {
      const error = await failure(get());
      expect(error.code).toBe("not-in-cache");
      expect(error.message).toContain(NAME);
      expect(hub.requests).toEqual([]);
      await expectWhole(await get({ offline: false }));
      expect(await get()).toContain(COMMIT);
    } finally {
      vi.stubEnv(name, "");
    }
  });

  it("a missing piece is named, and fetched when the Hub is back", async () => {
    const folder = await get();
    for (const file of ["config.json", "tokenizer.json", shard(1)]) {
      await unlink(join(folder, file));
      for (const more of [{ offline: true }, { endpoint: dead, retries: 0 }]) {
        const error = await failure(get(more));
        expect(error.code).toBe(more.offline ? "not-in-cache" : "unreachable");
        if (error.code === "not-in-cache") expect(error.message).toContain(`lacks ${file}`);
      }
      await expectWhole(await get());
      // A link whose blob is gone is as good as none.
      await unlink(blobOf(file));
      expect((await failure(get({ offline: true }))).message).toContain(file);
      await expectWhole(await get());
    }
  });

  it("a whole cache that cannot be written is read", async () => {
    const folder = await get();
    await rm(join(root, ".no_exist"), { recursive: true });
    const uid = process.getuid?.();
    await chmod(root, 0o500);
    try {
      if (uid !== 0) expect(await get()).toBe(folder);
    } finally {
      await chmod(root, 0o700);
    }
  });
});

describe("a disk", () => {
  it.skipIf(!existsSync("/dev/full"))("that is full is an error that says so", async () => {
    await mkdir(join(root, "blobs"), { recursive: true });
    await symlink("/dev/full", deadPart(blobOf(shard(0))));
    const error = await failure(get());
    expect(error).toBeInstanceOf(CheckpointError);
    expect(error.code).toBe("disk-full");
    await expectNotWhole();
  });

  it("that has no symlinks gets hard links, or copies", async () => {
    const refuse = () => Promise.reject(Object.assign(new Error("no"), { code: "EPERM" }));
    const blob = join(cache, "blob");
    await writeFile(blob, "content");
    const linked = join(cache, "linked");
    await placeBlob(blob, linked, "blob", {
      symlink: refuse,
      link: (await import("node:fs/promises")).link,
    });
    expect((await lstat(linked)).ino).toBe((await lstat(blob)).ino);
    const copied = join(cache, "copied");
    await placeBlob(blob, copied, "blob", { symlink: refuse, link: refuse });
    expect((await lstat(copied)).ino).not.toBe((await lstat(blob)).ino);
    expect(await readFile(copied, "utf8")).toBe("content");
    expect((await readdir(cache)).sort()).toEqual(["blob", "copied", "linked"]);
  });
});

describe("several at once", () => {
  it("in one process fetch every byte once", async () => {
    fault(/blobs/, { kind: "slow", chunk: 50_000, everyMs: 20 }, undefined, "cdn");
    const folders = await Promise.all([get(), get(), get()]);
    expect(new Set(folders).size).toBe(1);
    await expectWhole(folders[0]!);
    expect(hub.downloads().filter(({ host }) => host === "cdn").length).toBe(3);
    expect(warnings.join()).toContain("another process");
  });

  it("in several processes, one of them killed, leave a whole snapshot", async () => {
    fault(/blobs/, { kind: "slow", chunk: 5000, everyMs: 50 }, undefined, "cdn");
    const script =
      `import { modelFolder } from "./src/io/hub/node.ts";` +
      `modelFolder(${JSON.stringify(NAME)}, { endpoint: ${JSON.stringify(hub.endpoint)}, ` +
      `cacheFolder: ${JSON.stringify(cache)}, retryDelayMs: 10 })` +
      `.then((folder) => console.log(folder));`;
    const start = () => {
      let child!: ReturnType<typeof execFile>;
      const done = new Promise<string>((resolve) => {
        child = execFile(
          process.execPath,
          ["--import", "tsx", "--input-type=module", "--eval", script],
          { cwd: ROOT },
          (error, stdout, stderr) => resolve(error ? `failed ${stderr}` : stdout.trim()),
        );
      });
      return { child, done };
    };
    const first = start();
    // The first one is at work when something of a shard is on the disk.
    await vi.waitUntil(
      async () =>
        (await readdir(join(root, "blobs")).catch(() => [])).some((name) =>
          name.endsWith(".incomplete"),
        ),
      { timeout: 20_000, interval: 20 },
    );
    const others = [start(), start()];
    await vi.waitUntil(
      () => hub.requests.filter(({ path }) => path.includes("revision")).length >= 2,
      {
        timeout: 20_000,
        interval: 20,
      },
    );
    first.child.kill("SIGKILL");
    expect(await first.done).toContain("failed");
    const folders = await Promise.all(others.map(({ done }) => done));
    expect(folders).toEqual([join(root, "snapshots", COMMIT), join(root, "snapshots", COMMIT)]);
    await expectWhole(folders[0]!);
  }, 40_000);
});

describe("in a page", () => {
  it("a name becomes the address of its files", async () => {
    expect(await web.modelFolder(NAME)).toBe(`https://huggingface.co/${NAME}/resolve/main`);
    const own = { endpoint: "https://mirror/", revision: "refs/pr/1" };
    expect(await web.modelFolder(NAME, own)).toBe(`https://mirror/${NAME}/resolve/refs%2Fpr%2F1`);
    expect(await web.modelFolder("models/tiny/", {})).toBe("models/tiny/");
    expect(await web.modelFolder("https://host/x")).toBe("https://host/x");
    await expect(web.modelFolder(NAME, { revision: "../x" })).rejects.toThrow("no revision");
  });
});
