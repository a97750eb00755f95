import { z } from "zod";
import { REGISTERED_REWARDS, type RegisteredName, type RewardRegistry } from "./registry.ts";

/** The name that stands for a reward of the user's own. */
export const OWN_REWARD = "module";

/** Rewards that a configuration can name. */
export const REWARDS = [
  ...(Object.keys(REGISTERED_REWARDS) as RegisteredName[]),
  OWN_REWARD,
] as const satisfies readonly string[];

/** A description of each reward, as a phrase for the reference and for model cards. */
export const REWARD_DOCS: Readonly<Record<(typeof REWARDS)[number], string>> = {
  ...(Object.fromEntries(
    Object.entries(REGISTERED_REWARDS).map(([name, { doc }]) => [name, doc]),
  ) as Record<RegisteredName, string>),
  [OWN_REWARD]: "a reward of your own",
};

const kebab = /^[a-z][a-z0-9]*(-[a-z0-9]+)*$/;

/** Makes the schema of one reward and its weight in the sum: a reward of a registry, or a module. */
export function rewardSchemaOf<Name extends string>(registry: RewardRegistry<Name>) {
  const names = Object.keys(registry) as Name[];
  const docs = names.map((name) => `\`${name}\`: ${registry[name].doc}`);
  return z
    .strictObject({
      name: z
        .enum([...names, OWN_REWARD])
        .default(OWN_REWARD as never)
        .describe(
          `${docs.join("; ")}; \`${OWN_REWARD}\`: a reward of your own. docs/rewards.md has their formulas and options.`,
        ),
      weight: z.number().default(1).describe("Factor of this reward in the sum."),
      module: z
        .string()
        .min(1)
        .meta({ format: "module" })
        .optional()
        .describe(
          "A module of your own that exports a reward, relative to this file; instead of `name`.",
        ),
      options: z
        .record(z.string(), z.unknown())
        .optional()
        .describe(
          "Options of the named reward, such as `tolerance` of `numeric`, or of a module that exports a " +
            "function of them.",
        ),
      as: z
        .string()
        .regex(kebab, "it must be lower-case words joined by hyphens")
        .optional()
        .describe("Name in metrics and records; needed where one reward is listed twice."),
      problem_types: z
        .array(z.string())
        .min(1, "it must name a problem type, or be left out")
        .optional()
        .describe("Rows that it applies to, by their problem_type; left out: all."),
    })
    .superRefine((reward, context) => {
      const report = (path: string[], message: string, remedy: string): void => {
        context.addIssue({ code: "custom", path, message, params: { remedy } });
      };
      if (reward.name === OWN_REWARD) {
        if (reward.module === undefined) {
          report(["name"], "neither a name nor a module is given", "Give one of them.");
        }
        return;
      }
      if (reward.module !== undefined) {
        report(["module"], `name is ${reward.name} already`, "Leave one of the two out.");
      }
      const { options } = registry[reward.name as Name];
      const known = Object.keys(options.shape);
      const takes = known.length === 0 ? "It takes none." : `It takes ${known.join(", ")}.`;
      for (const issue of options.safeParse(reward.options ?? {}).error?.issues ?? []) {
        const path = ["options", ...issue.path];
        const [key] = issue.path;
        const absent = typeof key === "string" && reward.options?.[key] === undefined;
        if (absent && issue.code === "invalid_type") {
          const field: z.ZodType | undefined = options.shape[key] as z.ZodType | undefined;
          report(["options", key], `${reward.name} needs it`, field?.description ?? takes);
          continue;
        }
        if (issue.code !== "unrecognized_keys") context.addIssue({ ...issue, path });
      else for (const key of issue.keys) report(["options", key], `${reward.name} has no such option`, takes); // prettier-ignore
      }
    });
}

/** One reward of aubade, or of a user's own, and its weight in the sum. */
export const rewardSchema = rewardSchemaOf(REGISTERED_REWARDS);

/** The weighted rewards of a run. */
export const rewardsSchema = z
  .array(rewardSchema)
  .min(1, "GRPO needs at least one reward")
  .default([
    { name: "format", weight: 0.2 },
    { name: "correct", weight: 0.8 },
  ])
  .describe("Named rewards; a completion's reward is their weighted sum.");

/** One reward and its weight, checked. */
export type RewardConfig = z.output<typeof rewardSchema>;
