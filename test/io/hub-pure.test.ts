import { describe, expect, it } from "vitest";
import { redact, safeCause } from "../../src/io/hub/failure.ts";
import {
  blobName,
  cacheFolderName,
  checkFileName,
  checkRevision,
  fileUrl,
  isHubName,
} from "../../src/io/hub/name.ts";
import { type HubOptions, type HubProgress, hubSettings } from "../../src/io/hub/options.ts";
import { progressMeter } from "../../src/io/hub/progress.ts";
import { retryAfterMs } from "../../src/io/hub/request.ts";
import { isUnusedTensor, survey, wantedFiles, wantedShards } from "../../src/io/hub/wanted.ts";

describe("a name on the Hub", () => {
  it.each(["Qwen/Qwen2.5-Omni-3B", "a/b", "org_1/x.y-z", `${"a".repeat(96)}/b`])("%j", (name) => {
    expect(isHubName(name)).toBe(true);
  });
  it.each([
    "gpt2",
    "./a/b",
    "../a/b",
    "/a/b",
    "a/b/c",
    "a//b",
    "a/",
    "a/b.git",
    "a/b--c",
    "a/..",
    "a/b..c",
    "-a/b",
    "a/b-",
    "a\\b",
    "C:/x",
    "https://a/b",
    "a/b c",
    "",
    `${"a".repeat(97)}/b`,
  ])("is not %j", (name) => expect(isHubName(name)).toBe(false));

  it("has a folder and addresses", () => {
    expect(cacheFolderName("org/name")).toBe("models--org--name");
    expect(fileUrl("https://h", "o/n", "refs/pr/1", "a b.json")).toBe(
      "https://h/o/n/resolve/refs%2Fpr%2F1/a%20b.json",
    );
  });
});

describe("names from outside", () => {
  it.each(["main", "v1.0", "refs/pr/12", "feature/x_y"])("revision %j", (revision) => {
    expect(checkRevision(revision)).toBe(revision);
  });
  it.each(["", "..", "a/../b", "/a", "a/", ".hidden", "a\\b", "a b", "a..b", "a\0"])(
    "no revision %j",
    (revision) => expect(() => checkRevision(revision)).toThrow("no revision"),
  );
  it.each(["../a", "a/b", "a\\b", ".a", "", "..", 3, null, "a\nb", "x".repeat(256), "C:a"])(
    "no file %j",
    (file) => expect(() => checkFileName(file, "the index")).toThrow("the index names the file"),
  );
  it("ETags lose their quotes", () => {
    expect(blobName('"ab12"', "x", undefined)).toBe("ab12");
    expect(blobName('W/"ab12"', "x", undefined)).toBe("ab12");
    expect(blobName("ab12", "x", undefined)).toBe("ab12");
    // A server that echoes the token would make it a file's name.
    expect(() => blobName('"hf_secret"', "x", "hf_secret")).toThrow(
      'the ETag "\\"<token>\\"" for x',
    );
    for (const etag of [null, '""', '"../x"', '"a/b"', '"a.b"', `"${"a".repeat(200)}"`]) {
      expect(() => blobName(etag, "x", undefined)).toThrow("for x");
    }
  });
});

describe("settings", () => {
  const settings = (
    environment: Record<string, string>,
    options: HubOptions = {},
    files: Record<string, string> = {},
  ) => hubSettings(options, environment, "/home/me", async (path) => files[path]);

  it.each([
    [{}, "/home/me/.cache/huggingface/hub"],
    [{ XDG_CACHE_HOME: "/x" }, "/x/huggingface/hub"],
    [{ XDG_CACHE_HOME: "/x", HF_HOME: "~/hf" }, "/home/me/hf/hub"],
    [{ HF_HOME: "/h", HUGGINGFACE_HUB_CACHE: "/old" }, "/old"],
    [{ HUGGINGFACE_HUB_CACHE: "/old", HF_HUB_CACHE: "$BIG/hub", BIG: "/big" }, "/big/hub"],
    [{ HF_HUB_CACHE: "${BIG}/$NONE", BIG: "/big" }, "/big/$NONE"],
    [{ HF_HUB_CACHE: "" }, "/home/me/.cache/huggingface/hub"],
  ] as [Record<string, string>, string][])("the cache with %j", async (environment, expected) => {
    expect((await settings(environment)).cacheFolder).toBe(expected);
    expect((await settings(environment, { cacheFolder: "/own" })).cacheFolder).toBe("/own");
  });

  it("the token, in the order of huggingface_hub", async () => {
    const token = async (...args: Parameters<typeof settings>) => (await settings(...args)).token;
    const file = { "/home/me/.cache/huggingface/token": "hf_file\n", "/h/token": "hf_home" };
    expect(await token({}, {}, file)).toBe("hf_file");
    expect(await token({ HF_HOME: "/h" }, {}, file)).toBe("hf_home");
    expect(await token({ HF_TOKEN_PATH: "/h/token" }, {}, file)).toBe("hf_home");
    expect(await token({ HUGGING_FACE_HUB_TOKEN: "hf_b" }, {}, file)).toBe("hf_b");
    expect(await token({ HUGGING_FACE_HUB_TOKEN: "hf_b", HF_TOKEN: " hf_a " }, {}, file)).toBe(
      "hf_a",
    );
    expect(await token({ HF_TOKEN: "hf_a" }, { token: "hf_o" }, file)).toBe("hf_o");
    expect(await token({ HF_TOKEN: "hf_a", HF_HUB_DISABLE_IMPLICIT_TOKEN: "1" }, {}, file)).toBe(
      undefined,
    );
    expect(await token({ HF_HUB_DISABLE_IMPLICIT_TOKEN: "1" }, { token: "hf_o" }, file)).toBe(
      "hf_o",
    );
    expect(await token({ HF_TOKEN: "hf_a" }, { token: "" }, file)).toBe(undefined);
    expect(await token({})).toBe(undefined);
    const bad = settings({ HF_TOKEN: "hf_secret\u00e9" });
    await expect(bad).rejects.toThrow("odd characters");
    await expect(bad).rejects.not.toThrow("hf_secret");
  });

  it("offline and the endpoint", async () => {
    const offline = async (...args: Parameters<typeof settings>) =>
      (await settings(...args)).offline;
    expect(await offline({})).toBe(false);
    for (const value of ["1", "ON", "yes", "True"]) {
      expect(await offline({ HF_HUB_OFFLINE: value })).toBe(true);
      expect(await offline({ TRANSFORMERS_OFFLINE: value })).toBe(true);
    }
    expect(await offline({ HF_HUB_OFFLINE: "0", TRANSFORMERS_OFFLINE: "1" })).toBe(false);
    expect(await offline({ HF_HUB_OFFLINE: "1" }, { offline: false })).toBe(false);
    expect((await settings({})).endpoint).toBe("https://huggingface.co");
    expect((await settings({ HF_ENDPOINT: "https://mirror/" })).endpoint).toBe("https://mirror");
    for (const endpoint of ["mirror", "ftp://x", "https://me:secret@x", "https://x?token=secret"]) {
      await expect(settings({}, { endpoint })).rejects.toThrow("no plain http(s) address");
      await expect(settings({}, { endpoint })).rejects.not.toThrow("secret");
    }
    await expect(settings({}, { parallel: 0 })).rejects.toThrow("0 files");
  });
});

describe("wanted files", () => {
  const index = (map: Record<string, unknown>) => JSON.stringify({ weight_map: map });

  it("leave out shards of the part that speaks", () => {
    expect(isUnusedTensor("talker.model.x")).toBe(true);
    expect(isUnusedTensor("token2wav.x")).toBe(true);
    expect(isUnusedTensor("thinker.talker.x")).toBe(false);
    const text = index({
      "thinker.b": "2.safetensors",
      "thinker.a": "1.safetensors",
      "talker.a": "2.safetensors",
      "talker.b": "3.safetensors",
      "token2wav.c": "4.safetensors",
    });
    expect(wantedShards(text, "i")).toEqual(["1.safetensors", "2.safetensors"]);
  });

  it.each(["", "[]", "null", "{}", '{"weight_map":[]}', index({ a: "model.bin" })])(
    "no index %j",
    (text) => expect(() => wantedShards(text, "the index")).toThrow("the index"),
  );

  it("prefer the index, as the loader does, and end with the config", () => {
    const listing = ["config.json", "model.safetensors", "model.safetensors.index.json", "x.bin"];
    expect(wantedFiles(listing, "r")).toEqual({
      small: ["model.safetensors.index.json", "config.json"],
      weights: [],
      hasIndex: true,
    });
    expect(wantedFiles(["config.json", "model.safetensors"], "r").weights).toEqual([
      "model.safetensors",
    ]);
  });

  it("are found to be missing", async () => {
    const look = (present: string[], absent: string[] = [], text = index({ a: "1.safetensors" })) =>
      survey(
        async (file) => present.includes(file),
        async (file) => absent.includes(file),
        async () => text,
        "i",
      );
    expect((await look([])).missing).toEqual([
      "config.json",
      "tokenizer.json",
      "model.safetensors",
    ]);
    const whole = ["config.json", "tokenizer.json", "model.safetensors"];
    expect(await look(whole)).toEqual({ missing: [], certain: false });
    expect(
      (await look(["config.json", "vocab.json", "merges.txt", "model.safetensors"])).missing,
    ).toEqual([]);
    expect((await look(["config.json", "model.safetensors"], ["tokenizer.json"])).missing).toEqual(
      [],
    );
    const sharded = ["config.json", "tokenizer.json", "model.safetensors.index.json"];
    expect((await look(sharded)).missing).toEqual(["1.safetensors"]);
    expect((await look([...sharded, "1.safetensors"])).missing).toEqual([]);
    expect((await look(["adapter_config.json"])).missing).toEqual(["adapter_model.safetensors"]);
  });
});

describe("errors and pauses", () => {
  it("lose the token and odd characters", () => {
    expect(redact("a hf_x b\nhf_x\u0007", "hf_x")).toBe("a <token> b <token> ");
    expect(redact("x".repeat(1000), undefined).length).toBe(300);
    const cause = safeCause(
      new Error("outer hf_x", { cause: Object.assign(new Error("inner hf_x"), { code: "ECODE" }) }),
      "hf_x",
    );
    expect(cause.message).toBe("outer <token>: inner <token> ECODE");
    expect(cause.cause).toBe(undefined);
    expect(safeCause("text", undefined).message).toBe("text");
    expect(safeCause(undefined, undefined).message).toBe("");
  });

  it("read Retry-After in both forms", () => {
    const now = Date.parse("2026-01-01T00:00:00Z");
    expect(retryAfterMs("7", now)).toBe(7000);
    expect(retryAfterMs("Thu, 01 Jan 2026 00:00:05 GMT", now)).toBe(5000);
    expect(retryAfterMs("Thu, 01 Jan 2025 00:00:05 GMT", now)).toBe(0);
    expect(retryAfterMs("soon", now)).toBe(undefined);
    expect(retryAfterMs(null, now)).toBe(undefined);
  });
});

describe("progress", () => {
  it("adds up, at a bounded pace, with the rate of what arrived", () => {
    let now = 0;
    const seen: HubProgress[] = [];
    const meter = progressMeter(
      (progress) => seen.push(progress),
      () => now,
    );
    meter.expect("a", 1000);
    meter.expect("b", 500);
    // Bytes that an earlier run left count as there, not as fetched.
    meter.set("a", 400);
    for (let i = 1; i <= 10; i++) {
      now += 10;
      meter.set("a", 400 + 10 * i);
    }
    expect(seen.map(({ bytes }) => bytes)).toEqual([400, 500]);
    expect(seen[1]).toEqual({
      file: "a",
      fileBytes: 500,
      fileTotal: 1000,
      bytes: 500,
      total: 1500,
      files: 2,
      bytesPerSecond: 1000,
    });
    // The end of a file is always told; a file that starts again goes back.
    meter.set("b", 0);
    meter.set("b", 500);
    expect(seen.at(-1)).toMatchObject({ file: "b", bytes: 1000 });
    now += 10_000;
    meter.set("a", 0);
    expect(seen.at(-1)).toMatchObject({ bytes: 500, bytesPerSecond: 0 });
  });
});
