import { lstat, mkdtemp, readFile, readdir, readlink, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { modelFolder } from "../../src/io/hub/node.ts";
import { type HubServer, etagOf, startHub } from "../helpers/hub-server.ts";
import { runPython } from "../helpers/python.ts";

// The same cache, used by Python's huggingface_hub and by us, in both orders; and Python against
// the server of these tests, to see that the server is true.

const NAME = "org/tiny";
const COMMIT = "89abcdef0123456789abcdef0123456789abcdef";
const TOKEN = "hf_averysecrettokenindeed";
const json = (value: unknown) => ({ content: Buffer.from(JSON.stringify(value)), lfs: false });
const weights = Uint8Array.from({ length: 100_000 }, (_, i) => (i * i) >>> 2);
const FILES = {
  "README.md": json("readme"),
  "config.json": json({ model_type: "tiny" }),
  "generation_config.json": json({}),
  "tokenizer.json": { content: weights.slice(0, 20_000), lfs: true },
  "model.safetensors.index.json": json({ weight_map: { a: "model-1.safetensors" } }),
  "model-1.safetensors": { content: weights, lfs: true },
};
const WANTED = Object.keys(FILES).filter((file) => file !== "README.md");

/** The beginning of the Python programs: their arguments, before the library reads them. */
const PROLOGUE = `
import json, os, sys
endpoint, cache, token, name = sys.argv[1:5]
for key in list(os.environ):
    if key.startswith(("HF_", "HUGGING", "TRANSFORMERS_")): del os.environ[key]
os.environ.update(HF_ENDPOINT=endpoint, HF_HUB_CACHE=cache, HF_HOME=cache + "-home",
                  HF_HUB_DISABLE_TELEMETRY="1", HF_HUB_DISABLE_PROGRESS_BARS="1")
if token: os.environ["HF_TOKEN"] = token
from huggingface_hub import HfApi, hf_hub_download, scan_cache_dir, snapshot_download
from huggingface_hub import try_to_load_from_cache, _CACHED_NO_EXIST
from huggingface_hub.errors import EntryNotFoundError, GatedRepoError, HfHubHTTPError
from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError
`;

let hub: HubServer;
let cache: string;

beforeAll(async () => {
  hub = await startHub([]);
});
afterAll(() => hub.close());
beforeEach(async () => {
  cache = await mkdtemp(join(tmpdir(), "aubade-hub-python-"));
  hub.requests.length = 0;
  hub.faults.length = 0;
  hub.models.splice(0, hub.models.length, {
    name: NAME,
    commit: COMMIT,
    branches: { main: COMMIT, "refs/pr/1": COMMIT },
    files: { ...FILES },
  });
  return () => rm(cache, { recursive: true });
});

async function python(program: string, { endpoint = hub.endpoint, token = "" } = {}) {
  const args = [endpoint, cache, token, NAME];
  const output = await runPython(PROLOGUE + program, args, ["huggingface_hub"]);
  return output === undefined ? undefined : (JSON.parse(output) as unknown);
}

const ours = (more = {}) =>
  modelFolder(NAME, { endpoint: hub.endpoint, cacheFolder: cache, token: "", ...more });

/** Everything in a folder: the text of links, the content of files. */
async function tree(folder: string, prefix = ""): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const name of (await readdir(folder)).sort()) {
    const path = join(folder, name);
    const info = await lstat(path);
    if (info.isDirectory()) Object.assign(found, await tree(path, `${prefix}${name}/`));
    else if (info.isSymbolicLink()) found[prefix + name] = `-> ${await readlink(path)}`;
    else found[prefix + name] = (await readFile(path)).toString("base64");
  }
  return found;
}

describe("a cache", () => {
  it("that we made is whole for Python, offline", async () => {
    const folder = await ours();
    await ours({ revision: "refs/pr/1" });
    const result = await python(
      `
found = scan_cache_dir()
repo, = found.repos
revision, = repo.revisions
print(json.dumps({
  "folder": snapshot_download(name, local_files_only=True),
  "slashes": snapshot_download(name, revision="refs/pr/1", local_files_only=True),
  "commit": snapshot_download(name, revision=revision.commit_hash, local_files_only=True),
  "file": hf_hub_download(name, "model-1.safetensors", local_files_only=True),
  "absent": try_to_load_from_cache(name, "chat_template.jinja") is _CACHED_NO_EXIST,
  "warnings": [str(each) for each in found.warnings],
  "name": [repo.repo_id, repo.repo_type],
  "refs": sorted(revision.refs),
  "files": sorted(file.file_name for file in revision.files),
  "size": repo.size_on_disk,
}))`,
      { endpoint: "http://127.0.0.1:9" },
    );
    if (result === undefined) return;
    expect(result).toEqual({
      folder,
      slashes: folder,
      commit: folder,
      file: join(folder, "model-1.safetensors"),
      absent: true,
      warnings: [],
      name: [NAME, "model"],
      refs: ["main", "refs/pr/1"],
      files: [...WANTED].sort(),
      size: WANTED.reduce((sum, file) => sum + FILES[file as "config.json"].content.length, 0),
    });
  });

  it("that Python made is whole for us, without a download", async () => {
    const made = await python(`print(json.dumps(snapshot_download(name)))`);
    if (made === undefined) return;
    hub.requests.length = 0;
    expect(await ours({ offline: true })).toBe(made);
    expect(hub.requests).toEqual([]);
    expect(await ours()).toBe(made);
    expect(hub.requests.map(({ path }) => path)).toEqual([`/api/models/${NAME}/revision/main`]);
    // That was the last question: what the repository has not is noted as Python does it.
    expect(await ours({ revision: COMMIT })).toBe(made);
    expect(hub.requests.length).toBe(1);
  });

  it("is the same, whoever makes it", async () => {
    const program = `
snapshot_download(name, ignore_patterns=["README.md"])
print(json.dumps(1))`;
    if ((await python(program)) === undefined) return;
    const theirs = await tree(join(cache, "models--org--tiny"));
    await rm(join(cache, "models--org--tiny"), { recursive: true });
    await ours();
    const mine = await tree(join(cache, "models--org--tiny"));
    for (const path of Object.keys(mine)) if (path.startsWith(".no_exist/")) delete mine[path];
    expect(mine).toEqual(theirs);
  });

  it("with a part that we left is finished by Python, and the other way round", async () => {
    const etag = etagOf(weights, true);
    const part = join(cache, "models--org--tiny", "blobs", `${etag}.incomplete`);
    const drop = { path: /blobs/, host: "cdn" as const, method: "GET" as const };
    hub.faults.push({ ...drop, times: 1, fault: { kind: "drop", after: 30_000 } });
    hub.faults.push({ ...drop, fault: { kind: "status", status: 503 } });
    await expect(ours({ parallel: 1, retries: 0 })).rejects.toThrow("model-1.safetensors");
    expect((await lstat(part)).size).toBe(30_000);
    hub.faults.length = 0;
    hub.requests.length = 0;
    const made = await python(`print(json.dumps(snapshot_download(name)))`);
    if (made === undefined) return;
    expect(hub.downloads().map(({ range }) => range)).toContain("bytes=30000-");
    expect(await readFile(join(made as string, "model-1.safetensors"))).toEqual(
      Buffer.from(weights),
    );
    expect(await ours({ offline: true })).toBe(made);
  });

  it("that Python left half is not taken for whole", async () => {
    const made = await python(`print(json.dumps(hf_hub_download(name, "config.json")))`);
    if (made === undefined) return;
    await expect(ours({ offline: true })).rejects.toThrow(
      "lacks tokenizer.json, model.safetensors",
    );
    const folder = await ours();
    expect((await readdir(folder)).sort()).toEqual([...WANTED].sort());
  });
});

describe("the server of these tests", () => {
  it("is a Hub for Python", async () => {
    hub.models.push({ ...hub.models[0]!, name: "org/gated", gatedFor: TOKEN });
    const result = await python(
      `
def error(call):
    try: return call()
    except (EntryNotFoundError, GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError) as e:
        return type(e).__name__
    except HfHubHTTPError as e: return "HTTP " + str(e.response.status_code)
api = HfApi()
print(json.dumps({
  "sha": api.model_info(name).sha,
  "files": sorted(api.list_repo_files(name)),
  "tree": sorted([f.path, f.size, f.lfs.sha256 if f.lfs else f.blob_id]
                 for f in api.list_repo_tree(name, recursive=True)),
  "token": bool(hf_hub_download("org/gated", "config.json")),
  "gated": error(lambda: hf_hub_download("org/gated", "tokenizer.json", token=False)),
  "no repo": error(lambda: api.model_info("org/none")),
  "no repo, no token": error(lambda: api.model_info("org/none", token=False)),
  "no revision": error(lambda: api.model_info(name, revision="v9")),
  "no file": error(lambda: hf_hub_download(name, "none.json")),
}))`,
      { token: TOKEN },
    );
    if (result === undefined) return;
    const entries = Object.entries(FILES).sort(([a], [b]) => (a < b ? -1 : 1));
    expect(result).toEqual({
      sha: COMMIT,
      files: entries.map(([file]) => file),
      tree: entries.map(([file, { content, lfs }]) => [file, content.length, etagOf(content, lfs)]),
      token: true,
      gated: "GatedRepoError",
      "no repo": "RepositoryNotFoundError",
      "no repo, no token": "RepositoryNotFoundError",
      "no revision": "RevisionNotFoundError",
      "no file": expect.stringMatching(/EntryNotFoundError$/),
    });
    expect(hub.requests.filter(({ host }) => host === "cdn")).toEqual([]);
  });
});
