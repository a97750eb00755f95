import type { StorageName } from "../../core/storage-types.ts";
import { Command } from "commander";
import { exists, realPath } from "#io";
import { openSafetensorsFile } from "../../checkpoint/safetensors.ts";
import { CheckpointError, ConfigError } from "../../core/errors.ts";
import { Events } from "../../core/events.ts";
import { joinPath } from "../../io/path.ts";
import { openRunDevice } from "../../gpu/run-device.ts";
import { deviceSchema } from "../../gpu/schema.ts";
import { dumpModel, type DumpResult } from "../../inspect/dump.ts";
import { storageOption, tierOption } from "../model-options.ts";
import { terminalLine } from "../terminal.ts";
import { inThisProcess, type WithAdapter } from "../run-command.ts";
import { parseCommandLine } from "../usage.ts";
import { ownVersion } from "../package.ts";

const HELP = `
FILE.json holds messages in Hugging Face's format; media paths are relative to it. A conversation that
ends with an assistant message is run whole, and --generate continues the prompt before that message;
any other is run with the generation prompt, which --generate continues.
--inputs takes what a Hugging Face processor returns: input_ids with expanded placeholders, features,
attention_mask, and labels for --grads; --generate continues each row.
Tensors have the names and shapes of transformers 4.57.6: docs/verify.md lists them.`;

/** Flags of `dump` as commander gives them. */
interface DumpFlags {
  model: string;
  conversation?: string;
  inputs?: string;
  out: string;
  grads: boolean;
  generate?: number;
  storage: StorageName;
  tier: string;
  debug: boolean;
  overwrite: boolean;
}

/** Refuses to write over a file that is no earlier dump, or beside the weights of the model. */
async function checkOut({ out, model, overwrite }: DumpFlags): Promise<void> {
  if ((await realPath(joinPath(out, ".."))) === (await realPath(model))) {
    throw new CheckpointError("same-folder", `${out} is in the model's own folder.`, {
      hint: "Write to another folder.",
    });
  }
  if (!(await exists(out))) return;
  const store = overwrite ? await openSafetensorsFile(out).catch(() => undefined) : undefined;
  await store?.close();
  if (store?.metadata["aubade"] !== undefined) return;
  const what = overwrite ? "is there and is no dump" : "is there already";
  const also = overwrite ? "" : ", or --overwrite, which replaces an earlier dump";
  throw new CheckpointError("file-exists", `${out} ${what}.`, { hint: `Name a new file${also}.` });
}

/**
 * Runs the `dump` command: one forward pass, and a backward pass where asked, into a safetensors
 * file.
 *
 * @param argv - what the user typed after `dump`.
 * @param withAdapter - finds an adapter for it.
 * @returns the exit code 0; errors are raised.
 */
export async function main(
  argv: string[],
  withAdapter: WithAdapter = inThisProcess,
): Promise<number> {
  const program = new Command("aubade dump")
    .description("Writes a model's inputs, towers, hidden states, logits and gradients to a file.")
    .requiredOption("--model <folder>", "checkpoint folder, or its name on the Hub")
    .option("--conversation <file>", "JSON file of messages")
    .option("--inputs <file>", "safetensors file of prepared tensors, instead")
    .requiredOption("--out <file>", "safetensors file to write")
    .option("--overwrite", "replace an earlier dump of that name", false)
    .option("--grads", "loss of the last answer and every parameter's gradient", false)
    .option("--generate <tokens>", "generate greedily", countOf)
    .addOption(storageOption())
    .addOption(tierOption())
    .option("--debug", "print the stack of errors", false)
    .version(ownVersion(), "-v, --version")
    .addHelpText("after", HELP);
  if (!parseCommandLine(program, argv, (text) => process.stdout.write(text))) return 0;
  const flags = program.opts<DumpFlags>();
  if (flags.debug) process.env["AUBADE_DEBUG"] = "1";
  if ((flags.conversation === undefined) === (flags.inputs === undefined)) {
    throw new ConfigError("usage", "dump takes either --conversation or --inputs.", {
      hint: "Run aubade dump --help.",
    });
  }
  await checkOut(flags);
  return await withAdapter(() => dump(flags));
}

async function dump(flags: DumpFlags): Promise<number> {
  const line = terminalLine(process.stderr);
  const events = new Events();
  events.listen(line.listen);
  const device = await openRunDevice(deviceSchema.parse({ tier: flags.tier }), events);
  try {
    const { generate, conversation, inputs, model, out, grads, storage } = flags;
    const what = { model, conversation, inputs, out, grads, generate, storage };
    const result = await dumpModel(device, { ...what, metadata: { aubade: ownVersion() } }, events);
    line.end();
    process.stdout.write(`${table(result)}${out}\n`);
    return 0;
  } finally {
    line.end();
    device.close();
  }
}

function countOf(text: string): number {
  const count = Number(text);
  if (Number.isSafeInteger(count) && count >= 1) return count;
  throw new ConfigError("usage", `--generate ${text} is no number of tokens.`, {
    hint: "Give a whole number of at least 1.",
  });
}

function table({ tensors, unused }: DumpResult): string {
  const width = Math.max(...tensors.map(({ name }) => name.length));
  const lines = tensors.map(({ name, shape, norm }) => {
    const size = `[${shape.join(", ")}]`;
    return `${name.padEnd(width)}  ${size.padEnd(18)} ${norm.toExponential(6)}`;
  });
  if (unused.length > 0) lines.push(`without a gradient: ${unused.length} parameters`);
  return `${lines.join("\n")}\n`;
}
