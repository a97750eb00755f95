import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { PROMPTS } from "../../src/data/prompts/prompts.ts";
import { judgeSchema } from "../../src/reward/judge/judge.ts";
import { REGISTERED_REWARDS } from "../../src/reward/registry.ts";
import { REWARD_DOCS, REWARDS } from "../../src/reward/schema.ts";

const page = readFileSync(new URL("../../docs/rewards.md", import.meta.url), "utf8");

/** The cells of the page's row that begins with a name. */
function rowOf(name: string): string[] | undefined {
  const line = page.split("\n").find((text) => text.startsWith(`| \`${name}\` `));
  return line?.split(" | ").map((cell) => cell.replace(/^\| |\|$/g, "").trim());
}

describe("docs/rewards.md", () => {
  test.each(Object.entries(REGISTERED_REWARDS))(
    "has %s, what it measures and its options",
    (name, entry) => {
      const cells = rowOf(name);
      expect(cells?.[1]).toBe(entry.measures);
      if (name === "judge") return;
      for (const option of Object.keys(entry.options.shape)) {
        expect(cells?.[4], option).toContain(`\`${option}\``);
      }
    },
  );

  test("has every option of a judge with its default", () => {
    const defaults = judgeSchema.parse({ url: "http://x", model: "m" }) as Record<string, unknown>;
    for (const option of Object.keys(judgeSchema.shape)) {
      const shown = ["url", "model"].includes(option) ? "_required_" : String(defaults[option]);
      expect(rowOf(option)?.[1]?.replaceAll("`", ""), option).toBe(shown);
    }
  });

  test("has every prompt", () => {
    for (const name of Object.keys(PROMPTS)) expect(rowOf(name), name).toBeDefined();
  });
});

test("every reward says what it is, and every option too", () => {
  for (const name of REWARDS) expect(REWARD_DOCS[name].length, name).toBeGreaterThan(5);
  for (const { options } of Object.values(REGISTERED_REWARDS)) {
    const shape = options.shape as Record<string, { description?: string }>;
    for (const [key, option] of Object.entries(shape)) expect(option.description, key).toBeTruthy();
  }
});
