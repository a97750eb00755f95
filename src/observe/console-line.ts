import type { RunEvent, RunEvents, Scores } from "../core/run-events.ts";

/** The terminal on which the status line is drawn, and how. */
export interface ConsoleTarget {
  write: (text: string) => void;
  /** True when the line can be redrawn in place; plain lines otherwise. */
  live: boolean;
  /** True when colours are wanted: a terminal, and NO_COLOR not set. */
  color: boolean;
  /** Width of the terminal in characters, asked anew for every line. */
  columns: () => number;
  /** Milliseconds on any clock that only goes forward. */
  now: () => number;
}

const REDRAW_MS = 100;
const PLAIN_PROGRESS_MS = 10_000;
/** Time for which the line of the last step stays before the parts of the next one are shown. */
const STEP_SHOWN_MS = 2000;
const RECENT_STEPS = 10;
/** Rows that do not fit of which the console tells. */
const SHOWN_ROWS = 5;
const ESCAPE = "\u001b";
const CLEAR_LINE = `\r${ESCAPE}[2K`;
const STYLE_CODE = new RegExp(`(${ESCAPE}\\[[0-9;]*m)`);

/** Seconds as `4s`, `1:23` or `2:03:04`. */
export function clockText(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole}s`;
  const pad = (value: number): string => String(value).padStart(2, "0");
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes}:${pad(whole % 60)}`;
  return `${Math.floor(minutes / 60)}:${pad(minutes % 60)}:${pad(whole % 60)}`;
}

/** Returns a rate with a unit of a thousand or a million: `87`, `1.2k`, `3.4M`. */
export function rateText(rate: number): string {
  if (rate >= 1e6) return `${(rate / 1e6).toFixed(1)}M`;
  if (rate >= 1e3) return `${(rate / 1e3).toFixed(1)}k`;
  return rate >= 10 ? rate.toFixed(0) : rate.toFixed(1);
}

/** Bytes of how many, in a unit of the larger number: `1.2/17.8 GB`, `640/700 kB`. */
export function bytesText(done: number, total: number): string {
  const [unit, size] = byteUnit(total);
  const show = (bytes: number): string => (bytes / size).toFixed(size === 1 ? 0 : 1);
  return `${show(done)}/${show(total)} ${unit}`;
}

function byteUnit(bytes: number): [unit: string, size: number] {
  if (bytes >= 1e9) return ["GB", 1e9];
  if (bytes >= 1e6) return ["MB", 1e6];
  return bytes >= 1e3 ? ["kB", 1e3] : ["B", 1];
}

/** Returns a count in full, with commas between thousands, whatever the locale. */
function countText(count: number): string {
  return String(count).replace(/\B(?=(\d{3})+$)/g, ",");
}

/** Scores as one line: `overall 0.50 | see 0.48 hear 0.52 both 0.50 | format 1.00`. */
export function scoresText({ overall, format, ...others }: Scores): string {
  const each = Object.entries(others).map(([name, score]) => `${name} ${score.toFixed(3)}`);
  const parts = [`overall ${overall.toFixed(3)}`];
  if (each.length > 0) parts.push(each.join(" "));
  if (format !== undefined) parts.push(`format ${format.toFixed(3)}`);
  return parts.join(" | ");
}

/**
 * Shows a run on a terminal: one line that is redrawn at most ten times a second, with lasting
 * lines above it for evaluations, checkpoints and warnings. Elsewhere it prints plain lines.
 */
export class ConsoleLine {
  readonly #target: ConsoleTarget;
  readonly #stepTimes: number[] = [];
  #shown = "";
  #drawnAt = -Infinity;
  /** The last step's end, and until there is one the first sight of a part of it. */
  #stepAt: number | undefined;
  /** Rules of the run's health that fire, notes left out. */
  #unhealthy: string[] = [];
  #task = "";
  #taskStart = 0;

  constructor(target: ConsoleTarget) {
    this.#target = target;
  }

  /** The listener for the run's events. */
  readonly listen = (event: RunEvent): void => {
    switch (event.kind) {
      case "step":
        return this.#step(event.data);
      case "progress":
        return this.#progress(event.data);
      case "evaluation": {
        const data = event.data;
        const { benchmark, when, control, step, questions, scores } = data;
        const name = control ?? (when === "during" ? `step ${step}` : when);
        const asked = `${questions} ${questions === 1 ? "question" : "questions"} of ${benchmark}`;
        return this.print(`${name.padEnd(7)} ${scoresText(scores)} (${asked})`);
      }
      case "model":
        return this.#model(event.data);
      case "checkpoint": {
        const { folder } = event.data;
        return this.print(this.#paint("2", `saved ${folder}`));
      }
      case "health":
        return this.#health(event.data);
      case "rows_over_budget":
        return this.#leftOut(event.data, "do not fit");
      case "rows_unreadable":
        return this.#leftOut(event.data, "cannot be read");
      case "warning": {
        const { message } = event.data;
        return this.print(`${this.#paint("33", "warning:")} ${message}`);
      }
      case "end":
        return this.end();
      case "folder":
      case "data":
      case "device":
      case "start":
      case "span":
      case "rollout":
      case "answer":
      // The command says what is worth knowing of these, and logs have the rest.
    }
  };

  #leftOut({ rows, checked }: RunEvents["rows_over_budget"], why: string): void {
    const head = `${rows.length} of ${checked} rows ${why} and are left out:`;
    this.print(`${this.#paint("33", "warning:")} ${head}`);
    for (const { message } of rows.slice(0, SHOWN_ROWS)) this.print(`  ${message}`);
    const more = rows.length - SHOWN_ROWS;
    if (more > 0) this.print(`  and ${more} more, which events.jsonl names`);
  }

  #model({ parameters, tensors, trained, storage, inexact }: RunEvents["model"]): void {
    const parts = [`model: ${countText(parameters)} weights (${countText(tensors)} tensors)`];
    if (trained > 0) parts.push(`${countText(trained)} trained`);
    parts.push(storage);
    if (storage !== "f32") parts.push(`${countText(inexact)} inexact`);
    this.print(parts.join(", "));
  }

  #step({ step, totalSteps, metrics }: RunEvents["step"]): void {
    this.#stepAt = this.#target.now();
    const { step_time: time, reward, correct, format, kl, loss } = metrics;
    if (time !== undefined) this.#stepTimes.push(time);
    if (this.#stepTimes.length > RECENT_STEPS) this.#stepTimes.shift();
    const number = String(step).padStart(String(totalSteps).length);
    const parts = [`step ${number}/${totalSteps}`];
    const add = (name: string, value: number | undefined, show: (value: number) => string) => {
      if (value !== undefined && Number.isFinite(value)) {
        parts.push(`${this.#paint("2", name)} ${show(value)}`);
      }
    };
    const fixed = (value: number): string => value.toFixed(3);
    if (reward === undefined) add("loss", loss, fixed);
    add("reward", reward, fixed);
    add("correct", correct, fixed);
    add("format", format, fixed);
    add("kl", kl, (value) => value.toFixed(4));
    add("tok/s", metrics["rollout/tokens_per_s"], rateText);
    if (this.#stepTimes.length > 0) {
      const mean = this.#stepTimes.reduce((sum, value) => sum + value, 0) / this.#stepTimes.length;
      add("left", mean * (totalSteps - step), clockText);
    }
    if (this.#unhealthy.length > 0) {
      // Right after the step's number, where a narrow terminal does not cut it off.
      parts.splice(1, 0, this.#paint("33", `health: ${this.#unhealthy.join(", ")}`));
    }
    if (!this.#target.live) this.#target.write(`${parts.join("  ")}\n`);
    else this.#draw(parts.join("  "), step === totalSteps);
  }

  #health({ step, findings }: RunEvents["health"]): void {
    const before = this.#unhealthy;
    const wrong = findings.filter(({ level }) => level !== "note");
    this.#unhealthy = wrong.map(({ rule }) => rule);
    for (const { rule, message, example } of wrong) {
      if (before.includes(rule)) continue;
      const name = this.#paint("33", `health: ${rule}`);
      this.print(`${name} at step ${step}: ${message}`);
      if (example !== undefined) this.print(`  ${this.#paint("2", example)}`);
    }
    const over = before.filter((rule) => !this.#unhealthy.includes(rule));
    if (over.length > 0) this.print(`health: ${over.join(", ")} over at step ${step}`);
  }

  #progress(progress: RunEvents["progress"]): void {
    const { what, done, total, unit = "", ratePerS, leftS, step } = progress;
    const now = this.#target.now();
    if (step !== undefined && now - (this.#stepAt ??= now) < STEP_SHOWN_MS) return;
    if (what !== this.#task) [this.#task, this.#taskStart] = [what, now];
    const seconds = (now - this.#taskStart) / 1000;
    const count = (value: number): string => (total < 10_000 ? String(value) : rateText(value));
    const ofTotal =
      unit === "B" ? bytesText(done, total) : `${count(done)}/${count(total)} ${unit}`;
    const parts = [`${what} ${ofTotal}`.trimEnd()];
    const rate = ratePerS ?? (seconds > 0 && done > 0 ? done / seconds : undefined);
    if (rate !== undefined && rate > 0) {
      const [scaled, size] = unit === "B" ? byteUnit(rate) : [unit, 1];
      parts.push(`${rateText(rate / size)}${scaled === "" ? "" : ` ${scaled}`}/s`);
      parts.push(`${this.#paint("2", "left")} ${clockText(leftS ?? (total - done) / rate)}`);
    }
    if (done >= total) this.#task = "";
    if (this.#target.live) this.#draw(parts.join("  "), done >= total);
    else if (now - this.#drawnAt >= PLAIN_PROGRESS_MS && done < total) {
      this.#drawnAt = now;
      this.#target.write(`${parts.join("  ")}\n`);
    }
  }

  #paint(code: string, text: string): string {
    return this.#target.color ? `${ESCAPE}[${code}m${text}${ESCAPE}[0m` : text;
  }

  #draw(line: string, always: boolean): void {
    const now = this.#target.now();
    if (!always && now - this.#drawnAt < REDRAW_MS) return;
    this.#drawnAt = now;
    this.#shown = cutToWidth(line, Math.max(20, this.#target.columns() - 1));
    this.#target.write(CLEAR_LINE + this.#shown);
  }

  #erase(): void {
    if (this.#shown !== "") this.#target.write(CLEAR_LINE);
    this.#shown = "";
  }

  /** Takes the status line away, so that other text can follow. */
  end(): void {
    this.#erase();
  }

  /** Prints a lasting line above the status line. */
  print(text: string): void {
    const shown = this.#shown;
    this.#erase();
    this.#target.write(`${text}\n`);
    if (shown === "") return;
    this.#shown = shown;
    this.#target.write(shown);
  }
}

/** Cuts a line to a number of visible characters; escape sequences count nothing. */
export function cutToWidth(line: string, width: number): string {
  const pieces = line.split(STYLE_CODE);
  let left = width;
  let cut = "";
  for (const piece of pieces) {
    if (piece.startsWith(ESCAPE)) cut += piece;
    else {
      cut += piece.slice(0, left);
      left -= Math.min(left, piece.length);
    }
  }
  return cut;
}
