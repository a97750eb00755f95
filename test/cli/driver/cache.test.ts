import { chmod, chown, mkdir, mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";

import {
  cacheCandidates,
  cacheFolder,
  readJson,
  refuseOpenTree,
  writeJson,
} from "../../../src/cli/driver/cache.ts";

it("looks in the user's cache first and in the repository after it", () => {
  expect(cacheCandidates({}, "/home/u", "/repo")).toEqual([
    "/home/u/.cache/aubade",
    "/repo/.cache",
  ]);
  expect(cacheCandidates({ XDG_CACHE_HOME: "/x" }, "/home/u", "/repo")[0]).toBe("/x/aubade");
  const relative = cacheCandidates({ XDG_CACHE_HOME: "x" }, "/home/u", "/repo");
  expect(relative[0]).toBe("/home/u/.cache/aubade");
});

it.skipIf(process.platform === "win32")(
  "refuses what another user could have written",
  async () => {
    const shared = await mkdtemp(join(tmpdir(), "aubade-cache-"));
    const xdg = process.env["XDG_CACHE_HOME"];
    process.env["XDG_CACHE_HOME"] = shared;
    const cache = join(shared, "aubade");
    try {
      // A shared folder is no danger where its sticky bit keeps others from what is ours.
      await chmod(shared, 0o1777);
      expect(await cacheFolder()).toBe(cache);
      expect((await stat(cache)).mode & 0o777).toBe(0o700);
      await chmod(shared, 0o777);
      await expect(cacheFolder()).rejects.toMatchObject({ code: "cache-open" });
      await chmod(shared, 0o1777);
      await chmod(cache, 0o1777);
      await expect(cacheFolder()).rejects.toThrow(/has mode 1777; .* run chmod go-w/);
      await chmod(cache, 0o755);
      expect(await cacheFolder()).toBe(cache);
      const node = join(cache, "driver", "mesa-99.0-x64", "node");
      await mkdir(node, { recursive: true });
      await writeFile(join(node, "node"), "");
      await refuseOpenTree(join(cache, "driver"), cache);
      await chmod(join(node, "node"), 0o777);
      const planted = refuseOpenTree(join(cache, "driver"), cache);
      await expect(planted).rejects.toThrow(`${join(node, "node")} belongs to user`);
      if (process.getuid!() !== 0) return;
      // A file in it that the user nobody made.
      await chmod(join(node, "node"), 0o755);
      await chown(join(node, "node"), 65534, 65534);
      const foreign = refuseOpenTree(join(cache, "driver"), cache);
      await expect(foreign).rejects.toThrow(/belongs to user 65534 .* Remove \S+node, or set/);
    } finally {
      if (xdg === undefined) delete process.env["XDG_CACHE_HOME"];
      else process.env["XDG_CACHE_HOME"] = xdg;
      await rm(shared, { recursive: true });
    }
  },
);

it("a cache where no folder can be made is passed over, and does not hang", async () => {
  const xdg = process.env["XDG_CACHE_HOME"];
  process.env["XDG_CACHE_HOME"] = "/proc/x";
  try {
    expect(await cacheFolder()).not.toContain("/proc");
  } finally {
    if (xdg === undefined) delete process.env["XDG_CACHE_HOME"];
    else process.env["XDG_CACHE_HOME"] = xdg;
  }
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
