import { type ChildProcess, fork, spawn, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm, utimes, writeFile } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, it } from "vitest";

import { withLock } from "../../src/io/lock/node.ts";

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

/** A process of this machine that has ended, in the words of a lock. */
function deadLock(id: number): string {
  const { pid } = spawnSync(process.execPath, ["-e", ""]);
  return `${hostname()} ${pid} dead-${id}`;
}

it("of many processes that find a dead lock only one gets it, round after round", async () => {
  const racer = fileURLToPath(new URL("../helpers/lock-racer.ts", import.meta.url));
  const options = { execArgv: ["--import", "tsx"] };
  const racers = [0, 1, 2, 3].map(() => fork(racer, [path], options));
  const answers = (message: unknown) =>
    Promise.all(
      racers.map(
        (child) =>
          new Promise<unknown>((resolve) => {
            child.once("message", resolve);
            if (message !== undefined) child.send(message as object);
          }),
      ),
    );
  try {
    await answers(undefined);
    const dead = deadLock(0);
    const outcomes: unknown[] = [];
    for (let round = 0; round < 60; round++) {
      await writeFile(path, `${dead}-${round}`);
      outcomes.push(...(await answers(Date.now() + 15)));
    }
    expect(outcomes.filter((outcome) => outcome !== "alone")).toEqual([]);
    expect(outcomes).toHaveLength(240);
  } finally {
    for (const child of racers) child.kill("SIGKILL");
  }
  expect(await readdir(folder)).toEqual([]);
}, 120_000);

/** A process that holds the lock until it is killed. */
async function holder(): Promise<ChildProcess> {
  const module = JSON.stringify(new URL("../../src/io/lock/node.ts", import.meta.url).href);
  const forEver = "() => new Promise((resolve) => setTimeout(resolve, 1e9))";
  const code = `import(${module}).then(({ withLock }) => withLock(process.argv[1], ${forEver}, { staleMs: 100 }))`;
  const child = spawn(process.execPath, ["--import", "tsx", "-e", code, path]);
  await expect.poll(() => existsSync(path), { timeout: 20_000 }).toBe(true);
  return child;
}

it("a holder that is stopped keeps its lock, one that is killed does not", async () => {
  const child = await holder();
  try {
    child.kill("SIGSTOP");
    await new Promise((resolve) => setTimeout(resolve, 400));
    let words = "";
    const refused = withLock(path, async () => {}, {
      staleMs: 100,
      onWait: (holder) => {
        throw new Error((words = holder));
      },
    });
    await expect(refused).rejects.toThrow(`process ${child.pid}`);
    expect(words).toBe(`process ${child.pid}`);
  } finally {
    child.kill("SIGKILL");
  }
  await new Promise((resolve) => child.once("close", resolve));
  expect(await withLock(path, async () => 1, { pollMs: 5 })).toBe(1);
}, 60_000);

it("a number that was given to another process since then holds nothing", async () => {
  let own = "";
  await withLock(path, async () => void (own = await readFile(path, "utf8")));
  const [host, pid, id, start, ...rest] = own.split(" ");
  await writeFile(path, [host, pid, `${id}-old`, `${Number(start) - 1}`, ...rest].join(" "));
  expect(await withLock(path, async () => 1, { pollMs: 5 })).toBe(1);
});

it("a holder learns that its lock is another one's, and leaves that alone", async () => {
  const stolen = "another-host 7 x";
  const work = withLock(path, async (held) => {
    held.check();
    await rm(path);
    expect(() => held.check()).toThrow(/lock .*driver.lock is gone/);
    await writeFile(path, stolen);
    held.check();
  });
  await expect(work).rejects.toMatchObject({ code: "lock-lost" });
  await expect(work).rejects.toThrow("is now that of process 7 of another-host");
  expect(await readFile(path, "utf8")).toBe(stolen);
});
