import { loadRewardModule } from "./load-module.ts";
import { REGISTERED_REWARDS, type RewardRegistry, type RewardSurroundings } from "./registry.ts";
import { type AsyncReward, onlyFor, renameReward, type WeightedReward } from "./reward.ts";
import { OWN_REWARD, type RewardConfig } from "./schema.ts";

/** A reward of a configuration, by whichever registry it was checked. */
type NamedReward = Omit<RewardConfig, "name"> & { readonly name: string };

/**
 * Makes the rewards that a configuration lists, in its order; modules of the user's own are loaded.
 *
 * @throws {ConfigError} when a module cannot be used, or a judge's key is not set.
 */
export async function configuredRewards(
  configs: readonly NamedReward[],
  around: RewardSurroundings,
  registry: RewardRegistry = REGISTERED_REWARDS,
): Promise<WeightedReward<never, AsyncReward>[]> {
  return Promise.all(
    configs.map(async (config) => {
      let reward = await baseReward(config, around, registry);
      if (config.problem_types !== undefined) reward = onlyFor(reward, config.problem_types);
      if (config.as !== undefined) reward = renameReward(reward, config.as);
      return { reward: needsAnswer(config, reward, registry), weight: config.weight };
    }),
  );
}

/** Returns the reward with what the registry says of it. */
function needsAnswer(
  config: NamedReward,
  reward: AsyncReward,
  registry: RewardRegistry,
): AsyncReward {
  if (config.name === OWN_REWARD) return reward;
  return { ...reward, needsAnswer: registry[config.name]!.needsAnswer(config.options ?? {}) };
}

async function baseReward(
  config: NamedReward,
  around: RewardSurroundings,
  registry: RewardRegistry,
): Promise<AsyncReward> {
  if (config.name !== OWN_REWARD) return registry[config.name]!.make(config.options ?? {}, around);
  // The schema asks for a module where there is no name.
  return loadRewardModule(config.module!, config.options);
}
