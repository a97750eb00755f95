import { spawnSync } from "node:child_process";
import { readFileSync, readlinkSync } from "node:fs";
import { hostname } from "node:os";

/** A process so that another one, also of another machine, can tell whether it lives. */
export interface ProcessMark {
  host: string;
  pid: number;
  /** When the process began, in the system's own words; "-" where the system does not say. */
  start: string;
  /** Boot of the machine and space of its process numbers; "-" where the system does not say. */
  boot: string;
  space: string;
}

/**
 * The state of a process as another can tell it: `elsewhere` is one that cannot be asked from here.
 */
export type Life = "alive" | "dead" | "elsewhere";

const UNKNOWN = "-";

function fileText(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

/** State letter and start of a process on Linux. Source: proc(5), /proc/PID/stat. */
function linuxStat(pid: number): { state: string; start: string } | undefined {
  const text = fileText(`/proc/${pid}/stat`);
  if (text === undefined) return undefined;
  // The name, in brackets, may hold spaces and brackets of its own.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return { state: fields[0]!, start: fields[19]! };
}

function startOf(pid: number): string {
  if (process.platform === "linux") return linuxStat(pid)?.start ?? UNKNOWN;
  if (process.platform === "win32") return UNKNOWN;
  const { stdout } = spawnSync("ps", ["-o", "lstart=", "-p", String(pid)], { encoding: "utf8" });
  return stdout?.trim().replace(/\s+/g, "_") || UNKNOWN;
}

function spaceOf(): string {
  try {
    return readlinkSync("/proc/self/ns/pid");
  } catch {
    return UNKNOWN;
  }
}

/** Returns the mark of this process. */
export function ownMark(): ProcessMark {
  return {
    host: hostname(),
    pid: process.pid,
    start: startOf(process.pid),
    boot: fileText("/proc/sys/kernel/random/boot_id")?.trim() ?? UNKNOWN,
    space: spaceOf(),
  };
}

/**
 * Says whether the process of a mark lives.
 *
 * A process number is asked only in the boot and the space that it belongs to, and counts as the same
 * process only with the same start: numbers are used again. A process that is stopped is alive.
 */
export function lifeOf(mark: ProcessMark, here: ProcessMark = ownMark()): Life {
  const known = mark.boot !== UNKNOWN && here.boot !== UNKNOWN;
  const same = known
    ? mark.boot === here.boot && mark.space === here.space
    : mark.host === here.host;
  if (!same) return "elsewhere";
  if (!Number.isSafeInteger(mark.pid) || mark.pid <= 0) return "dead";
  try {
    process.kill(mark.pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return "dead";
  }
  // A process that ended and was not yet asked for its exit code still has its number.
  if (process.platform === "linux" && /[ZX]/.test(linuxStat(mark.pid)?.state ?? "")) return "dead";
  const start = mark.start === UNKNOWN ? UNKNOWN : startOf(mark.pid);
  return start === UNKNOWN || start === mark.start ? "alive" : "dead";
}
