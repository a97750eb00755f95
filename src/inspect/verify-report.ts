import { DataError } from "../core/errors.ts";

/** Values of a tensor that a report keeps. */
const KEPT = 256;
/** Maximum relative L2 distance that counts as equal: both in f32, or one in 16 bits. */
const VERIFY_LIMITS = { f32: 1e-4, half: 5e-2 } as const;

/** The facts of one tensor in a report. */
export interface TensorFacts {
  shape: readonly number[];
  norm: number;
  mean: number;
  /** Every n-th value. */
  strided: number[];
}

/** The facts of one prompt in a report. */
export interface VerifiedPrompt {
  tensors: Record<string, TensorFacts>;
  /** The five largest logits of the last token: id and value. */
  top: [id: number, logit: number][];
  /** Greedy ids, placeholders suppressed, no end token. */
  ids: number[];
}

/** The results of one program for the prompts: `aubade verify` or scripts/verify.py. */
export interface VerifyReport {
  version: 1;
  /** Which program, with its version. */
  program: string;
  /** `float32`, or the 16-bit type that was computed in. */
  dtype: string;
  prompts: Record<string, VerifiedPrompt>;
}

/** Returns the facts of a tensor; sums in float64. */
export function tensorFacts(shape: readonly number[], values: Float32Array): TensorFacts {
  let squares = 0;
  let sum = 0;
  for (const value of values) {
    squares += value * value;
    sum += value;
  }
  const count = Math.min(KEPT, values.length);
  const strided = Array.from(
    { length: count },
    (_, i) => values[Math.floor((i * values.length) / count)]!,
  );
  return { shape, norm: Math.sqrt(squares), mean: sum / values.length, strided };
}

/** Exponents with two digits, as C and Python print them. */
function scientific(value: number): string {
  return value.toExponential(6).replace(/e([+-])(\d)$/, "e$10$2");
}

/** Returns the lines of a report: one per tensor, then the largest logits and the greedy ids. */
export function reportLines({ prompts }: VerifyReport): string[] {
  return Object.entries(prompts).flatMap(([prompt, { tensors, top, ids }]) => [
    ...Object.entries(tensors).map(([name, { shape, norm, mean, strided }]) => {
      const sum = strided.reduce((all, value, i) => all + value * (((7919 * i) % 101) / 50 - 1), 0);
      const numbers = [norm, mean, ...strided.slice(0, 3), sum].map(scientific).join(" ");
      return `${prompt} ${name} [${shape.join(", ")}] ${numbers}`;
    }),
    `${prompt} top ${top.map(([id, logit]) => `${id}:${scientific(logit)}`).join(" ")}`,
    `${prompt} ids ${ids.join(" ")}`,
  ]);
}

/**
 * Compares two reports line by line.
 *
 * @returns lines, and how many of them differ by more than the limit.
 */
export function compareReports(
  got: VerifyReport,
  want: VerifyReport,
): { lines: string[]; differing: number } {
  const exact = got.dtype === "float32" && want.dtype === "float32";
  const limit = exact ? VERIFY_LIMITS.f32 : VERIFY_LIMITS.half;
  const lines: string[] = [];
  let differing = 0;
  const say = (name: string, fine: boolean, detail: string) => {
    if (!fine) differing++;
    lines.push(`${fine ? "ok     " : "differs"} ${name} ${detail}`);
  };
  const names = new Set([...Object.keys(want.prompts), ...Object.keys(got.prompts)]);
  for (const prompt of names) {
    const [mine, theirs] = [got.prompts[prompt], want.prompts[prompt]];
    if (mine === undefined || theirs === undefined) {
      say(prompt, false, "is in one report only");
      continue;
    }
    for (const name of new Set([...Object.keys(theirs.tensors), ...Object.keys(mine.tensors)])) {
      const [a, b] = [mine.tensors[name], theirs.tensors[name]];
      const same = a !== undefined && b !== undefined && a.shape.join() === b.shape.join();
      const distance = same ? relativeL2(a.strided, b.strided) : Infinity;
      const detail = same ? distance.toExponential(2) : "has another shape or is missing";
      say(`${prompt} ${name}`, distance <= limit, detail);
    }
    const at = theirs.ids.findIndex((id, i) => mine.ids[i] !== id);
    const gap = theirs.top[0]![1] - theirs.top[1]![1];
    const note = at < 0 ? "equal" : `differ from token ${at} on (first margin ${gap.toFixed(3)})`;
    // Rounding to 16 bits may turn a close choice; in f32 it must not.
    say(`${prompt} ids`, at < 0 || !exact, note);
  }
  return { lines, differing };
}

function relativeL2(got: readonly number[], want: readonly number[]): number {
  const square = (values: readonly number[]) => values.reduce((sum, v) => sum + v * v, 0);
  const error = square(want.map((value, i) => got[i]! - value));
  return Math.sqrt(error / (square(want) || 1));
}

/**
 * Parses a report file.
 *
 * @throws {DataError} `bad-report` that names the file.
 */
export function parseReport(text: string, file: string): VerifyReport {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = undefined;
  }
  const report = value as VerifyReport | undefined;
  if (report?.version === 1 && typeof report.prompts === "object") return report;
  throw new DataError("bad-report", `${file} is no report of aubade verify.`, {
    hint: "Give a file that aubade verify --out or scripts/verify.py --out wrote.",
  });
}
