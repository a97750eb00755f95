import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { ROOT } from "../../src/cli/package.ts";

const run = promisify(execFile);

/** Places of an interpreter with the libraries that tests compare with. */
const CANDIDATES = [join(ROOT, "../venv/bin/python"), "python3"];

/**
 * Runs a Python program with these modules, or prints why the test compares with nothing.
 *
 * @returns what it printed; undefined when no interpreter here has the modules.
 */
export async function runPython(
  program: string,
  args: readonly string[],
  modules: readonly string[],
): Promise<string | undefined> {
  for (const python of CANDIDATES) {
    if (python.includes("/") && !existsSync(python)) continue;
    const find = `import importlib.util as u, sys; sys.exit(any(u.find_spec(m) is None for m in sys.argv[1:]))`;
    const has = await run(python, ["-c", find, ...modules]).then(
      () => true,
      () => false,
    );
    if (has) return (await run(python, ["-c", program, ...args])).stdout;
  }
  process.stdout.write(`SKIPPED: no Python with ${modules.join(", ")} to compare with.\n`);
  return undefined;
}
