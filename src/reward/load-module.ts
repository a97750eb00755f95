import { absolutePath } from "#io";
import { AubadeError, ConfigError, DataError } from "../core/errors.ts";
import { loadModule } from "../io/load-module.ts";
import {
  type AsyncReward,
  type Completion,
  defineGroupReward,
  defineReward,
  type RewardRow,
} from "./reward.ts";

/** Options that a configuration gives a reward module. */
export type ModuleOptions = Readonly<Record<string, unknown>>;

/**
 * Loads a reward of a user's own: a module whose default export, or export called `reward`, is a
 * reward, or a function that makes one of the configuration's options. A reward is what
 * `defineReward` or `defineGroupReward` make, or any object with a `name` and a function `score` or
 * `scoreGroup`.
 *
 * What it returns is checked like that of any reward: a value that is no finite number or null, and
 * anything thrown, is a failure of that completion with its message, the module and the row. It sees
 * frozen copies of completion and row.
 *
 * @param path of the module; configurations have made theirs absolute.
 * @throws {ConfigError} as `loadModule`; `reward-module-shape`; `reward-module-options` for options
 *   that nothing takes or that the module refuses; each with the path.
 */
export async function loadRewardModule(
  path: string,
  options?: ModuleOptions,
): Promise<AsyncReward> {
  const what = `The reward module ${absolutePath(path)}`;
  const found = await loadModule("reward", path);
  if (typeof found === "function") return checked(await made(found, options ?? {}, what), what);
  if (options === undefined || Object.keys(options).length === 0) return checked(found, what);
  throw new ConfigError("reward-module-options", `${what} is a reward that takes no options.`, {
    hint: "Export a function of the options that returns the reward.",
  });
}

async function made(make: unknown, options: ModuleOptions, what: string): Promise<unknown> {
  try {
    return await (make as (options: ModuleOptions) => unknown)(structuredClone(options));
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new ConfigError("reward-module-options", `${what} makes no reward: ${reason}`, {
      hint: "Correct its options, or the module.",
      cause,
    });
  }
}

function checked(found: unknown, what: string): AsyncReward {
  const own = (typeof found === "object" ? (found ?? {}) : {}) as Partial<AsyncReward>;
  const { name, score, scoreGroup } = own;
  const scores = typeof score === "function" || typeof scoreGroup === "function";
  if (typeof name !== "string" || !scores) {
    const shown = found === null ? "null" : typeof found === "object" ? "an object" : `a ${typeof found}`; // prettier-ignore
    throw new ConfigError(
      "reward-module-shape",
      `${what} exports ${shown} without a name and a function score or scoreGroup.`,
      { hint: 'Export defineReward("my-reward", (completion, row) => ...).' },
    );
  }
  if (typeof scoreGroup === "function") {
    const inner = defineGroupReward(name, (all, row) => own.scoreGroup!(all, row));
    return defineGroupReward(name, async (completions, row) => {
      try {
        return await inner.scoreGroup!(completions.map(copyOf), frozen(row));
      } catch (error) {
        throw failure(error, what, `the completions of row ${row.id}`);
      }
    });
  }
  const inner = defineReward(name, (completion, row) => own.score!(completion, row));
  return defineReward(name, (completion, row) => {
    const place = `completion ${completion.index} of row ${row.id}`;
    try {
      const value = inner.score(copyOf(completion), frozen(row));
      if (!(value instanceof Promise)) return value;
      return value.catch((error: unknown) => {
        throw failure(error, what, place);
      });
    } catch (error) {
      throw failure(error, what, place);
    }
  });
}

/** Copies that a module cannot change: the ids are trained on, and other rewards read the row. */
function copyOf(completion: Completion): Completion {
  return Object.freeze({ ...completion, ids: Object.freeze([...completion.ids]) });
}

function frozen<Row extends RewardRow>(row: Row): Row {
  const { options } = row;
  return Object.freeze({ ...row, ...(options && { options: Object.freeze([...options]) }) });
}

/** Makes the error of a module's reward, with module and place. */
function failure(cause: unknown, what: string, place: string): DataError {
  const reason = (cause instanceof Error ? cause.message : String(cause)).replace(/\.$/, "");
  // An error about a wrong return value names its row already.
  if (cause instanceof AubadeError) {
    return new DataError(cause.code, `${what}: ${reason}.`, { cause });
  }
  return new DataError("reward-module-threw", `${what} threw for ${place}: ${reason}.`, {
    hint: "Correct the module, or return null where the reward does not apply.",
    cause,
  });
}
