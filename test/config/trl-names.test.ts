import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { parseRunOptions } from "../../src/cli/options.ts";
import { allFields } from "../../src/config/fields.ts";
import { loadConfig } from "../../src/config/load.ts";
import { equivalent } from "../../src/config/trl-names.ts";
import type { ConfigError } from "../../src/core/errors.ts";

const info = { name: "train" as const, summary: "", resumable: true, version: "0.0.0" };
const parse = (...argv: string[]) => parseRunOptions(info, ["x.yaml", ...argv], () => {});

async function refusal(...overrides: string[]): Promise<string> {
  const readText = async () => "model: { path: m }";
  return await loadConfig("x.yaml", { readText, overrides }).then(
    () => "accepted",
    (error: ConfigError) => error.message,
  );
}

describe("names that users of TRL type", () => {
  it.each([
    ["train.bf16=true", "model.storage=f16s"],
    ["train.gradient_accumulation_steps=4", "train.max_tokens_per_pass"],
    ["train.per_device_train_batch_size=8", "train.prompts_per_step"],
    ["train.use_vllm=true", "no second engine"],
    ["train.max_completion_length=64", "Did you mean rollout.max_completion_length?"],
    ["train.temperature=1", "Did you mean rollout.temperature?"],
    ["model_name_or_path=x", "It is model.path."],
    ["output_dir=x", "It is output.run_dir."],
    ["train.kl_coef=0.1", "It is train.beta."],
  ])("%s is answered with the equivalent", async (override, answer) => {
    const message = await refusal(override);
    expect(message).toContain("is not a known key (command line)");
    expect(message).toContain(answer);
    expect(message.length).toBeLessThan(400);
  });

  it("name settings that exist", () => {
    const known = new Set(allFields().map(({ path }) => path));
    const names = ["bf16", "gradient_accumulation_steps", "lora_r", "warmup_ratio", "run_name"];
    for (const name of names) {
      const settings = equivalent(name)!.match(/\b(?:train|model|rollout|output|eval)\.\w+/g) ?? [];
      expect(settings.filter((path) => !known.has(path))).toEqual([]);
      expect(settings.length).toBeGreaterThan(0);
    }
    expect(equivalent("no_such_name")).toBeUndefined();
  });

  it.each([
    [["--max_steps", "5"], "Write train.max_steps=5."],
    [["--max-steps=5"], "Write train.max_steps=5."],
    [["--learning_rate", "1e-5"], "Write train.learning_rate=1e-5."],
    [["--per_device_train_batch_size", "8"], "train.prompts_per_step"],
  ])("%j is answered with the setting", (argv, answer) => {
    expect(() => parse(...argv)).toThrow(answer);
    expect(() => parse(...argv)).toThrow("settings are written key=value");
  });

  it("of train go without their section", () => {
    const { overrides } = parse("max_steps=5", "seed=7", "task=grpo", "rollout.top_k=3", "nope=1")!;
    expect(overrides).toEqual([
      ...["train.max_steps=5", "train.seed=7", "task=grpo", "rollout.top_k=3", "nope=1"],
    ]);
  });
});

describe("docs/coming-from-transformers.md", () => {
  const page = readFileSync(
    new URL("../../docs/coming-from-transformers.md", import.meta.url),
    "utf8",
  );
  const known = new Set(allFields().map(({ path }) => path));

  it("names settings that exist", () => {
    const paths = [...page.matchAll(/`((?:train|model|rollout|output|data)\.[a-z_.]+)/g)];
    expect(paths.length).toBeGreaterThan(20);
    expect(paths.map(([, path]) => path!).filter((path) => !known.has(path))).toEqual([]);
    const [same] = /Under the same name in the section `train`[^\n]*/.exec(page)!;
    const names = [...same.matchAll(/`([a-z]+(?:_[a-z0-9]+)*)`/g)].map(([, name]) => name!);
    expect(names.filter((name) => name !== "train" && !known.has(`train.${name}`))).toEqual([]);
  });

  it("answers no name otherwise than the program does", () => {
    const rows = page.split("## Rewards")[0]!.matchAll(/^\| (`[^|]*?) *\| (.*?) *\|$/gm);
    for (const [, names, meaning] of rows) {
      const settings = [...meaning!.matchAll(/`(\w+\.\w+)/g)].map(([, path]) => path!);
      for (const [, name] of names!.matchAll(/`(\w+)`/g)) {
        const said = equivalent(name!);
        const answered = said?.match(/\b(?:train|model|rollout|output|data)\.\w+/g) ?? [];
        if (said === undefined || settings.length === 0 || answered.length === 0) continue;
        expect(
          answered.some((path) => settings.includes(path)),
          name,
        ).toBe(true);
      }
    }
  });
});
