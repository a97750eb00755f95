import { AubadeError, ConfigError, DataError } from "../core/errors.ts";
import { loadModule } from "../io/load-module.ts";
import { type AsyncReward, type Completion, defineReward, type RewardRow } from "./reward.ts";

/**
 * Loads a reward of a user's own: a module whose default export, or export called `reward`, is what
 * `defineReward` makes, or any object with a `name` and a function `score`.
 *
 * What it returns is checked like that of any reward: a value that is no finite number or null, and
 * anything thrown, is a failure of that completion with its message, the module and the row. It sees
 * frozen copies of completion and row.
 *
 * @param path of the module; configurations have made theirs absolute.
 * @throws {ConfigError} as `loadModule`, or `reward-module-shape`, with the path.
 */
export async function loadRewardModule(path: string): Promise<AsyncReward> {
  return checked(await loadModule("reward", path), `The reward module ${path}`);
}

function checked(found: unknown, what: string): AsyncReward {
  const { name, score } = (typeof found === "object" ? (found ?? {}) : {}) as Partial<AsyncReward>;
  if (typeof name !== "string" || typeof score !== "function") {
    const shown = found === null ? "null" : typeof found === "object" ? "an object" : `a ${typeof found}`; // prettier-ignore
    throw new ConfigError(
      "reward-module-shape",
      `${what} exports ${shown} without a name and a function score.`,
      { hint: 'Export defineReward("my-reward", (completion, row) => ...).' },
    );
  }
  const own = found as AsyncReward;
  const reward = defineReward(name, (completion, row) => own.score(completion, row));
  return defineReward(name, (completion, row) => {
    try {
      const value = reward.score(copyOf(completion), frozen(row));
      if (!(value instanceof Promise)) return value;
      return value.catch((error: unknown) => {
        throw failure(error, what, completion, row);
      });
    } catch (error) {
      throw failure(error, what, completion, row);
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

/** Makes the error of a module's reward, with module and row. */
function failure(cause: unknown, what: string, { index }: Completion, row: RewardRow): DataError {
  const reason = (cause instanceof Error ? cause.message : String(cause)).replace(/\.$/, "");
  // An error about a wrong return value names its row already.
  if (cause instanceof AubadeError) {
    return new DataError(cause.code, `${what}: ${reason}.`, { cause });
  }
  return new DataError(
    "reward-module-threw",
    `${what} threw for completion ${index} of row ${row.id}: ${reason}.`,
    { hint: "Correct the module, or return null where the reward does not apply.", cause },
  );
}
