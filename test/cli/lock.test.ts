import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readdir, rm, utimes, writeFile } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";

import { withLock } from "../../src/cli/lock.ts";

let folder = "";
let path = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "aubade-lock-"));
  path = join(folder, "driver.lock");
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

it("lets one in at a time and leaves nothing behind", async () => {
  let inside = 0;
  let most = 0;
  const waits: number[] = [];
  const work = async (i: number): Promise<number> => {
    most = Math.max(most, ++inside);
    await new Promise((resolve) => setTimeout(resolve, 30));
    inside -= 1;
    return i;
  };
  const options = (i: number): object => ({ pollMs: 5, onWait: () => waits.push(i) });
  const all = [0, 1, 2, 3].map((i) => withLock(path, () => work(i), options(i)));
  expect(await Promise.all(all)).toEqual([0, 1, 2, 3]);
  expect(most).toBe(1);
  expect(waits).toHaveLength(3);
  expect(await readdir(folder)).toEqual([]);
});

it("is free again after an error", async () => {
  const failing = withLock(path, () => Promise.reject(new Error("no network")));
  await expect(failing).rejects.toThrow("no network");
  expect(existsSync(path)).toBe(false);
});

it("takes over at once from a process of this machine that died", async () => {
  const { pid } = spawnSync(process.execPath, ["-e", ""]);
  await writeFile(path, `${hostname()} ${pid} x`);
  expect(await withLock(path, async () => 1, { pollMs: 5 })).toBe(1);
});

it("waits for a holder elsewhere while it beats, and takes over when it stops", async () => {
  await writeFile(path, "another-host 1 x");
  const start = performance.now();
  const beat = setInterval(() => void utimes(path, new Date(), new Date()), 20);
  setTimeout(() => clearInterval(beat), 300);
  await withLock(path, async () => {}, { pollMs: 10, staleMs: 200 });
  expect(performance.now() - start).toBeGreaterThan(450);
});

it("keeps its own lock fresh during long work", async () => {
  let others = 0;
  const long = withLock(path, () => new Promise((resolve) => setTimeout(resolve, 500)), {
    staleMs: 200,
  });
  await new Promise((resolve) => setTimeout(resolve, 50));
  const next = withLock(path, async () => (others += 1), { pollMs: 10, staleMs: 200 });
  await new Promise((resolve) => setTimeout(resolve, 350));
  expect(others).toBe(0);
  await Promise.all([long, next]);
  expect(others).toBe(1);
});
