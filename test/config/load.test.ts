import { readText as readFromDisk } from "#io";
import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { describe, expect, it } from "vitest";
import { loadConfig, resolvedYaml } from "../../src/config/load.ts";
import { editDistance, nearest } from "../../src/core/nearest.ts";
import { checkSource } from "../../src/config/load.ts";
import { parseSource } from "../../src/config/source.ts";
import { referenceFiles } from "../../scripts/make-config-reference.ts";
import { ConfigError } from "../../src/core/errors.ts";
import { LOSSES } from "../../src/policy/loss/losses.ts";
import { REWARDS } from "../../src/reward/schema.ts";

const disk = (path: string): Promise<string> => readFile(path, "utf8");

function memory(files: Record<string, string>) {
  return async (path: string): Promise<string> => {
    const text = files[path];
    if (text === undefined) throw new Error("no such file");
    return text;
  };
}

async function failure(
  yaml: string,
  overrides: string[] = [],
  others: Record<string, string> = {},
): Promise<ConfigError> {
  const readText = memory({ "configs/x.yaml": yaml, ...others });
  try {
    await loadConfig("configs/x.yaml", { readText, overrides });
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    return error as ConfigError;
  }
  throw new Error("the configuration was accepted");
}

const MODEL = "model:\n  path: m\n";

describe("shipped configurations", () => {
  it.each(["configs/tiny.yaml", "configs/own.yaml"])("%s loads and is frozen", async (file) => {
    const config = await loadConfig(file, { readText: disk });
    expect(config.data.name).toBe(file === "configs/own.yaml" ? "jsonl" : "tiny");
    expect(() => {
      (config.train as { seed: number }).seed = 1;
    }).toThrow(TypeError);
  });

  it("tiny.yaml is the recommended run", async () => {
    const { train, rollout, rewards } = await loadConfig("configs/tiny.yaml", { readText: disk });
    expect(train).toMatchObject({ learning_rate: 1.5e-4, epsilon_high: 0.28, beta: 0 });
    expect(train.prompts_per_step * train.num_generations).toBe(128);
    expect(rollout.max_completion_length).toBe(9);
    expect(rewards).toEqual([
      { name: "format", weight: 0.2 },
      { name: "correct", weight: 0.8 },
    ]);
  });

  it("the resolved dump loads to the same run", async () => {
    const config = await loadConfig("configs/tiny.yaml", { readText: disk });
    const again = checkSource(parseSource(resolvedYaml(config), "r.yaml"), "r.yaml");
    expect(again).toEqual(config);
    expect(resolvedYaml(again)).toBe(resolvedYaml(config));
  });
});

describe("generated reference", () => {
  it("is current", async () => {
    for (const { path, text } of await referenceFiles()) {
      expect(await disk(path), `run: npx tsx scripts/make-config-reference.ts (${path})`).toBe(
        text,
      );
    }
  });
});

describe("layers", () => {
  it("merges sections, replaces lists, and overrides win", async () => {
    const readText = memory({
      "configs/base.yaml": `${MODEL}train:\n  seed: 1\n  max_steps: 5\ndata:\n  kinds: [see, hear]\n`,
      "configs/recipes/x.yaml":
        "extends: ../base.yaml\ntrain:\n  max_steps: 9\ndata:\n  kinds: [both]\n",
    });
    const config = await loadConfig("configs/recipes/x.yaml", {
      readText,
      overrides: ["train.learning_rate=1e-5", "rewards.1.weight=2", "train.lora={r: 4}"],
    });
    expect(config.train).toMatchObject({ seed: 1, max_steps: 9, learning_rate: 1e-5 });
    expect(config.train.lora).toMatchObject({ r: 4, lora_alpha: 32 });
    expect(config.data).toMatchObject({ kinds: ["both"] });
    expect(config.rewards.map((reward) => reward.weight)).toEqual([0.2, 2]);
  }, 20_000);

  it("reports a cycle, a missing parent and a bad override", async () => {
    const cycle = await failure("extends: x.yaml\n");
    expect(cycle.code).toBe("extends-cycle");
    expect(cycle.message).toContain("configs/x.yaml -> configs/x.yaml");
    const missing = await failure("extends: [nope.yaml]\n");
    expect(missing.message).toContain(
      "configs/nope.yaml cannot be read (extended by configs/x.yaml)",
    );
    expect((await failure(MODEL, ["train.seed"])).code).toBe("bad-override");
    expect((await failure(MODEL, ["__proto__.x=1"])).code).toBe("bad-override");
    expect(
      (await failure(`${MODEL}rewards: [{name: format}]`, ["rewards.3.weight=1"])).message,
    ).toContain("not an item of a list of 1");
    const disk = loadConfig("configs/none.yaml", { readText: readFromDisk });
    await expect(disk).rejects.toThrow(
      /^configs\/none\.yaml cannot be read: missing file\. Give the path of a YAML file/,
    );
  });
});

describe("messages", () => {
  it("G = 1 says what GRPO needs, where and what to set", async () => {
    const error = await failure(`${MODEL}train:\n  seed: 1\n  num_generations: 1\n`);
    expect(error.message).toBe(
      "train.num_generations is 1; GRPO needs at least 2 to form an advantage " +
        "(configs/x.yaml:5). Set it to 8.",
    );
    expect(error.hint).toBe("Set it to 8.");
  });

  it("adapters need a base that is kept, and a part that trains", async () => {
    const model = "model: {path: m, init: random}\n";
    expect((await failure(`${model}train: {lora: {}}\n`)).message).toContain(
      "adapters alone are saved, and new random weights would be lost",
    );
    const frozen = await failure(`${MODEL}train: {lora: {}, tune_mm_llm: false}\n`);
    expect(frozen.message).toContain("every part of the model is frozen");
  });

  it.each([
    ["data: {name: jsonl, path: a, seed: 4}", "data.seed is not a known key", "data.name: tiny"],
    ["data: {path: a}", "data.path is not a known key", "set data.name to jsonl"],
    ["data: {name: jsnl}", "it must be one of tiny, jsonl", "Did you mean jsonl?"],
    ["eval: {name: none}", 'eval.name is "none"', "Set eval to null for none."],
    ["eval: {seed: 3}", "the held-out clips would be the training clips", "Set it to 4."],
    ["eval: [{name: jsonl, path: a}, {name: jsonl, path: b}]", "eval.1.as:", "called jsonl"],
    ["eval: [{name: jsonl}]", "eval.0.path is missing", "File of rows"],
  ])("settings of one data set do not exist for another: %s", async (yaml, what, remedy) => {
    const { message } = await failure(`${MODEL}${yaml}\n`);
    expect(message).toContain(what);
    expect(message).toContain(remedy);
  });

  it("a section that names another data set drops the settings which that one lacks", async () => {
    const yaml = `${MODEL}data: {seed: 4, over_budget: leave_out}\neval: {questions: 5, seed: 2}\n`;
    const overrides = ["data.name=jsonl", "data.path=a", "eval.name=jsonl", "eval.path=b"];
    const readText = memory({ "configs/x.yaml": yaml });
    const config = await loadConfig("configs/x.yaml", { readText, overrides });
    expect(config.data).toMatchObject({
      name: "jsonl",
      path: resolve("a"),
      over_budget: "leave_out",
    });
    expect(config.data).not.toHaveProperty("seed");
    expect(config.eval).toMatchObject({ name: "jsonl", path: resolve("b"), questions: 5 });
  });

  it("what a loss or the best checkpoint needs is asked for before any work", async () => {
    const message = async (yaml: string) => (await failure(MODEL + yaml)).message;
    expect(await message("train: {kl_in_reward: true}\n")).toContain(
      "there is no KL to take off rewards at beta 0",
    );
    const gdpo = "train: {kl_in_reward: true, beta: 0.1, advantage_estimator: gdpo}\n";
    expect(await message(gdpo)).toContain("not from their sum less a KL");
    expect(await message("train: {sync_ref_model: true}\n")).toContain(
      "there is no reference policy to move at beta 0",
    );
    for (const name of ["sync_ref_model", "ref_model_offload"]) {
      expect(await message(`train: {lora: {}, beta: 0.1, ${name}: true}\n`)).toContain(
        "with adapters the reference is the model without them",
      );
    }
    expect(await message("train: {loss_type: cispo}\n")).toContain(
      "`cispo` caps the ratio at it (configs/x.yaml:3). Set it; TRL's is 5.",
    );
    expect(
      await message("train: {loss_type: vespo, importance_sampling_mode: sequence_mask}\n"),
    ).toContain("`vespo` corrects tokens, not sequences");
    for (const name of ["rewrd", "eval/overall"]) {
      expect(await message(`output: {keep_best: ${name}}\n`)).toContain(
        `a step measures no ${name}`,
      );
    }
  });

  it.each([
    [
      "train:\n  learning_rat: 1\n",
      "train.learning_rat is not a known key (configs/x.yaml:4). Did you mean train.learning_rate?",
    ],
    ["train:\n  temperature: 1\n", "Did you mean rollout.temperature?"],
    ["trian:\n  seed: 1\n", "trian is not a known key (configs/x.yaml:3). Did you mean train?"],
    ["train:\n  __proto__: 1\n", "train.__proto__ is not a known key (configs/x.yaml:4)."],
    [
      "train:\n  loss_type: dpao\n",
      `train.loss_type is "dpao"; it must be one of ${Object.keys(LOSSES).join(", ")} (configs/x.yaml:4). Did you mean dapo?`,
    ],
    [
      "train:\n  learning_rate: fast\n",
      'train.learning_rate is "fast"; it must be a number (configs/x.yaml:4). Set it to 0.000001.',
    ],
    [
      "train:\n  max_steps: 1.5\n",
      "train.max_steps is 1.5; it must be a whole number (configs/x.yaml:4). Set it to null, or remove it.",
    ],
    [
      "train:\n  epsilon: -1\n",
      "train.epsilon is -1; it must be at least 0 (configs/x.yaml:4). Set it to 0.2.",
    ],
    [
      "rewards:\n  - name: corect\n",
      `rewards.0.name is "corect"; it must be one of ${REWARDS.join(", ")} (configs/x.yaml:4). Did you mean correct?`,
    ],
    [
      "eval:\n  seed: 3\n",
      "the held-out clips would be the training clips (data.seed is 3 too) (configs/x.yaml:4). Set it to 4.",
    ],
    [
      "eval:\n  name: tiny\n  seed: 9\n  decoding: { n: 4 }\n",
      "greedy decoding gives one answer, not decoding.n of 4 (configs/x.yaml:6). Set it above 0",
    ],
    [
      "train: 5\n",
      "train is 5; it must be a section of settings (configs/x.yaml:3). Indent its settings below it",
    ],
    [
      "rollout:\n  temperature: 0\n",
      "rollout.temperature is 0; sampling divides the logits by it, so it must be above 0 (configs/x.yaml:4). Set it to 1.",
    ],
  ])("%j", async (yaml, expected) => {
    expect((await failure(MODEL + yaml)).message).toContain(expected);
  });

  it("a missing key, a wrong override, several problems, bad YAML", async () => {
    expect((await failure("task: grpo\n")).message).toContain("model is missing (configs/x.yaml).");
    const override = await failure(MODEL, ["train.num_generations=1"]);
    expect(override.message).toContain("(command line)");
    const several = await failure("model:\n  pth: m\ntrain:\n  beta: -1\n");
    expect(several.message).toMatch(/has 3 problems:\n {2}1\. .*\n {2}2\. .*\n {2}3\. /);
    const syntax = await failure("model:\n  path: m\n  path: n\n");
    expect(syntax.code).toBe("yaml-syntax");
    expect(syntax.message).toContain(
      "configs/x.yaml:3:3 is not valid YAML: Map keys must be unique",
    );
    expect((await failure("- 1\n")).code).toBe("not-a-mapping");
  });

  it("an alias without an end, without an anchor, or for thousands", async () => {
    const nine = (of: string) => `[${Array(9).fill(of).join(", ")}]`;
    const bomb = `a: &a ${nine("1")}\nb: &b ${nine("*a")}\nc: &c ${nine("*b")}\nd: ${nine("*c")}\n`;
    for (const [yaml, why] of [
      ["task: &a [*a]\n", "an anchor holds itself"],
      ["task: *b\n", "Unresolved alias (the anchor must be set before the alias): b"],
      [bomb, "Excessive alias count indicates a resource exhaustion attack"],
    ] as const) {
      const { code, message } = await failure(yaml);
      expect(code).toBe("yaml-alias");
      expect(message).toContain(`configs/x.yaml cannot be read: ${why}. Write the value out`);
    }
    const { message } = await failure(MODEL, ["train.max_steps=&a [*a]"]);
    expect(message).toContain('the value in "train.max_steps=&a [*a]" cannot be read');
  });

  it("what a file holds is repeated in part, and nothing that a terminal obeys", async () => {
    const long = await failure(MODEL, [`train.learning_rate=${"x".repeat(100_000)}`]);
    expect(long.message.length).toBeLessThan(300);
    const key = await failure(`${MODEL}"tra\\e[31m\\nforged": 1\n`);
    expect(key.message).toContain("tra\\u001b[31m\\u000aforged is not a known key");
  });

  it("a place follows the file that wrote the value", async () => {
    const error = await failure("extends: b.yaml\ntrain:\n  seed: 1\n", [], {
      "configs/b.yaml": `${MODEL}train:\n  num_generations: 1\n`,
    });
    expect(error.message).toContain("(configs/b.yaml:4)");
  });
});

describe("nearest spelling", () => {
  it("counts edits, swaps as one", () => {
    expect(editDistance("kitten", "sitting")).toBe(3);
    expect(editDistance("seed", "sede")).toBe(1);
    expect(editDistance("", "abc")).toBe(3);
  });

  it("finds near words only", () => {
    expect(nearest("num_generatoins", ["num_iterations", "num_generations"])).toBe(
      "num_generations",
    );
    expect(nearest("zebra", ["seed", "max_steps"])).toBeUndefined();
  });
});
