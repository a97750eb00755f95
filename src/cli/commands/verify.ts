import type { StorageName } from "../../core/storage-types.ts";
import { Command } from "commander";
import { readText, writeFileAtomic } from "#io";
import { Events } from "../../core/events.ts";
import { openRunDevice } from "../../gpu/run-device.ts";
import { deviceSchema } from "../../gpu/schema.ts";
import {
  compareReports,
  parseReport,
  reportLines,
  type VerifyReport,
} from "../../inspect/verify-report.ts";
import { verifyModel } from "../../inspect/verify.ts";
import { storageOption, tierOption } from "../model-options.ts";
import { terminalLine } from "../terminal.ts";
import { inThisProcess, type WithAdapter } from "../run-command.ts";
import { parseCommandLine } from "../usage.ts";
import { ownVersion } from "../package.ts";

const HELP = `
scripts/verify.py MODEL --out FILE.json writes the same report with transformers;
--against FILE.json compares and ends with 1 where a number differs. See docs/verify.md.`;

/** Flags of `verify` as commander gives them. */
interface VerifyFlags {
  out?: string;
  against?: string;
  storage: StorageName;
  tier: string;
  debug: boolean;
}

/**
 * Runs the `verify` command: fixed prompts through a model, one line of numbers per tensor.
 *
 * @param argv - what the user typed after `verify`.
 * @param withAdapter - finds an adapter for it.
 * @returns 0, or 1 when the report that it was compared with differs.
 */
export async function main(
  argv: string[],
  withAdapter: WithAdapter = inThisProcess,
): Promise<number> {
  const program = new Command("aubade verify")
    .description("Prints what a model computes of fixed prompts, to be held against transformers.")
    .argument("<model>", "checkpoint folder, or its name on the Hub")
    .option("--out <file>", "write the report as JSON")
    .option("--against <file>", "compare with a report")
    .addOption(storageOption())
    .addOption(tierOption())
    .option("--debug", "print the stack of errors", false)
    .version(ownVersion(), "-v, --version")
    .addHelpText("after", HELP);
  if (!parseCommandLine(program, argv, (text) => process.stdout.write(text))) return 0;
  const flags = program.opts<VerifyFlags>();
  const { against, debug } = flags;
  if (debug) process.env["AUBADE_DEBUG"] = "1";
  // Before the model is loaded: a wrong path should not cost an hour.
  const want = against === undefined ? undefined : parseReport(await readText(against), against);
  return await withAdapter(() => verify(program.args[0]!, flags, want));
}

async function verify(
  model: string,
  { out, storage, tier }: VerifyFlags,
  want: VerifyReport | undefined,
): Promise<number> {
  const line = terminalLine(process.stderr);
  const events = new Events();
  events.listen(line.listen);
  const device = await openRunDevice(deviceSchema.parse({ tier }), events);
  try {
    const report = await verifyModel(device, { model, storage, version: ownVersion() }, events);
    line.end();
    if (out !== undefined) await writeFileAtomic(out, `${JSON.stringify(report)}\n`);
    if (want === undefined) {
      process.stdout.write(`${reportLines(report).join("\n")}\n`);
      return 0;
    }
    const { lines, differing } = compareReports(report, want);
    const verdict = differing === 0 ? "equal" : `${differing} of ${lines.length} lines differ`;
    process.stdout.write(`${lines.join("\n")}\n${verdict}: ${report.program}, ${want.program}\n`);
    return differing === 0 ? 0 : 1;
  } finally {
    line.end();
    device.close();
  }
}
