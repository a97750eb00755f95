import { Command } from "commander";
import { runScript } from "../run-command.ts";
import { parseCommandLine } from "../usage.ts";
import { ownVersion } from "../package.ts";

const HELP = `
A GPU is used where WebGPU finds one; where it finds none, the private software driver is fetched.
Options before FILE are Node's own: aubade node --import tsx program.ts`;

/**
 * Runs the `node` command: any program, under a node that has a WebGPU adapter.
 *
 * @param argv what the user typed after `node`.
 * @returns the program's exit code.
 */
export async function main(argv: string[]): Promise<number> {
  const program = new Command("aubade node")
    .description("Runs a program of your own under a node that has a WebGPU adapter.")
    .argument("<file>", "JavaScript file")
    .argument("[arguments...]", "the program's own")
    .version(ownVersion(), "-v, --version")
    .addHelpText("after", HELP);
  const own = ["-h", "--help", "-v", "--version"];
  if (argv.length > 0 && !own.includes(argv[0]!)) return await runScript(argv);
  return parseCommandLine(program, argv, (text) => process.stdout.write(text)) ? 2 : 0;
}
