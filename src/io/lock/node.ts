import { createHash, randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import {
  type FileHandle,
  link,
  open,
  readdir,
  readFile,
  rm,
  stat,
  writeFile,
} from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { fileError } from "#io";
import { CheckpointError } from "../../core/errors.ts";
import { lifeOf, ownMark, type ProcessMark } from "./mark/node.ts";

/** How the holder and the waiters of a lock behave; times in ms. */
export interface LockOptions {
  /** Called once, with words for the holder, when the lock is held by another process and we wait. */
  onWait?: (holder: string) => void;
  /** How often a waiter looks. */
  pollMs?: number;
  /**
   * A holder that cannot be asked from here (another machine, another container) is given up when it
   * has given no sign of life for so long. One that can be asked keeps its lock while it lives.
   */
  staleMs?: number;
}

/** A lock that is held. */
export interface Held {
  /**
   * Makes sure that the lock is still this process's own; asked before something is written.
   *
   * @throws {CheckpointError} `lock-lost`.
   */
  check(): void;
}

/**
 * Does `work` while this process alone holds the lock file `path`; others wait for their turn.
 *
 * The file appears whole, by a link, and names its holder by process number, start and boot, so that
 * a crash blocks nobody and a process that is only stopped loses nothing. The lock of a dead process
 * is removed under a guard, a lock of the same kind whose name belongs to that dead lock alone: of
 * many that find it dead only one removes it, and nobody can remove the one that comes after it.
 *
 * @throws {CheckpointError} when the lock's folder cannot be written.
 */
export async function withLock<T>(
  path: string,
  work: (held: Held) => Promise<T>,
  { onWait, pollMs = 200, staleMs = 300_000 }: LockOptions = {},
): Promise<T> {
  const mine = lockText();
  for (let waited = false; !(await create(path, mine));) {
    const found = await read(path);
    if (found === undefined) continue;
    if (await isAbandoned(path, found, staleMs)) {
      if (await clear(path, found, staleMs)) continue;
    } else if (!waited) {
      waited = true;
      onWait?.(holderText(found, staleMs));
    }
    await new Promise((resolve) => setTimeout(resolve, pollMs));
  }
  await removeLeftovers(path);
  const handle = await open(path, "r+").catch(() => undefined);
  const beat = setInterval(() => void beatOnce(handle, mine), staleMs / 10);
  try {
    return await work({ check: () => checkOwn(path, mine) });
  } finally {
    clearInterval(beat);
    await handle?.close();
    if ((await read(path)) === mine) await rm(path, { force: true });
  }
}

function lockText(): string {
  const { host, pid, start, boot, space } = ownMark();
  return [host, pid, randomUUID(), start, boot, space].join(" ");
}

function markOf(text: string): ProcessMark | undefined {
  const [host, pid, id, start = "-", boot = "-", space = "-"] = text.trim().split(" ");
  if (!host || !id) return undefined;
  return { host, pid: Number(pid), start, boot, space };
}

function holderText(text: string, staleMs: number): string {
  const mark = markOf(text);
  if (mark === undefined) return "a process that did not write its name";
  if (lifeOf(mark) !== "elsewhere") return `process ${mark.pid}`;
  const minutes = Number((staleMs / 60_000).toPrecision(2));
  return `process ${mark.pid} of ${mark.host}, which cannot be asked from here and is given up ${minutes} minutes after its last sign of life`;
}

async function read(path: string): Promise<string | undefined> {
  return readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw fileError("read", path, error);
  });
}

/** Codes by which file systems say that they have no links. */
const NO_LINKS = new Set([
  "EPERM",
  "ENOTSUP",
  "EOPNOTSUPP",
  "ENOSYS",
  "EMLINK",
  "EINVAL",
  "EISDIR",
]);

/** Makes a file that is whole as soon as it is there; false where one of its name is there. */
async function create(path: string, text: string): Promise<boolean> {
  const beside = `${path}.${randomUUID()}`;
  try {
    await writeFile(beside, text, { flag: "wx" });
    const refused = await link(beside, path).then(
      () => undefined,
      (error: NodeJS.ErrnoException) => error,
    );
    if (refused === undefined) return true;
    if (NO_LINKS.has(refused.code ?? "")) await writeFile(path, text, { flag: "wx" });
    else if (refused.code !== "EEXIST") throw refused;
    // A file server may have made the link and lost its answer.
    return (await read(path)) === text;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw fileError("write", path, error);
  } finally {
    await rm(beside, { force: true });
  }
}

async function isAbandoned(path: string, text: string, staleMs: number): Promise<boolean> {
  const mark = markOf(text);
  const life = mark === undefined ? "elsewhere" : lifeOf(mark);
  if (life !== "elsewhere") return life === "dead";
  // Both times are of the file system's clock, which may not be that of this machine.
  const probe = `${path}.${randomUUID()}`;
  try {
    await writeFile(probe, lockText(), { flag: "wx" });
    const [now, last] = await Promise.all([stat(probe), stat(path)]);
    return now.mtimeMs - last.mtimeMs > staleMs;
  } catch {
    return false;
  } finally {
    await rm(probe, { force: true });
  }
}

/** Returns a name that belongs to one lock file only: every text has an id of its own. */
function guardOf(path: string, text: string): string {
  return `${path}.${createHash("sha256").update(text).digest("hex").slice(0, 12)}`;
}

/**
 * Removes an abandoned lock file; false where another process is about to.
 *
 * Only who holds the guard may remove the file, and only while it is that very file: its holder is
 * gone, so that until then nothing else can have taken its place.
 */
async function clear(path: string, text: string, staleMs: number): Promise<boolean> {
  const guard = guardOf(path, text);
  const mine = lockText();
  if (!(await create(guard, mine))) {
    const other = await read(guard);
    if (other === undefined) return true;
    return (await isAbandoned(guard, other, staleMs)) && (await clear(guard, other, staleMs));
  }
  if ((await read(path)) === text) await rm(path, { force: true });
  if ((await read(guard)) === mine) await rm(guard, { force: true });
  return true;
}

const LEFTOVER = /^\.(?:[0-9a-f]{12}|[0-9a-f-]{36})+$/;

/** Removes what processes that were killed amid taking the lock left beside it. */
async function removeLeftovers(path: string): Promise<void> {
  const [folder, name] = [dirname(path), basename(path)];
  for (const entry of await readdir(folder)) {
    if (!entry.startsWith(`${name}.`) || !LEFTOVER.test(entry.slice(name.length))) continue;
    const file = join(folder, entry);
    const mark = markOf((await read(file)) ?? "");
    if (mark !== undefined && lifeOf(mark) === "dead") await rm(file, { force: true });
  }
}

/** Writes the same bytes again: the file system's clock then says that the holder lives. */
async function beatOnce(handle: FileHandle | undefined, mine: string): Promise<void> {
  await handle?.write(mine, 0).catch(() => {});
}

function checkOwn(path: string, mine: string): void {
  let now: string;
  try {
    now = readFileSync(path, "utf8");
  } catch (error) {
    // Only a lock that is gone for certain is lost.
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") return;
    now = "";
  }
  if (now === mine) return;
  const mark = markOf(now);
  const whose =
    mark === undefined ? "is gone" : `is now that of process ${mark.pid} of ${mark.host}`;
  throw new CheckpointError(
    "lock-lost",
    `The lock ${path} ${whose}: this process writes no more.`,
    {
      hint: "Leave the file alone while a process runs; when no other one does, continue with --resume.",
    },
  );
}
