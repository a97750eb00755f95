import { ConfigError, DataError } from "../core/errors.ts";
import { readJsonl } from "../io/jsonl.ts";
import { bootstrapInterval, mcnemar } from "./statistics.ts";

/** One answer of an evaluation, as far as a comparison reads it. */
export interface ComparedAnswer {
  benchmark: string;
  sample: string;
  categories: readonly string[];
  score: number;
  correct: boolean;
  protocol: string;
  text: string;
  question?: string;
}

/** The difference of two evaluations over a set of questions: B less A. */
export interface Difference {
  questions: number;
  a: number;
  b: number;
  difference: number;
  /** 95 % interval of the difference, by a bootstrap over questions, paired. */
  interval: [low: number, high: number];
  /** Questions that only one of them has right, and the p-value of McNemar's exact test. */
  mcnemar: { onlyA: number; onlyB: number; p: number };
}

/** A question whose answer is right in one of them only. */
export interface ChangedAnswer {
  sample: string;
  question: string;
  right: "A" | "B";
  a: string;
  b: string;
}

/** Two evaluations of one benchmark, question by question. */
export interface Comparison extends Difference {
  benchmark: string;
  categories: Record<string, Difference>;
  changed: ChangedAnswer[];
  /** Questions that only one of them answered; the other's count as wrong. */
  unanswered: { a: number; b: number };
}

/**
 * Reads the answers of an evaluation: what `eval --out` wrote, or a run's answers.jsonl, of which the
 * last evaluation with nothing taken away counts.
 *
 * @throws {DataError} `no-answers` where a file has none, or lines that are no answers.
 */
export async function readAnswers(path: string): Promise<ComparedAnswer[]> {
  const answers: (ComparedAnswer & { step: number; control: unknown })[] = [];
  for await (const { value, line } of readJsonl(path)) {
    const answer = value as Partial<(typeof answers)[number]>;
    const { benchmark, sample, score, protocol, categories } = answer;
    const whole = typeof benchmark === "string" && typeof sample === "string";
    if (!whole || typeof score !== "number" || typeof protocol !== "string" || !categories) {
      throw new DataError("no-answers", `${path}:${line} is no answer of an evaluation.`, {
        hint: "Name what eval --out wrote, or a run folder with answers.jsonl.",
      });
    }
    if (answer.control === null) answers.push(answer as (typeof answers)[number]);
  }
  const last = answers.at(-1);
  if (last === undefined) {
    throw new DataError("no-answers", `${path} holds no answer.`, {
      hint: "Evaluate with eval --out FILE first.",
    });
  }
  return answers.filter(({ step }) => step === last.step);
}

/**
 * Compares two evaluations, benchmark by benchmark.
 *
 * Source: McNemar 1947; Efron and Tibshirani 1993, ch. 13 (percentile interval).
 *
 * @param anyProtocol compares benchmarks that were asked in different ways, too.
 * @throws {ConfigError} `nothing-shared`; `other-protocol` that names the benchmark.
 */
export function compareAnswers(
  a: readonly ComparedAnswer[],
  b: readonly ComparedAnswer[],
  { anyProtocol, seed }: { anyProtocol: boolean; seed: number },
): Comparison[] {
  const names = (all: readonly ComparedAnswer[]) => new Set(all.map(({ benchmark }) => benchmark));
  const shared = [...names(a)].filter((name) => names(b).has(name));
  if (shared.length === 0) {
    const list = (all: readonly ComparedAnswer[]) => [...names(all)].join(", ");
    throw new ConfigError(
      "nothing-shared",
      `A has ${list(a)}, B has ${list(b)}: none is in both.`,
      {
        hint: "Give the benchmarks the same name by `as`, or compare other evaluations.",
      },
    );
  }
  return shared.map((benchmark) => {
    const of = (all: readonly ComparedAnswer[]) =>
      bySample(all.filter((one) => one.benchmark === benchmark));
    return compareOne(benchmark, of(a), of(b), { anyProtocol, seed });
  });
}

/** One answer a question: of several the mean score, right where more than half of them are. */
function bySample(answers: readonly ComparedAnswer[]): Answers {
  const groups = new Map<string, ComparedAnswer[]>();
  for (const answer of answers) {
    groups.set(answer.sample, [...(groups.get(answer.sample) ?? []), answer]);
  }
  const joined = [...groups].map(([sample, group]): [string, ComparedAnswer] => {
    const share = (of: (one: ComparedAnswer) => number) =>
      group.reduce((sum, one) => sum + of(one), 0) / group.length;
    const correct = share((one) => Number(one.correct)) > 0.5;
    return [sample, { ...group[0]!, score: share((one) => one.score), correct }];
  });
  return new Map(joined);
}

type Answers = ReadonlyMap<string, ComparedAnswer>;

/** The answers of a question; undefined where it has none. */
interface Pair {
  sample: string;
  a: ComparedAnswer | undefined;
  b: ComparedAnswer | undefined;
}

function compareOne(
  benchmark: string,
  a: Answers,
  b: Answers,
  { anyProtocol, seed }: { anyProtocol: boolean; seed: number },
): Comparison {
  const protocols = new Set([...a.values(), ...b.values()].map(({ protocol }) => protocol));
  if (protocols.size > 1 && !anyProtocol) {
    throw new ConfigError(
      "other-protocol",
      `${benchmark} was asked in two ways (${[...protocols].join(", ")}): rows, prompt, media, decoding or scorer differ, so that the difference is not the models' alone.`,
      { hint: "Evaluate both in the same way, or compare all the same with --any-protocol." },
    );
  }
  const samples = [...new Set([...a.keys(), ...b.keys()])];
  const pairs = samples.map((sample) => ({ sample, a: a.get(sample), b: b.get(sample) }));
  const names = [...new Set(pairs.flatMap(categoriesOf))].filter((name) => name !== "all");
  const categories = names.map((name) => {
    const own = pairs.filter((pair) => categoriesOf(pair).includes(name));
    return [name, differenceOf(own, seed)] as const;
  });
  return {
    benchmark,
    ...differenceOf(pairs, seed),
    categories: Object.fromEntries(categories),
    changed: pairs.flatMap(changeOf),
    unanswered: {
      a: pairs.filter((pair) => pair.a === undefined).length,
      b: pairs.filter((pair) => pair.b === undefined).length,
    },
  };
}

const categoriesOf = ({ a, b }: Pair): readonly string[] => (a ?? b)!.categories;

function changeOf({ sample, a, b }: Pair): ChangedAnswer[] {
  const [right, wrong] = [a?.correct === true, b?.correct === true];
  if (right === wrong) return [];
  const question = (a ?? b)!.question ?? "";
  return [{ sample, question, right: right ? "A" : "B", a: a?.text ?? "", b: b?.text ?? "" }];
}

function differenceOf(pairs: readonly Pair[], seed: number): Difference {
  const mean = (values: readonly number[]) =>
    values.reduce((sum, value) => sum + value, 0) / values.length;
  const differences = pairs.map(({ a, b }) => (b?.score ?? 0) - (a?.score ?? 0));
  const onlyA = pairs.filter(({ a, b }) => a?.correct === true && b?.correct !== true).length;
  const onlyB = pairs.filter(({ a, b }) => b?.correct === true && a?.correct !== true).length;
  return {
    questions: pairs.length,
    a: mean(pairs.map(({ a }) => a?.score ?? 0)),
    b: mean(pairs.map(({ b }) => b?.score ?? 0)),
    difference: mean(differences),
    interval: bootstrapInterval(differences, seed),
    mcnemar: { onlyA, onlyB, p: mcnemar(onlyA, onlyB) },
  };
}
