import { absolutePath, exists } from "#io";
import { importOwnModule } from "#own-module";
import { ConfigError } from "../core/errors.ts";

/**
 * Loads a module of a user's own that a configuration names, and returns its default export or the
 * export that is called as its kind.
 *
 * @param kind such as `reward`: in messages, codes and as the name of the export.
 * @param path of the module; configurations have made theirs absolute.
 * @throws {ConfigError} `KIND-module-url`, `-missing`, `-failed` or `-export`, with the path.
 */
export async function loadModule(kind: string, path: string): Promise<unknown> {
  const name = `The ${kind} module ${path.slice(0, 200)}`;
  // A configuration names code; it never holds or fetches it.
  if (/^[a-z][a-z0-9+.-]+:/i.test(path) && !path.startsWith("file:")) {
    throw new ConfigError(`${kind}-module-url`, `${name} is no file.`, {
      hint: "Give the path of a file, relative to the configuration file or absolute.",
    });
  }
  if (!(await exists(path))) {
    throw new ConfigError(
      `${kind}-module-missing`,
      `${name} is not there: ${absolutePath(path)}.`,
      {
        hint: "Give its path relative to the configuration file.",
      },
    );
  }
  let module: Record<string, unknown>;
  try {
    module = await importOwnModule(path);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new ConfigError(`${kind}-module-failed`, `${name} cannot be loaded: ${reason}.`, {
      hint: "Correct the module; it runs once when the run starts.",
      cause,
    });
  }
  const found = module["default"] ?? module[kind];
  if (found !== undefined) return found;
  const exported = Object.keys(module).join(", ") || "nothing";
  throw new ConfigError(`${kind}-module-export`, `${name} exports ${exported}.`, {
    hint: `Export a ${kind} as default or under the name ${kind}.`,
  });
}
