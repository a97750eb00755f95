import { Command } from "commander";
import type { StorageName } from "../../core/storage-types.ts";
import { ConfigError } from "../../core/errors.ts";
import { Events } from "../../core/events.ts";
import { report } from "../../core/run-events.ts";
import { openRunDevice } from "../../gpu/run-device.ts";
import { deviceSchema } from "../../gpu/schema.ts";
import { readConversation } from "../../inspect/conversation.ts";
import { loadModel } from "../../model/load.ts";
import { Processor } from "../../model/processor.ts";
import { reportedLoading } from "../../model/run-model.ts";
import { type Answer, generate } from "../../rollout/generate.ts";
import type { Conversation, MediaPart } from "../../text/chat-template.ts";
import { listenForInterrupt } from "../interrupt.ts";
import { storageOption, tierOption } from "../model-options.ts";
import { ownVersion } from "../package.ts";
import { inThisProcess, type WithAdapter } from "../run-command.ts";
import { terminalLine } from "../terminal.ts";
import { parseCommandLine } from "../usage.ts";

const HELP = `
Examples:
  aubade generate Qwen/Qwen2.5-Omni-3B --video clip.mp4 "What is said, and what is seen?"
  aubade generate runs/own-001/model --audio talk.wav --n 4 --json "Who is speaking?"

MODEL is a folder, the model of a run, adapters, or a name on the Hub. Media stand before the question,
in the order of their kinds; --conversation takes a file of messages in Hugging Face's format instead,
whose paths are relative to it. A video is heard, too, where the model can hear.`;

/** Flags of `generate` as commander gives them. */
interface GenerateFlags {
  image: string[];
  video: string[];
  audio: string[];
  conversation?: string;
  n: number;
  maxNewTokens: number;
  temperature?: number;
  topK?: number;
  topP?: number;
  seed: number;
  revision?: string;
  storage: StorageName;
  tier: string;
  json: boolean;
  debug: boolean;
}

/** The answers that `--json` prints. */
interface GenerateSummary {
  model: string;
  answers: { text: string; tokens: number; finished: boolean }[];
}

/**
 * Runs the `generate` command: asks a model about clips and prints the answer as it comes.
 *
 * @param argv what the user typed after `generate`.
 * @param withAdapter finds an adapter for it.
 * @returns the exit code 0, or 130 after Ctrl-C; errors are raised.
 */
export async function main(
  argv: string[],
  withAdapter: WithAdapter = inThisProcess,
): Promise<number> {
  const program = new Command("aubade generate")
    .description("Asks a model about pictures, clips and sounds.")
    .argument("<model>", "checkpoint folder, adapters, or a name on the Hub")
    .argument("[question]", "the question; with --conversation it follows the file's messages")
    .option("--image <file>", "a picture; may be given several times", listed, [])
    .option("--video <file>", "a clip with its sound; may be given several times", listed, [])
    .option("--audio <file>", "a sound; may be given several times", listed, [])
    .option("--conversation <file>", "JSON file of messages")
    .option("--n <count>", "answers to sample", countOf, 1)
    .option("--max-new-tokens <count>", "longest answer", countOf, 512)
    .option("--temperature <value>", "0 is greedy; default 0 for one answer, else 1", numberOf)
    .option("--top-k <count>", "most likely tokens kept; 0 keeps all", numberOf)
    .option("--top-p <share>", "probability kept", numberOf)
    .option("--seed <number>", "seed of sampled answers", numberOf, 0)
    .option("--revision <name>", "branch, tag or commit on the Hub")
    .option("--json", "print one JSON object at the end", false)
    .addOption(storageOption())
    .addOption(tierOption())
    .option("--debug", "print the stack of errors", false)
    .version(ownVersion(), "-v, --version")
    .addHelpText("after", HELP);
  if (!parseCommandLine(program, argv, (text) => process.stdout.write(text))) return 0;
  const flags = program.opts<GenerateFlags>();
  if (flags.debug) process.env["AUBADE_DEBUG"] = "1";
  const [model, question] = program.args;
  const conversation = await conversationOf(flags, question);
  return await withAdapter(() => answer(model!, conversation, flags));
}

/** Puts the conversation together from a file, media and a question. */
async function conversationOf(
  { conversation: file, image, video, audio }: GenerateFlags,
  question: string | undefined,
): Promise<Conversation> {
  const before = file === undefined ? [] : await readConversation(file);
  const media: MediaPart[] = [
    ...image.map((path) => ({ type: "image" as const, image: path })),
    ...video.map((path) => ({ type: "video" as const, video: path, use_audio_in_video: true })),
    ...audio.map((path) => ({ type: "audio" as const, audio: path })),
  ];
  if (question !== undefined) {
    const text = { type: "text" as const, text: question };
    return [...before, { role: "user", content: [...media, text] }];
  }
  if (file !== undefined && media.length === 0 && before.at(-1)?.role !== "assistant") {
    return before;
  }
  throw new ConfigError("usage", "generate is asked nothing.", {
    hint: 'Add a question in quotes, such as "What is heard?"; or a file that ends with one.',
  });
}

async function answer(
  reference: string,
  conversation: Conversation,
  flags: GenerateFlags,
): Promise<number> {
  const line = terminalLine(process.stderr);
  const events = new Events();
  events.listen(line.listen);
  const interrupt = listenForInterrupt(() => line.print("stopping"));
  const device = await openRunDevice(deviceSchema.parse({ tier: flags.tier }), events);
  try {
    const hub = flags.revision === undefined ? {} : { revision: flags.revision };
    const loading = { storage: flags.storage, hub, ...reportedLoading(events) };
    const processor = await Processor.load(reference, hub);
    processor.onWarning = (warning) => report(events, "warning", { ...warning });
    const model = await loadModel(device, reference, loading);
    line.end();
    const streams = flags.n === 1 && !flags.json;
    let shown = 0;
    const given = await generate(
      model,
      processor,
      { conversation: heard(conversation, processor) },
      {
        generations: flags.n,
        maxNewTokens: flags.maxNewTokens,
        seed: flags.seed,
        ...(flags.temperature !== undefined && { temperature: flags.temperature }),
        ...(flags.topK !== undefined && { topK: flags.topK }),
        ...(flags.topP !== undefined && { topP: flags.topP }),
        ...(streams && {
          onText(text: string) {
            process.stdout.write(text.slice(shown));
            shown = text.length;
          },
        }),
        signal: interrupt.stop,
      },
    );
    print(reference, given, flags, shown);
    model.weights.destroy();
    return interrupt.stop.aborted ? 130 : 0;
  } finally {
    interrupt.release();
    line.end();
    device.close();
  }
}

/** Leaves a clip's sound out where the model cannot hear. */
function heard(conversation: Conversation, { config }: Processor): Conversation {
  if (config.audio !== undefined) return conversation;
  return conversation.map(({ role, content }) => ({
    role,
    content:
      typeof content === "string"
        ? content
        : content.map((part) => {
            if (part.type !== "video") return part;
            const { use_audio_in_video: _sound, ...silent } = part;
            return silent;
          }),
  }));
}

function print(
  model: string,
  answers: readonly Answer[],
  { json, n }: GenerateFlags,
  shown: number,
) {
  if (json) {
    const summary: GenerateSummary = {
      model,
      answers: answers.map(({ text, ids, finished }) => ({ text, tokens: ids.length, finished })),
    };
    process.stdout.write(`${JSON.stringify(summary)}\n`);
    return;
  }
  answers.forEach(({ text, finished }, at) => {
    const left = n === 1 ? text.slice(shown) : `${at + 1}: ${text}`;
    process.stdout.write(`${left}${finished ? "" : " ..."}\n`);
  });
}

const listed = (value: string, before: string[]): string[] => [...before, value];

function numberOf(text: string): number {
  const value = Number(text);
  if (text.trim() !== "" && Number.isFinite(value) && value >= 0) return value;
  throw new ConfigError("usage", `"${text}" is no number.`, { hint: "Give 0 or more." });
}

function countOf(text: string): number {
  const count = Number(text);
  if (Number.isSafeInteger(count) && count >= 1) return count;
  throw new ConfigError("usage", `"${text}" is no count.`, {
    hint: "Give a whole number of at least 1.",
  });
}
