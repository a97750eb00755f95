import { describe, expect, it } from "vitest";
import { CheckpointError } from "../../src/core/errors.ts";
import { parseGenerationConfig } from "../../src/model/generation-config.ts";

const parse = (values: object) =>
  parseGenerationConfig(JSON.stringify(values), "x/generation_config.json");

describe("generation_config.json", () => {
  it("of Qwen2.5-VL is read whole", () => {
    const file = {
      ...{ bos_token_id: 151643, pad_token_id: 151643, do_sample: true },
      ...{ eos_token_id: [151645, 151643], repetition_penalty: 1.05, temperature: 0.000001 },
      transformers_version: "4.49.0",
    };
    expect(parse(file)).toEqual({
      ...{ eosIds: [151645, 151643], padId: 151643, doSample: true },
      ...{ temperature: 1e-6, repetitionPenalty: 1.05 },
    });
  });

  it("may give one id, and the other keys", () => {
    const file = {
      ...{ eos_token_id: 0, top_k: 20, top_p: 0.5, max_new_tokens: 256, do_sample: false },
      suppress_tokens: [],
    };
    expect(parse(file)).toEqual({
      ...{ eosIds: [0], topK: 20, topP: 0.5, maxNewTokens: 256, doSample: false },
      suppressTokens: [],
    });
  });

  it("may keep no mass: transformers then takes the most likely token", () => {
    expect(parse({ top_p: 0 })).toEqual({ topP: 0 });
  });

  it("may say nothing, by null too", () => {
    expect(parseGenerationConfig(undefined, "x")).toEqual({});
    expect(parse({})).toEqual({});
    expect(parse({ eos_token_id: null, top_k: null, num_beams: 1 })).toEqual({});
  });

  it.each([
    [{ eos_token_id: "151645" }, 'eos_token_id is "151645"; a whole number of at least 0'],
    [{ eos_token_id: [1, -1] }, "eos_token_id is [1,-1]; a list of whole numbers"],
    [{ eos_token_id: [] }, "eos_token_id is []; at least one id"],
    [{ pad_token_id: [1] }, "pad_token_id is [1]; a whole number"],
    [{ do_sample: 1 }, "do_sample is 1; true or false"],
    [{ temperature: -1 }, "temperature is -1; a number of at least 0"],
    [{ temperature: "hot" }, 'temperature is "hot"; a number'],
    [{ top_k: 2.5 }, "top_k is 2.5; a whole number"],
    [{ top_p: -0.1 }, "top_p is -0.1; a number from 0 to 1"],
    [{ top_p: 1.5 }, "top_p is 1.5; a number from 0 to 1"],
    [{ repetition_penalty: 0 }, "repetition_penalty is 0; a number above 0"],
    [{ max_new_tokens: 0 }, "max_new_tokens is 0; a whole number from 1 to 2147483647"],
    [{ suppress_tokens: 3 }, "suppress_tokens is 3; a list of whole numbers"],
  ])("%j is refused", (values, message) => {
    expect(() => parse(values)).toThrow(CheckpointError);
    expect(() => parse(values)).toThrow(`x/generation_config.json: ${message}`);
  });

  it("must be a JSON object", () => {
    expect(() => parseGenerationConfig("{", "x")).toThrow(/x is not JSON/);
    expect(() => parseGenerationConfig("[]", "x")).toThrow(/x: the file is \[\]/);
  });
});
