import { createHash, randomUUID } from "node:crypto";
import { createReadStream } from "node:fs";
import { open, readdir, rename, rm, stat, utimes } from "node:fs/promises";
import { hostname } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { fileError } from "../../node.ts";
import { joinPath } from "../../path.ts";
import type { Part } from "../transfer.ts";

/** A part that this process alone writes. */
export interface HeldPart extends Part {
  /** Flushes the whole file and gives it its final name. */
  finish(): Promise<void>;
  /** Leaves what is there for whoever fetches the file next, Python's huggingface_hub included. */
  rest(): Promise<void>;
}

/** A part whose writer has not touched it for so long is nobody's. */
const STALE_MS = 60_000;
const BEAT_MS = 15_000;
const POLL_MS = 250;

const HOST = createHash("sha256").update(hostname()).digest("hex").slice(0, 8);
/** Blobs that are being fetched here. */
const claimed = new Set<string>();

/**
 * Takes the part of a blob for this process, with what an earlier download left of it.
 *
 * A part that nobody writes is `<etag>.incomplete`, as in Python. Who writes it first renames it to
 * a name of its own, `<etag>.<host>-<process>-<id>.incomplete`: of several processes one succeeds,
 * the others wait for the blob. The part of a dead process is taken over. Returns undefined when
 * the blob is there.
 *
 * @throws {CheckpointError} `disk-full`, `no-permission`; the reason of the signal.
 */
export async function holdPart(
  blobs: string,
  etag: string,
  signal: AbortSignal | undefined,
  onWait: () => void,
): Promise<HeldPart | undefined> {
  const blob = joinPath(blobs, etag);
  const resting = `${blob}.incomplete`;
  const mine = `${blob}.${HOST}-${process.pid}-${randomUUID().slice(0, 8)}.incomplete`;
  for (let waited = false; ;) {
    signal?.throwIfAborted();
    if (await modified(blob)) return undefined;
    let busy = claimed.has(blob);
    if (!busy) {
      claimed.add(blob);
      let part: HeldPart | undefined;
      try {
        const state = await partState(blobs, etag);
        busy = state.busy;
        const from = state.abandoned ?? resting;
        if (!busy && (await take(from, mine, from === resting))) {
          part = await openPart(mine, blob, resting, () => claimed.delete(blob));
          return part;
        }
      } finally {
        if (part === undefined) claimed.delete(blob);
      }
    }
    if (busy && !waited) onWait();
    waited ||= busy;
    await sleep(POLL_MS, undefined, { signal }).catch(() => {});
  }
}

/** Looks who writes a blob: a busy writer is waited for, an abandoned part is taken over. */
async function partState(blobs: string, etag: string) {
  let abandoned: string | undefined;
  let busy = false;
  for (const name of await readdir(blobs).catch(() => [])) {
    if (!name.startsWith(`${etag}.`) || !name.endsWith(".incomplete")) continue;
    const path = joinPath(blobs, name);
    const at = await modified(path);
    if (at === undefined) continue;
    const stale = Date.now() - at > STALE_MS;
    const owner = /\.([0-9a-f]{8})-(\d+)-[0-9a-f]{8}\.incomplete$/.exec(name);
    if (owner === null) {
      // Python may be writing it; what we leave ourselves is dated back, see `rest`.
      busy ||= name === `${etag}.incomplete` && !stale;
      continue;
    }
    const here = owner[1] === HOST;
    const pid = Number(owner[2]);
    // Our own number, though we do not write it: another thread's, or left by a dead process.
    const alive = here && (pid === process.pid ? !stale : isAlive(pid));
    // A process that lives but does not touch its part may wake up: leave it what it has.
    if (!stale && (alive || !here)) busy = true;
    else if (!alive) abandoned = path;
  }
  return { abandoned, busy };
}

async function take(from: string, mine: string, make: boolean): Promise<boolean> {
  try {
    if (make) await (await open(from, "a")).close();
    await rename(from, mine);
    return true;
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return false;
    throw fileError("write", mine, cause);
  }
}

async function openPart(
  path: string,
  blob: string,
  resting: string,
  release: () => void,
): Promise<HeldPart> {
  const guard = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (cause) {
      throw fileError("write", path, cause);
    }
  };
  const touch = (at: Date) => utimes(path, at, at).catch(() => {});
  const handle = await guard(() => open(path, "r+"));
  let bytes = await guard(async () => (await handle.stat()).size);
  // Bytes of an earlier process are hashed when the hash is asked for; new ones, as they come.
  let hash = bytes === 0 ? createHash("sha256") : undefined;
  await touch(new Date());
  const beat = setInterval(() => void touch(new Date()), BEAT_MS);
  beat.unref();
  let open_ = true;
  const close = async () => {
    clearInterval(beat);
    if (open_) await handle.close();
    open_ = false;
    release();
  };
  return {
    get bytes() {
      return bytes;
    },
    append: (chunk) =>
      guard(async () => {
        for (let done = 0; done < chunk.byteLength;) {
          const length = chunk.byteLength - done;
          done += (await handle.write(chunk, done, length, bytes + done)).bytesWritten;
        }
        hash?.update(chunk);
        bytes += chunk.byteLength;
      }),
    reset: () =>
      guard(async () => {
        if (bytes > 0) await handle.truncate(0);
        bytes = 0;
        hash = createHash("sha256");
      }),
    sha256: () =>
      guard(async () => {
        if (hash === undefined) {
          hash = createHash("sha256");
          for await (const chunk of createReadStream(path)) hash.update(chunk as Uint8Array);
        }
        return hash.copy().digest("hex");
      }),
    finish: () =>
      guard(async () => {
        await handle.sync();
        await close();
        await rename(path, blob);
      }),
    rest: async () => {
      await close().catch(() => {});
      const other = await modified(resting);
      if (bytes === 0 || other !== undefined) return rm(path, { force: true });
      // Dated back, so that the next one need not wait to see whether somebody writes it.
      await touch(new Date(Date.now() - 2 * STALE_MS));
      await rename(path, resting).catch(() => {});
    },
  };
}

/** Time of the last change in ms; undefined when there is no such file. */
async function modified(path: string): Promise<number | undefined> {
  return stat(path).then(
    (found) => found.mtimeMs,
    () => undefined,
  );
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
