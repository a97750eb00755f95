import { readText } from "#io";
import { DataError } from "../core/errors.ts";
import { folderOf, withMediaIn } from "../data/media-paths.ts";
import { HOP, logMel } from "../signal/log-mel.ts";
import { IGNORE } from "../network/decoder/packed.ts";
import { type LoadedMedium, planMedium } from "../prompt/media.ts";
import type { Processor, ProcessRequest } from "../model/processor.ts";
import type { PaddedSound, PromptBatch } from "./prompt-batch.ts";
import type { Sample } from "../prompt/sample.ts";
import { loadMedia } from "../rollout/generate.ts";
import { type Conversation, mediaParts } from "../text/chat-template.ts";
import { parseConversation } from "../text/conversation.ts";

/** A conversation as the model takes it, and the prompt that an answer continues. */
export interface InspectedPrompt {
  /** One row: the whole conversation, or the open prompt where it ends with a user's message. */
  batch: PromptBatch;
  /**
   * The prompt that `generate` continues: without the last message where that is the assistant's.
   */
  prompt: Sample;
}

/**
 * Reads a conversation file: messages in Hugging Face's format, as a list or under `messages` or
 * `conversation`; media paths are relative to the file's folder.
 *
 * @throws {DataError} `bad-conversation` that names the file and the key.
 */
export async function readConversation(path: string): Promise<Conversation> {
  let value: unknown;
  try {
    value = JSON.parse(await readText(path));
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause;
    const hint = "Give messages: a list of objects with role and content.";
    throw new DataError("bad-conversation", `${path} is no JSON: ${cause.message}.`, {
      hint,
      cause,
    });
  }
  const table = value as { messages?: unknown; conversation?: unknown } | null;
  const messages = Array.isArray(value) ? value : (table?.messages ?? table?.conversation);
  return withMediaIn(parseConversation(messages, path), folderOf(path));
}

/**
 * Processes a conversation.
 *
 * @param options.labels label the last assistant message: its tokens and the token that closes it.
 * @param options.prompt make the open prompt as well, where it is another one.
 * @throws {DataError} `no-answer` when labels are asked of a conversation that does not end with an
 *   assistant message, and those of the processor.
 */
export async function inspectConversation(
  processor: Processor,
  conversation: Conversation,
  name: string,
  options: { labels: boolean; prompt: boolean },
): Promise<InspectedPrompt> {
  const answered = conversation.at(-1)!.role === "assistant";
  if (options.labels && !answered) {
    throw new DataError("no-answer", `${name}: the last message is no assistant message.`, {
      hint: "Gradients are of the last answer's likelihood: end with a message of role assistant.",
    });
  }
  const media = await loadMedia(processor, conversation);
  const request: ProcessRequest = { id: name, conversation, media };
  const how = { addGenerationPrompt: !answered, markAnswers: options.labels };
  const sample = processor.process(request, how);
  let prompt = sample;
  if (answered && options.prompt) {
    const asked = conversation.slice(0, -1);
    const heard = media.slice(0, mediaParts(asked).length);
    prompt = processor.process({ id: name, conversation: asked, media: heard });
  }
  const length = sample.inputIds.length;
  const batch: PromptBatch = {
    ...{ samples: [sample], length, starts: [0] },
    inputIds: Int32Array.from(sample.inputIds),
    labels: options.labels ? lastAnswer(sample) : undefined,
    secondsPerGrid: secondsOf(processor, request),
    sounds: soundsOf(processor, media, sample),
  };
  return { batch, prompt };
}

/** [S] the ids of the last message with its closing token, -100 elsewhere. */
function lastAnswer({ inputIds, answers }: Sample): Int32Array {
  const { start, end } = answers!.at(-1)!;
  return Int32Array.from(inputIds, (id, i) => (i >= start && i < end ? id : IGNORE));
}

function secondsOf(
  { config, preprocessing: limits }: Processor,
  request: ProcessRequest,
): number[] {
  return mediaParts(request.conversation).flatMap((part, i) => {
    const { shape } = planMedium(part, request.media[i]!, config, limits);
    return shape.kind === "video" ? [shape.secondsPerGrid] : [];
  });
}

/** Sounds as the official processor pads them: to the longest that the family takes. */
function soundsOf(
  processor: Processor,
  media: readonly LoadedMedium[],
  sample: Sample,
): PaddedSound[] {
  const { maxSamples } = processor.preprocessing;
  const columns = Math.floor(maxSamples / HOP);
  const heard = sample.ledger.filter(({ kind }) => kind === "audio");
  return heard.map(({ medium, frames }) => {
    const loaded = media[medium]!;
    const { samples } = loaded.kind === "image" ? { samples: new Float32Array() } : loaded.audio!;
    const numMels = processor.config.audio!.melBins;
    const data = () => logMel(samples, { numMels, maxSamples, padded: true }).data;
    return { frames, columns, data };
  });
}
