import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";

import { cacheCandidates, readJson, writeJson } from "../../../src/cli/driver/cache.ts";

it("looks in the user's cache first and in the repository after it", () => {
  expect(cacheCandidates({}, "/home/u", "/repo")).toEqual([
    "/home/u/.cache/aubade",
    "/repo/.cache",
  ]);
  expect(cacheCandidates({ XDG_CACHE_HOME: "/x" }, "/home/u", "/repo")[0]).toBe("/x/aubade");
  const relative = cacheCandidates({ XDG_CACHE_HOME: "x" }, "/home/u", "/repo");
  expect(relative[0]).toBe("/home/u/.cache/aubade");
});

it("writes JSON whole, and reads damage as nothing", async () => {
  const folder = await mkdtemp(join(tmpdir(), "aubade-cache-"));
  try {
    const file = join(folder, "deep/a.json");
    await writeJson(file, { a: 1 });
    expect(await readJson(file)).toEqual({ a: 1 });
    expect(await readdir(join(folder, "deep"))).toEqual(["a.json"]);
    await writeFile(file, '{"a":');
    expect(await readJson(file)).toBeUndefined();
    expect(await readJson(join(folder, "none.json"))).toBeUndefined();
  } finally {
    await rm(folder, { recursive: true });
  }
});
