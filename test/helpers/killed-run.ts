/**
 * The `train` command in a process that kills itself at a pinned moment, for resume.long.test.ts:
 * `node --import tsx killed-run.ts MOMENT CONFIG [key=value ...]`. MOMENT is `never`, `step N` (at
 * the first completion of step N), or `rename PATTERN` (before, with `renamed` after, a file or
 * folder whose new path matches gets its name).
 */
import fs from "node:fs/promises";
import { syncBuiltinESMExports } from "node:module";
import { trainCommand } from "../../src/cli/train-command.ts";
import { train } from "../../src/train/train.ts";

const [moment = "never", ...argv] = process.argv.slice(2);
const [what, which = ""] = moment.split(" ");

async function die(): Promise<never> {
  process.kill(process.pid, "SIGKILL");
  return new Promise(() => {});
}

const { rename } = fs;
fs.rename = async (from, to) => {
  const hit = new RegExp(which).test(String(to));
  if (what === "rename" && hit) await die();
  await rename(from, to);
  if (what === "renamed" && hit) await die();
};
syncBuiltinESMExports();

process.exitCode = await trainCommand(argv, (config, options) => {
  options.events.listen(({ kind, data }) => {
    if (what === "step" && kind === "rollout" && String(data["step"]) === which) void die();
  });
  return train(config, options);
});
