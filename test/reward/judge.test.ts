import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { afterEach, describe, expect, test } from "vitest";
import { Events } from "../../src/core/events.ts";
import { judgePrompt, JUDGE_PROMPTS, readJudgeReply } from "../../src/reward/judge/reply.ts";
import { judgeReward, judgeSchema } from "../../src/reward/judge/judge.ts";
import type { Completion } from "../../src/reward/reward.ts";
import { RewardScorer } from "../../src/reward/scorer.ts";

const ROW = { id: "r", answer: "a red ball", question: "What rolls?" };
const KEY = "sk-secret-0123456789";

function completion(answer: string, index = 0): Completion {
  return { text: `<answer>${answer}</answer>`, ids: [], finished: true, index, draw: 0 };
}

interface Asked {
  prompt: string;
  body: Record<string, unknown>;
  authorization: string | undefined;
}

type Answer = (asked: Asked, response: ServerResponse, count: number) => void;

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

/** A service that answers as it is told, and what it was asked. */
async function service(
  answer: Answer,
): Promise<{ url: string; asked: Asked[]; most: () => number }> {
  const asked: Asked[] = [];
  let [now, most] = [0, 0];
  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    most = Math.max(most, ++now);
    response.on("close", () => now--);
    let text = "";
    for await (const chunk of request) text += String(chunk);
    const body = JSON.parse(text) as { messages: { content: string }[] };
    const { authorization } = request.headers;
    const one = { prompt: body.messages[0]!.content, body: { ...body }, authorization };
    asked.push(one);
    answer(one, response, asked.length);
  };
  const server = createServer((request, response) => void handle(request, response));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closing.push(() => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}/v1`, asked, most: () => most };
}

function say(response: ServerResponse, content: unknown): void {
  response.setHeader("content-type", "application/json");
  response.end(JSON.stringify({ choices: [{ message: { role: "assistant", content } }] }));
}

const judge = (url: string, options: Record<string, unknown> = {}, runFolder?: string) =>
  judgeReward(judgeSchema.parse({ url, model: "m", backoff_s: 0.001, ...options }), {
    environment: { JUDGE_KEY: KEY, EMPTY: "" },
    runFolder,
  });

async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "judge-"));
  closing.push(() => rm(path, { recursive: true }));
  return path;
}

describe("a judge", () => {
  test("is told question, reference and answer, and gives its score", async () => {
    const { url, asked } = await service(({ prompt }, response) =>
      say(response, prompt.includes("a crimson ball") ? "Yes." : "No"),
    );
    const reward = judge(`${url}/`, { api_key_env: "JUDGE_KEY" });
    expect(await reward.score(completion("a crimson ball"), ROW)).toBe(1);
    expect(await reward.score(completion("a cube"), ROW)).toBe(0);
    expect(asked[0]!.prompt).toContain("What rolls?");
    expect(asked[0]!.prompt).toContain("Reference answer:\na red ball");
    expect(asked[0]!.authorization).toBe(`Bearer ${KEY}`);
    expect(asked[0]!.body).toMatchObject({ model: "m", temperature: 0, max_tokens: 16 });
  });

  test("may give 0 to 10, with a prompt of one's own, on the whole completion", async () => {
    const { url, asked } = await service((_, response) => say(response, "7"));
    const options = {
      scale: "0-10",
      prompt: "Q {question} R {reference} A {completion}",
      part: "completion",
    };
    expect(await judge(url, options).score(completion("{reference}"), ROW)).toBe(0.7);
    expect(asked[0]!.prompt).toBe("Q What rolls? R a red ball A <answer>{reference}</answer>");
    expect(asked[0]!.authorization).toBe(undefined);
  });

  test("is not asked without the question that its prompt shows", async () => {
    const { url, asked } = await service((_, response) => say(response, "Yes"));
    const row = { id: "r", answer: "a red ball" };
    await expect(judge(url).score(completion("x"), row)).rejects.toThrow(
      "Row r has no question for the judge's prompt. Give the row its `question`",
    );
    expect(asked).toEqual([]);
    const prompt = "{reference}? {completion}";
    expect(await judge(url, { prompt }).score(completion("x"), row)).toBe(1);
  });

  test("is not asked about an empty answer", async () => {
    const { url, asked } = await service((_, response) => say(response, "Yes"));
    expect(await judge(url).score(completion(" "), ROW)).toBe(0);
    expect(await judge(url).score({ ...completion(""), text: "a red ball" }, ROW)).toBe(0);
    expect(asked).toEqual([]);
  });

  test("is asked again after faults that may pass", async () => {
    const faults: Answer[] = [
      (_, response) => void response.writeHead(500).end("oops"),
      (_, response) => void response.writeHead(429, { "retry-after": "0" }).end("slow down"),
      (_, response) => void response.end("<html>not JSON"),
      (_, response) => void response.destroy(),
      (_, response) => say(response, null),
      (_, response) => void response.writeHead(524).end("a proxy gave up"),
      (_, response) => void response.writeHead(429, { "retry-after": "" }).end("slow down"),
    ];
    const { url, asked } = await service((one, response, count) =>
      count <= faults.length ? faults[count - 1]!(one, response, count) : say(response, "Yes"),
    );
    expect(await judge(url, { retries: 7 }).score(completion("x"), ROW)).toBe(1);
    expect(asked).toHaveLength(8);
  });

  test("is given up after its retries, with the last reason and the number", async () => {
    const { url, asked } = await service((_, response) => void response.writeHead(503).end("busy"));
    await expect(judge(url, { retries: 2 }).score(completion("x"), ROW)).rejects.toThrow(
      /The judge at http:.* failed after 3 requests: status 503: busy\. Look at the service/,
    );
    expect(asked).toHaveLength(3);
  });

  test("is given up at once where asking again is no use, and the key is never shown", async () => {
    const { url, asked } = await service(
      ({ authorization }, response) =>
        void response.writeHead(401).end(`bad key: ${authorization}`),
    );
    const scored = judge(url, { api_key_env: "JUDGE_KEY" }).score(completion("x"), ROW);
    const error = await Promise.resolve(scored).catch((caught: unknown) => caught as Error);
    expect(String(error)).toContain("failed after one request: status 401: bad key: Bearer ***");
    expect(JSON.stringify([String(error), (error as Error).stack])).not.toContain(KEY);
    expect(asked).toHaveLength(1);
  });

  test("shows no part of a key where a long reply is cut, nor one that a reply repeats", async () => {
    const part = KEY.slice(0, 6);
    for (const place of [170, 185, 190]) {
      const { url } = await service(
        (_, response) => void response.writeHead(400).end("x".repeat(place) + KEY.repeat(3)),
      );
      const scored = judge(url, { api_key_env: "JUDGE_KEY" }).score(completion("x"), ROW);
      const error = await Promise.resolve(scored).catch((caught: unknown) => caught);
      expect(String(error)).toContain("status 400");
      expect(String(error)).not.toContain(part);
    }
    const { url } = await service((_, response) => say(response, `Your key is ${KEY}`));
    const scored = judge(url, { api_key_env: "JUDGE_KEY" }).score(completion("x"), ROW);
    const error = await Promise.resolve(scored).catch((caught: unknown) => caught);
    expect(String(error)).toContain("Your key is ***");
  });

  test("is given up when it does not answer in time", async () => {
    const { url, asked } = await service(() => undefined);
    const reward = judge(url, { timeout_s: 1, retries: 1 });
    await expect(reward.score(completion("x"), ROW)).rejects.toThrow("no reply within 1 s");
    expect(asked).toHaveLength(2);
  });

  test("whose reply never ends is given up too, also while garbage is collected", async () => {
    const { url } = await service((_, response) => void response.write('{"choices": ['));
    const reward = judge(url, { timeout_s: 2, retries: 0 });
    setFlagsFromString("--expose-gc");
    const collect = runInNewContext("gc") as () => void;
    const garbage = setInterval(collect, 100);
    const scored = Promise.resolve(reward.score(completion("x"), ROW));
    await expect(scored).rejects.toThrow("no reply within 2 s");
    clearInterval(garbage);
  });

  test("whose reply trickles is given up when the whole took too long", async () => {
    const { url } = await service((_, response) => {
      const drip = setInterval(() => response.write(" "), 50);
      response.on("close", () => clearInterval(drip));
    });
    const reward = judge(url, { timeout_s: 2, retries: 0 });
    await expect(reward.score(completion("x"), ROW)).rejects.toThrow("no reply within 2 s");
  });

  test("whose reply has no end is given up at its size, and not asked again", async () => {
    const piece = "x".repeat(1 << 16);
    const { url, asked } = await service((_, response) => {
      const more = () => {
        while (!response.destroyed && response.write(piece));
      };
      response.on("drain", more);
      more();
    });
    const reward = judge(url, { timeout_s: 50, retries: 3 });
    await expect(reward.score(completion("x"), ROW)).rejects.toThrow(
      "failed after one request: the answer has more than 8388608 bytes",
    );
    expect(asked).toHaveLength(1);
  });

  test("that is not there says so", async () => {
    const reward = judge("http://127.0.0.1:1/v1", { retries: 0 });
    await expect(reward.score(completion("x"), ROW)).rejects.toThrow(
      /failed after one request: .+/,
    );
  });

  test("hands its key to no other place", async () => {
    const { url: other, asked } = await service((_, response) => say(response, "Yes"));
    const { url } = await service(
      (_, response) =>
        void response.writeHead(307, { location: `${other}/chat/completions` }).end(),
    );
    const reward = judge(url, { retries: 0, api_key_env: "JUDGE_KEY" });
    await expect(reward.score(completion("x"), ROW)).rejects.toThrow("redirect");
    expect(asked).toEqual([]);
  });

  test("has only so many requests at once", async () => {
    const { url, asked, most } = await service(
      (_, response) => void setTimeout(() => say(response, "Yes"), 15),
    );
    const reward = judge(url, { concurrency: 3 });
    const scores = await Promise.all(
      Array.from({ length: 12 }, async (_, at) => reward.score(completion(`x ${at}`), ROW)),
    );
    expect(scores).toEqual(Array.from({ length: 12 }, () => 1));
    expect(asked).toHaveLength(12);
    expect(most()).toBeLessThanOrEqual(3);
    expect(most()).toBeGreaterThan(1);
  });

  test("fails as a counted part, never as a 0", async () => {
    const { url } = await service(({ prompt }, response) =>
      prompt.includes("garbled") ? say(response, "Perhaps") : say(response, "Yes"),
    );
    const events = new Events();
    const heard: string[] = [];
    events.listen(({ kind, data }) => {
      if (kind === "warning") heard.push(data.message);
    });
    const scorer = new RewardScorer([{ reward: judge(url), weight: 1 }], events);
    const completions = ["fine", "garbled", "good"].map(completion);
    const [scores] = await scorer.scoreGroups([{ row: ROW, completions }]);
    expect(scores!.map(({ total }) => total)).toEqual([1, null, 1]);
    expect(heard).toEqual([
      expect.stringContaining('Reward "judge" failed for 1 of 3 completions'),
    ]);
    expect(heard[0]).toContain('The judge replied "Perhaps", which is no yes-no score.');
  });
});

describe("replies", () => {
  test("are asked for once, also when asked together", async () => {
    const { url, asked } = await service((_, response) => say(response, "Yes"));
    const reward = judge(url);
    const twice = ["same", "same", "other"].map(async (text) =>
      reward.score(completion(text), ROW),
    );
    await Promise.all(twice);
    await reward.score(completion("same", 7), { ...ROW, id: "another row" });
    expect(asked).toHaveLength(2);
    await reward.score(completion("same"), { ...ROW, answer: "another reference" });
    expect(asked).toHaveLength(3);
  });

  test("are kept in the run folder, and a torn line is asked for again", async () => {
    const path = await folder();
    const { url, asked } = await service((_, response) => say(response, "Yes"));
    await judge(url, {}, path).score(completion("a"), ROW);
    await judge(url, {}, path).score(completion("b"), ROW);
    await judge(url, {}, path).score(completion("a"), ROW);
    expect(asked).toHaveLength(2);
    const file = join(path, "judge-cache.jsonl");
    const text = await readFile(file, "utf8");
    expect(text).toMatch(
      /^\{"key":"[0-9a-f]{64}","score":1\}\n\{"key":"[0-9a-f]{64}","score":1\}\n$/,
    );
    await writeFile(file, text.slice(0, -9));
    const again = judge(url, {}, path);
    await again.score(completion("a"), ROW);
    expect(asked).toHaveLength(2);
    await again.score(completion("b"), ROW);
    expect(asked).toHaveLength(3);
    await judge(url, { cache: false }, path).score(completion("a"), ROW);
    expect(asked).toHaveLength(4);
    expect(await readFile(file, "utf8")).not.toContain("secret");
  });

  test("that somebody else wrote into the file are not believed", async () => {
    const path = await folder();
    const { url, asked } = await service((_, response) => say(response, "Yes"));
    await judge(url, {}, path).score(completion("a"), ROW);
    const file = join(path, "judge-cache.jsonl");
    const line = await readFile(file, "utf8");
    for (const [at, score] of ['"1"', "2", "null", "-1"].entries()) {
      await writeFile(file, line.replace('"score":1', `"score":${score}`));
      expect(await judge(url, {}, path).score(completion("a"), ROW)).toBe(1);
      expect(asked).toHaveLength(at + 2);
    }
  });

  test("that failed are not kept", async () => {
    const { url, asked } = await service((_, response, count) =>
      say(response, count === 1 ? "Hm" : "No"),
    );
    const reward = judge(url);
    await expect(reward.score(completion("x"), ROW)).rejects.toThrow("no yes-no score");
    expect(await reward.score(completion("x"), ROW)).toBe(0);
    expect(asked).toHaveLength(2);
  });

  test.each([
    ["Yes", 1],
    [" yes.\n", 1],
    ["**No**", 0],
    ["The answer is: Yes", 1],
    ["<think>no, or yes?</think>\nYes", 1],
    ["Yes and no", undefined],
    ["Yesterday", undefined],
    ["", undefined],
    ["1", undefined],
  ])("yes-no %j", (reply, score) => {
    if (score === undefined)
      expect(() => readJudgeReply(reply, "yes-no")).toThrow("no yes-no score");
    else expect(readJudgeReply(reply, "yes-no")).toBe(score);
  });

  test.each([
    ["10", 1],
    ["0", 0],
    [" 7.5\n", 0.75],
    ["8/10", 0.8],
    ["Score: 6", 0.6],
    ["**Rating: 3**.", 0.3],
    ["<think>9</think>2", 0.2],
    ["11", undefined],
    ["-3", undefined],
    ["100", undefined],
    ["3 out of 5 points", undefined],
    ["7 or 8", undefined],
    ["seven", undefined],
    ["", undefined],
  ])("0-10 %j", (reply, score) => {
    if (score === undefined) expect(() => readJudgeReply(reply, "0-10")).toThrow("no 0-10 score");
    else expect(readJudgeReply(reply, "0-10")).toBeCloseTo(score, 15);
  });

  test("of a megabyte are read at once", () => {
    const started = performance.now();
    expect(() => readJudgeReply("yes no ".repeat(150000), "yes-no")).toThrow();
    expect(() => readJudgeReply(" ".repeat(1 << 20), "0-10")).toThrow();
    expect(performance.now() - started).toBeLessThan(500);
  });
});

describe("prompts", () => {
  test("ask for one of the two scales and show all three texts", () => {
    for (const template of Object.values(JUDGE_PROMPTS)) {
      const texts = { question: "QQ", reference: "RR {completion}", completion: "CC {question}" };
      const prompt = judgePrompt(template, texts);
      expect(prompt).toContain("QQ");
      expect(prompt).toContain("RR {completion}");
      expect(prompt).toContain("CC {question}");
    }
  });

  test("and keys that make no sense are refused before the run", () => {
    expect(() => judge("http://x/v1", { prompt: "{question}" })).toThrow("no {completion} in it");
    expect(() => judge("http://x/v1", { api_key_env: "ABSENT" })).toThrow(
      "The environment variable ABSENT is not set.",
    );
    expect(() => judge("http://x/v1", { api_key_env: "EMPTY" })).toThrow("EMPTY is not set");
    expect(() => judge("ftp://x/v1")).toThrow("Invalid URL");
    // Messages and the run's records show the address.
    expect(() => judge("http://me:secret@x/v1")).toThrow("it must not hold a user or password");
  });
});
