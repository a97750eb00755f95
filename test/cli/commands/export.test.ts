import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { main, parseSize } from "../../../src/cli/commands/export.ts";
import { fromBf16, toBf16 } from "../../../src/core/dtype.ts";
import { openCheckpoint } from "../../../src/checkpoint/safetensors.ts";
import { writeSafetensors } from "../../../src/checkpoint/safetensors-writer.ts";

const golden = fileURLToPath(new URL("../../golden/", import.meta.url));
const base = join(golden, "omni/tiny-a");

let root: string;
let out: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "aubade-export-"));
  out = "";
  vi.spyOn(process.stdout, "write").mockImplementation((text) => {
    out += String(text);
    return true;
  });
});
afterEach(async () => {
  vi.restoreAllMocks();
  await rm(root, { recursive: true, force: true });
});

const path = (...parts: string[]) => join(root, ...parts);
const json = async (file: string) => JSON.parse(await readFile(file, "utf8")) as unknown;

/** A run folder whose model is the base with every third weight of the decoder moved by 2^-10. */
async function makeRun(): Promise<{ changed: number; lost: number; compared: number }> {
  const store = await openCheckpoint(base);
  const counts = { compared: 0, changed: 0, lost: 0 };
  const tensors = [];
  for (const [name, { shape }] of store.tensors) {
    const data = await store.readF32(name);
    counts.compared += data.length;
    if (name.startsWith("model.")) {
      for (let i = 0; i < data.length; i += 3) {
        const was = data[i]!;
        // Half a step of bf16 is 2^-9 of a power of two: some changes survive, some do not.
        data[i] = was + 2 ** -10 * (i % 2 === 0 ? 1 : -1);
        counts.changed++;
        if (fromBf16(toBf16(data[i]!)) === fromBf16(toBf16(was))) counts.lost++;
      }
    }
    tensors.push({ name, dtype: "F32" as const, shape, data });
  }
  await store.close();
  await mkdir(path("run/model"), { recursive: true });
  await writeSafetensors(path("run/model/model.safetensors"), tensors, { format: "pt" });
  await cp(join(base, "config.json"), path("run/model/config.json"));
  const config = { model: { path: base }, rewards: [{ name: "format", weight: 1 }] };
  await writeFile(path("run/config.yaml"), JSON.stringify(config));
  return counts;
}

describe("aubade export", () => {
  it("writes a run's model in bf16 and says how many changes that loses", async () => {
    const want = await makeRun();
    expect(want.lost / want.changed).toBeGreaterThan(0.05);
    expect(want.lost / want.changed).toBeLessThan(0.95);
    expect(await main([path("run"), "--out", path("out"), "--max-shard-size", "100KB"])).toBe(0);
    const record = (await json(path("out/export.json"))) as Record<string, unknown>;
    expect(record).toMatchObject({ base, dtype: "bf16", changes: want, overflow: 0 });
    expect((record["files"] as string[]).length).toBeGreaterThan(2);
    expect(out).toContain(`bf16 rounds ${want.lost} of these changes away`);
    const [given, written] = [
      await openCheckpoint(path("run/model")),
      await openCheckpoint(path("out")),
    ];
    expect([...written.tensors.keys()].sort()).toEqual([...given.tensors.keys()].sort());
    let inexact = 0;
    for (const name of given.tensors.keys()) {
      const [values, rounded] = [await given.readF32(name), await written.readF32(name)];
      const expected = values.map((value) => fromBf16(toBf16(value)));
      expect(rounded, name).toEqual(expected);
      inexact += values.filter((value, i) => value !== expected[i]).length;
    }
    expect(record["inexact"]).toBe(inexact);
    await Promise.all([given.close(), written.close()]);
  });

  it("merges adapters into the base that is named, and exports them as adapters otherwise", async () => {
    const adapter = join(golden, "lora/adapter");
    const argv = [adapter, "--base", base];
    await main([...argv, "--out", path("merged"), "--merge", "--dtype", "f32", "--json"]);
    expect(JSON.parse(out)).toMatchObject({ dtype: "f32", changes: { lost: 0 } });
    await main([...argv, "--out", path("adapter")]);
    expect(out).toContain("18 tensors");
    expect(await json(path("adapter/adapter_config.json"))).toMatchObject({
      base_model_name_or_path: base,
      lora_alpha: 8,
    });
  });

  it("refuses what it cannot do, in words", async () => {
    await expect(main([path("none"), "--out", path("x")])).rejects.toMatchObject({
      code: "missing-weights",
    });
    await expect(main([base, "--out", path("x"), "--merge"])).rejects.toMatchObject({
      code: "not-adapters",
    });
    await cp(base, path("copy"), { recursive: true });
    const inPlace = main([path("copy"), "--out", path("other/../copy/")]);
    await expect(inPlace).rejects.toMatchObject({ code: "same-folder" });
    const onBase = main([base, "--base", path("copy"), "--out", path("copy")]);
    await expect(onBase).rejects.toMatchObject({ code: "same-folder" });
    await expect(main([base])).rejects.toMatchObject({ code: "usage" });
    await expect(main([base, "--out", "x", "--dtype", "q8"])).rejects.toMatchObject({
      code: "usage",
    });
  });

  it("replaces nothing but an earlier export, and that only when it is told to", async () => {
    const adapter = join(golden, "lora/adapter");
    const as = (...more: string[]) =>
      main([adapter, "--base", base, "--out", path("out"), ...more]);
    await as();
    const names = await readdir(path("out"));
    expect(names).toContain("adapter_model.safetensors");
    await expect(as("--merge")).rejects.toMatchObject({ code: "folder-not-empty" });
    await expect(as("--merge")).rejects.toThrow(/out holds \S+ and \d+ more\. Name .* --overwrite/);
    expect(await readdir(path("out"))).toEqual(names);
    await writeFile(path("out/notes.txt"), "mine");
    await as("--merge", "--overwrite");
    const merged = await readdir(path("out"));
    expect(merged.filter((name) => /adapter|safetensors|notes/.test(name))).toEqual([
      "model.safetensors",
      "notes.txt",
    ]);
    // A failure leaves the earlier export, and a folder that was not there away.
    const weights = await readFile(path("out/model.safetensors"));
    await expect(main([base, "--out", path("out"), "--merge", "--overwrite"])).rejects.toThrow();
    await expect(main([base, "--out", path("new"), "--merge"])).rejects.toThrow();
    expect((await readFile(path("out/model.safetensors"))).equals(weights)).toBe(true);
    expect(await readdir(path("out"))).toEqual(merged);
    await expect(readdir(path("new"))).rejects.toThrow("ENOENT");
    await mkdir(path("other"));
    await writeFile(path("other/model.safetensors"), "mine");
    const other = main([base, "--out", path("other"), "--overwrite"]);
    await expect(other).rejects.toThrow("holds model.safetensors, which no export wrote");
  });

  it("never writes into the folder of the base, also through a link", async () => {
    await cp(base, path("base"), { recursive: true });
    await writeFile(path("base/export.json"), "{}");
    await symlink(path("base"), path("link"));
    const adapter = join(golden, "lora/adapter");
    const before = await readFile(path("base/model.safetensors"));
    for (const out of ["base", "link", "link/../base/"]) {
      const argv = [adapter, "--base", path("base"), "--out", path(out), "--merge", "--overwrite"];
      await expect(main(argv), out).rejects.toMatchObject({ code: "same-folder" });
    }
    // The base that an adapter names itself is as safe as one that is named here.
    await cp(adapter, path("adapter"), { recursive: true });
    const config = (await json(path("adapter/adapter_config.json"))) as object;
    const named = { ...config, base_model_name_or_path: path("base") };
    await writeFile(path("adapter/adapter_config.json"), JSON.stringify(named));
    const argv = [path("adapter"), "--base", base, "--out", path("link"), "--overwrite"];
    await expect(main(argv)).rejects.toMatchObject({ code: "same-folder" });
    expect((await readFile(path("base/model.safetensors"))).equals(before)).toBe(true);
  });

  it("reads sizes as transformers writes them", () => {
    const sizes = { "5GB": 5e9, "1.5MB": 1.5e6, "2GiB": 2 ** 31, "100kb": 1e5, "42": 42 };
    for (const [text, bytes] of Object.entries(sizes)) expect(parseSize(text), text).toBe(bytes);
    for (const text of ["", "GB", "-1", "0", "5 parsecs"]) {
      expect(() => parseSize(text), text).toThrow(/is no size/);
    }
  });
});
