import { spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { isDeepStrictEqual } from "node:util";
import { expect } from "vitest";
import type { RunConfig } from "../../src/config/schema.ts";
import type { Random } from "../../src/core/random.ts";
import { LOG_FILES } from "../../src/observe/run-logs.ts";
import { findCheckpoint, hasCheckpoint } from "../../src/run/checkpoint-folder.ts";
import { refuseToBeginAgain } from "../../src/run/find-run.ts";
import { runFiles } from "./run-files.ts";
import { type TinyWorkplace, writeConfig } from "./tiny-run.ts";

const script = fileURLToPath(new URL("killed-run.ts", import.meta.url));

/** When a process dies: at a line of its journal, or when its time is over. */
export type Moment =
  | {
      /** Matches lines of the journal; the process dies at the `count`-th one, from 1. */
      line: RegExp;
      count: number;
    }
  | { ms: number };

/**
 * The kinds of moments that are drawn: what is done in saves, what is done outside them but for
 * submits, those submits, or the time from outside.
 */
export type MomentKind = "save" | "work" | "submit" | "time";

/** How a session ended. */
export interface Session {
  /** Exit code, or the signal that ended the process. */
  end: number | string;
  /** The steps that it did, see killed-run.ts. */
  journal: string[];
  ms: number;
}

/** The first word of a line of a journal but for the save that it is a part of. */
function wordOf(line: string): string {
  return line.replace(/^save \d+ /, "").split(" ")[0]!;
}

/** The moment of a line of a journal, for runs of other names too. */
function momentOf(journal: readonly string[], index: number): Moment {
  const line = journal[index]!;
  const count = journal.slice(0, index + 1).filter((other) => other === line).length;
  const escaped = line.replaceAll(/[.*+?^${}()|[\]\\/]/g, "\\$&");
  // Only the first folder has the run's name.
  return { line: new RegExp(`^${escaped.replace(/ \w[\w-]*(?=\\\/)/, " [\\w-]+")}$`), count };
}

/** A checkpoint is being saved at the last line of a journal. */
export function insideSave({ journal }: Session): boolean {
  return journal.at(-1)?.startsWith("save ") === true;
}

/** Runs of one configuration in processes that are killed, and the one that never was. */
export class Kills {
  readonly #place: TinyWorkplace;
  #want = new Map<string, unknown>();
  #whole: Session | undefined;
  #sessions = 0;

  constructor(place: TinyWorkplace) {
    this.#place = place;
  }

  /** Does the run that is never killed: what the others must come to. */
  async whole(config: RunConfig): Promise<void> {
    await writeConfig(this.#place.path("run.yaml"), config);
    this.#whole = await this.#session("whole");
    expect(this.#whole.end).toBe(0);
    this.#want = await runFiles(this.#place.path("whole"));
  }

  /** A random moment of the run that was never killed. */
  draw(random: Random, kind: MomentKind): Moment {
    const { journal, ms } = this.#whole!;
    if (kind === "time") return { ms: random.uniform(0.25, 0.9) * ms };
    // How work on the GPU is cut into submits depends on its speed: not all runs have as many.
    const lines = kind === "submit" ? journal.slice(0, 0.8 * journal.length) : journal;
    const places = [...lines.keys()].filter((i) => {
      const line = lines[i]!;
      // Clips are there for all further runs.
      if (line.includes("clips/")) return false;
      if (kind === "save") return line.startsWith("save ");
      return kind === "submit" ? line === "submit" : !/^save |^submit$/.test(line);
    });
    // Tensors are most of the lines: first the kind of operation is drawn, then one of them.
    const words = [...new Set(places.map((i) => wordOf(lines[i]!)))];
    const word = words[random.integer(words.length)]!;
    const same = places.filter((i) => wordOf(lines[i]!) === word);
    return momentOf(journal, same[random.integer(same.length)]!);
  }

  /** One process that works on a run: the first of a name starts it, further ones resume it. */
  async #session(name: string, moment?: Moment): Promise<Session> {
    const folder = this.#place.path(name);
    const resume = existsSync(this.#place.path(name, "config.yaml")) ? ["--resume"] : [];
    const journal = this.#place.path(`journal-${this.#sessions++}`);
    const at = moment && "line" in moment ? moment : { line: /^/, count: 0 };
    const watched = [script, journal, String(at.count), at.line.source];
    const command = [this.#place.path("run.yaml"), `output.run_dir=${folder}`, ...resume];
    const started = performance.now();
    const child = spawn(process.execPath, ["--import", "tsx", ...watched, ...command], {
      stdio: ["ignore", "ignore", "inherit"],
    });
    const timer = moment && "ms" in moment && setTimeout(() => child.kill("SIGKILL"), moment.ms);
    const end = await new Promise<number | string>((resolve, reject) => {
      child.on("error", reject);
      child.on("exit", (code, signal) => resolve(code ?? signal ?? "none"));
    });
    if (timer) clearTimeout(timer);
    const ms = performance.now() - started;
    const lines = existsSync(journal) ? readFileSync(journal, "utf8").split("\n") : [];
    return { end, journal: lines.filter((line) => line !== ""), ms };
  }

  /**
   * Kills a run at each moment in turn, lets it come to its end, and expects that it lost no more
   * than the steps since its last checkpoint and left every file as the run that was never killed.
   *
   * @returns the sessions that were killed: fewer than moments where one of them never came.
   */
  async expectSurvival(name: string, moments: readonly Moment[]): Promise<Session[]> {
    const sessions: Session[] = [];
    try {
      for (const moment of [...moments, undefined]) {
        const session = await this.#session(name, moment);
        sessions.push(session);
        if (session.end === 0) break;
        expect(session.end).toBe("SIGKILL");
        await this.#expectNewest(name, sessions);
        await this.#removeWithoutCheckpoint(name);
      }
      expect(sessions.at(-1)!.end).toBe(0);
      await this.#expectWhole(name, sessions);
    } catch (cause) {
      console.error(`The run ${name} was killed at`, moments);
      throw cause;
    }
    return sessions.slice(0, -1);
  }

  /** A run that had taken steps, but has no checkpoint yet, is begun anew: a resume is refused. */
  async #removeWithoutCheckpoint(name: string): Promise<void> {
    const folder = this.#place.path(name);
    if (await hasCheckpoint(folder)) return;
    await refuseToBeginAgain(folder).catch(() => rm(folder, { recursive: true }));
  }

  /** The newest checkpoint is the last one that got its name, and all that have one are whole. */
  async #expectNewest(name: string, sessions: readonly Session[]): Promise<void> {
    const lines = sessions.flatMap(({ journal }) => journal);
    const steps = (what: string) =>
      lines.flatMap((line, i) => {
        const step = new RegExp(` ${what} \\S*/checkpoint-(\\d+)$`).exec(line)?.[1];
        return step === undefined ? [] : [{ step: Number(step), last: i === lines.length - 1 }];
      });
    const saved = Math.max(0, ...steps("renamed").map(({ step }) => step));
    // A process killed from outside in the middle of the renaming may have come to its end.
    const maybe = steps("rename").find(({ last }) => last)?.step ?? saved;
    const folder = this.#place.path(name);
    const some = await hasCheckpoint(folder);
    const found = some ? await findCheckpoint(folder) : { step: 0, passedOver: [] };
    expect([saved, maybe]).toContain(found.step);
    expect(found.passedOver).toEqual([]);
  }

  async #expectWhole(name: string, sessions: readonly Session[]): Promise<void> {
    const got = await runFiles(this.#place.path(name));
    const resumedFrom = sessions.slice(1).flatMap(startOf);
    for (const [file, content] of this.#want) {
      // The state that is resumed from was written before the span of its own writing was over.
      const lost = (row: unknown): boolean =>
        resumedFrom.some((step) => isDeepStrictEqual(row, { ...CHECKPOINT_SPAN, args: { step } }));
      const want =
        file === LOG_FILES.trace ? (content as unknown[]).filter((row) => !lost(row)) : content;
      expect(got.get(file), file).toEqual(want);
    }
    expect([...got.keys()]).toEqual([...this.#want.keys()]);
  }
}

const CHECKPOINT_SPAN = { name: "checkpoint", ph: "X", pid: 1, tid: 1 };

/** The step from which a session went on, if it came to take one. */
function startOf({ journal }: Session): number[] {
  const start = journal.find((line) => line.startsWith("event start "));
  return start === undefined ? [] : [Number(start.split(" ").at(-1))];
}
