import { z } from "zod";
import { appendLine, exists, readText } from "#io";
import { ConfigError, DataError } from "../../core/errors.ts";
import { JudgeClient } from "./client.ts";
import { JUDGE_PROMPTS, JUDGE_SCALES, judgePrompt, readJudgeReply } from "./reply.ts";
import { type AsyncReward, defineReward, type RewardRow } from "../reward.ts";
import { sha256 } from "../../io/byte-source.ts";
import { firstBlock } from "../../text/tags.ts";
import { goldOf } from "../gold-text.ts";

/** How a judge is reached and asked. */
export const judgeSchema = z.strictObject({
  url: z
    .url({ protocol: /^https?$/ })
    .refine((url) => !/^[a-z]+:\/\/[^/]*@/i.test(url), "it must not hold a user or password")
    .describe("Base of an OpenAI-compatible service, such as http://localhost:8000/v1."),
  model: z.string().min(1).describe("The model that judges."),
  api_key_env: z
    .string()
    .min(1)
    .nullable()
    .default(null)
    .describe("Environment variable that holds the key; null sends none."),
  scale: z
    .enum(JUDGE_SCALES)
    .default("yes-no")
    .describe("What is asked for: Yes or No (1 or 0), or a number from 0 to 10 (over 10)."),
  prompt: z
    .string()
    .min(1)
    .nullable()
    .default(null)
    .describe("The prompt, with {question}, {reference} and {completion}; null is aubade's own."),
  part: z
    .enum(["answer", "completion"])
    .default("answer")
    .describe("What is judged: the first answer block, an empty one scoring 0 unasked, or all."),
  temperature: z.number().min(0).default(0).describe("Temperature of the judge."),
  max_tokens: z.int().positive().default(16).describe("Longest reply in tokens."),
  timeout_s: z.number().positive().default(60).describe("Seconds for one request."),
  retries: z.int().min(0).default(4).describe("Further requests after a failure that may pass."),
  backoff_s: z.number().min(0).default(1).describe("Seconds before the first of them; doubles."),
  concurrency: z.int().positive().default(8).describe("Most requests at once."),
  cache: z
    .boolean()
    .default(true)
    .describe("Whether replies are kept in the run folder and asked for once."),
});

/** How a judge is reached and asked, checked. */
export type JudgeOptions = z.output<typeof judgeSchema>;

/** The surroundings of a judge, besides its options. */
export interface JudgeSurroundings {
  /** Folder that keeps `judge-cache.jsonl`; without one replies are kept in memory only. */
  runFolder?: string | undefined;
  /** Environment variables; the process's own by default. */
  environment?: Readonly<Record<string, string | undefined>> | undefined;
}

/**
 * Returns a language model's judgement of the answer against the row's own, 0 to 1.
 *
 * The same prompt is asked once: replies are kept by the content of prompt, model and service. Only
 * replies that could be read are kept. A judge that fails or says no score throws, and so has no
 * score in the sum; `RewardScorer` counts and reports that. So does a row without the question that
 * the prompt shows.
 *
 * Source: the role of HumanMLLM/HumanOmniV2's judges (`similarity`, 9bf0e6f, 2025-07-01), where a
 * failure scores 0; the prompts are aubade's.
 *
 * @throws {ConfigError} `judge-key` when the environment variable is not set, `judge-prompt` when
 * the prompt does not show the completion.
 */
export function judgeReward(options: JudgeOptions, around: JudgeSurroundings = {}): AsyncReward {
  const { url, model, scale, temperature, part } = options;
  const template = options.prompt ?? JUDGE_PROMPTS[scale];
  if (!template.includes("{completion}")) {
    throw new ConfigError("judge-prompt", "The judge's prompt has no {completion} in it.", {
      hint: "Put {question}, {reference} and {completion} where they belong.",
    });
  }
  const client = new JudgeClient({ ...options, apiKey: keyOf(options, around) });
  const folder = options.cache ? around.runFolder : undefined;
  const cache = new ReplyCache(folder === undefined ? undefined : `${folder}/judge-cache.jsonl`);
  return defineReward("judge", async ({ text }, row) => {
    const completion = part === "answer" ? firstBlock(text, "answer") : text;
    if (completion === undefined || completion.trim() === "") return 0;
    if (!row.question && template.includes("{question}")) throw noQuestion(row);
    const texts = { question: row.question ?? "", reference: goldOf(row), completion };
    const prompt = judgePrompt(template, texts);
    const key = await sha256(JSON.stringify([url, model, scale, temperature, prompt]));
    return cache.get(key, async () => readJudgeReply(await client.ask(prompt), scale));
  });
}

function noQuestion(row: RewardRow): DataError {
  return new DataError("judge-question", `Row ${row.id} has no question for the judge's prompt.`, {
    hint: "Give the row its `question` beside its prompt, or the judge a prompt without {question}.",
  });
}

function keyOf({ api_key_env: name }: JudgeOptions, around: JudgeSurroundings): string | undefined {
  if (name === null) return undefined;
  const environment = around.environment ?? globalThis.process?.env ?? {};
  const key = environment[name];
  if (key !== undefined && key.trim() !== "") return key.trim();
  throw new ConfigError("judge-key", `The environment variable ${name} is not set.`, {
    hint: `Set ${name} to the judge's API key, or options.api_key_env to null.`,
  });
}

/** Scores by key, in memory and, if it has a file, there too: one line of JSON each. */
class ReplyCache {
  readonly #scores = new Map<string, Promise<number>>();
  readonly #path: string | undefined;
  #loaded: Promise<void> | undefined;
  #written: Promise<void> = Promise.resolve();

  constructor(path: string | undefined) {
    this.#path = path;
  }

  async get(key: string, ask: () => Promise<number>): Promise<number> {
    await (this.#loaded ??= this.#load());
    const known = this.#scores.get(key);
    if (known !== undefined) return known;
    const asked = ask();
    this.#scores.set(key, asked);
    try {
      const score = await asked;
      await this.#write(key, score);
      return score;
    } catch (error) {
      // The next completion that says the same may have more luck.
      this.#scores.delete(key);
      throw error;
    }
  }

  async #load(): Promise<void> {
    if (this.#path === undefined || !(await exists(this.#path))) return;
    for (const line of (await readText(this.#path)).split("\n")) {
      try {
        const { key, score } = JSON.parse(line) as { key: string; score: number };
        if (typeof score === "number" && score >= 0 && score <= 1)
          this.#scores.set(key, Promise.resolve(score));
      } catch {
        // A run that was cut off leaves half a line; its reply is asked for again.
      }
    }
  }

  /** One line after the other, so that lines never mix. */
  async #write(key: string, score: number): Promise<void> {
    if (this.#path === undefined) return;
    const path = this.#path;
    const line = JSON.stringify({ key, score });
    this.#written = this.#written.catch(() => undefined).then(() => appendLine(path, line));
    await this.#written;
  }
}
