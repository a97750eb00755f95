import { randomUUID } from "node:crypto";
import { readFile, rename, rm, stat, utimes, writeFile } from "node:fs/promises";
import { hostname } from "node:os";

/** How the holder and the waiters of a lock behave; times in ms. */
export interface LockOptions {
  /** Called once when the lock is held by another process and we wait. */
  onWait?: () => void;
  /** How often a waiter looks. */
  pollMs?: number;
  /** A lock that its holder has not touched for so long is nobody's. */
  staleMs?: number;
}

/**
 * Does `work` while this process alone holds the lock file `path`; others wait for their turn.
 *
 * The holder touches the file every quarter of `staleMs`. A lock is taken over when its process on
 * this machine is dead or when it has not been touched for `staleMs`, so a crash blocks nobody.
 */
export async function withLock<T>(
  path: string,
  work: () => Promise<T>,
  { onWait, pollMs = 200, staleMs = 20_000 }: LockOptions = {},
): Promise<T> {
  const mine = `${hostname()} ${process.pid} ${randomUUID()}`;
  for (let waited = false; !(await take(path, mine)); waited = true) {
    if (await isAbandoned(path, staleMs)) {
      // By renaming, only one of several waiters removes it; the losers find nothing to rename.
      const aside = `${path}.${randomUUID()}`;
      await rename(path, aside).then(
        () => rm(aside, { force: true }),
        () => {},
      );
      continue;
    }
    if (!waited) onWait?.();
    await new Promise((resolve) => setTimeout(resolve, pollMs));
  }
  const beat = setInterval(() => {
    const now = new Date();
    utimes(path, now, now).catch(() => {});
  }, staleMs / 4);
  try {
    return await work();
  } finally {
    clearInterval(beat);
    if ((await readFile(path, "utf8").catch(() => "")) === mine) await rm(path, { force: true });
  }
}

async function take(path: string, mine: string): Promise<boolean> {
  try {
    await writeFile(path, mine, { flag: "wx" });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

async function isAbandoned(path: string, staleMs: number): Promise<boolean> {
  try {
    const [text, { mtimeMs }] = await Promise.all([readFile(path, "utf8"), stat(path)]);
    if (Date.now() - mtimeMs > staleMs) return true;
    const [host, pid] = text.split(" ");
    // An empty file is a lock in the moment of its making.
    return host === hostname() && pid !== undefined && !isAlive(Number(pid));
  } catch {
    return false;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
