import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { train } from "../../src/train/train.ts";
import { recorded, TinyWorkplace } from "../helpers/tiny-run.ts";

describe("law 2: what does not fit is named with its numbers before any step", () => {
  const place = new TinyWorkplace();
  beforeAll(() => place.make());
  afterAll(() => place.remove());

  const stage = { steps: 1, learning_rate: 1e-3, clips_per_step: 2 };

  it.each([
    [
      "a completion larger than a pass",
      { train: { max_tokens_per_pass: 60 } },
      "completion-over-budget",
      /one completion of tiny\S* takes \d+ tokens \(prompt \d+ and 4\).* is 60\. Set .* at least \d+/,
    ],
    [
      "a completion beyond the context",
      { rollout: { max_completion_length: 4090 } },
      "prompt-over-context",
      /tiny\S* ends at position \d+; with 4090 new tokens it passes the model's 4096\. Set rollout/,
    ],
    [
      "a clip with its answers larger than a pass",
      { task: "sft", train: { max_tokens_per_pass: 60 }, sft: { stages: [stage] } },
      "group-over-budget",
      /tiny\S* takes \d+ tokens with its answers; train\.max_tokens_per_pass is 60\. Set/,
    ],
  ])("%s", async (_name, change, code, message) => {
    const { events, list } = recorded("step", "checkpoint");
    const config = place.config({ ...change, device: { tier: inject("tier").toUpperCase() } });
    const failed = train(config, { events, stop: new AbortController().signal });
    await expect(failed).rejects.toMatchObject({ name: "ConfigError", code });
    await expect(failed).rejects.toThrow(message);
    expect(list).toEqual([]);
  });
});
