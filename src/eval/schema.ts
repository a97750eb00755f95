import { z } from "zod";
import { CONTROLS } from "../core/run-events.ts";
import type { DataRegistry } from "../datasets/registry.ts";
import { namedDataSchema } from "../datasets/schema.ts";
import { scorerSchema } from "./scorer.ts";

const decodingSchema = z.strictObject({
  n: z
    .int()
    .positive()
    .default(1)
    .describe(
      "Answers to each question. Of several, which need a temperature above 0, scores are means, and " +
        "`pass@k` and `maj@n` are measured.",
    ),
  temperature: z
    .number()
    .min(0)
    .default(0)
    .describe("Divisor of the logits; 0 answers greedily, with the most likely token each time."),
  top_p: z.number().gt(0).max(1).default(1).describe("As `rollout.top_p`."),
  top_k: z.int().min(0).default(0).describe("As `rollout.top_k`."),
  max_completion_length: z
    .int()
    .positive()
    .nullable()
    .default(null)
    .describe("Maximum tokens of an answer; null takes `rollout.max_completion_length`."),
  seed: z.int().min(0).max(0xffffffff).default(0).describe("Seed of sampled answers."),
});

/** Settings of a benchmark, whichever data set it asks. */
const COMMON = {
  as: z
    .string()
    .regex(/^[A-Za-z0-9][\w.-]*$/, "it must be letters, digits, dots, hyphens and underscores")
    .nullable()
    .default(null)
    .describe(
      "Name of the benchmark in results and metrics; null takes that of its data set. Benchmarks of " +
        "a list need names of their own.",
    ),
  questions: z
    .int()
    .positive()
    .nullable()
    .default(null)
    .describe(
      "Questions asked, the first ones of the data set: the denominator of every score. Null asks " +
        "all, of `tiny` 300.",
    ),
  decoding: decodingSchema.prefault({}).describe("How answers are decoded."),
  scorer: scorerSchema,
  controls: z
    .array(z.enum(CONTROLS))
    .default([])
    .describe(
      "Evaluations repeated after training: `muted` without sound, `blank` with a flat grey picture, " +
        "`text_only` without any media, which is the floor of a benchmark.",
    ),
};

/** Makes the schema of one benchmark: a data set with its settings, and how it is asked. */
export function benchmarkSchema(registry?: DataRegistry) {
  return namedDataSchema("asked", COMMON, registry);
}

const one = benchmarkSchema();

/** The section `eval`: one benchmark, several, or nothing. */
export const evalSchema = z
  .union([one, z.array(one)])
  .nullable()
  .default(null);

/** One benchmark, checked. */
export type BenchmarkConfig = z.output<typeof one>;
/** Settings of the section `eval`. */
export type EvalConfig = z.output<typeof evalSchema>;

/** Returns the benchmarks of the section `eval` with their names: none, the only one, or a list. */
export function benchmarksOf(
  config: EvalConfig,
): { name: string; settings: BenchmarkConfig; listed: boolean }[] {
  const listed = Array.isArray(config);
  const list = listed ? config : config === null ? [] : [config];
  return list.map((settings) => ({ name: settings.as ?? settings.name, settings, listed }));
}
