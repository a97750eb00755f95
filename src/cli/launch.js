// Plain JavaScript: this runs before anything in the process can read TypeScript.
import { readTypeScript } from "../core/read-typescript.js";

/** Runs what the user typed after `aubade` in a clone, and ends with its exit code. */
export async function launch(argv) {
  await readTypeScript();
  const aubade = await import("./aubade.ts");
  await aubade.launch(argv);
}
