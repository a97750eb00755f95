import { DataError } from "../core/errors.ts";
import { refuseUnknown } from "../core/options.ts";
import { loadMedium, type LoadedMedium } from "../prompt/media.ts";
import type { Model } from "../model/model.ts";
import type { Processor, ProcessOptions } from "../model/processor.ts";
import { mediaParts, type Conversation } from "../text/chat-template.ts";
import { Generator } from "./generator.ts";
import { tokenFacts } from "./token-facts.ts";
import { DEFAULT_SAMPLING, type Rollout, type SamplingOptions } from "./types.ts";

/** A question to the model, and how to sample the answer. */
export interface GenerateRequest {
  /** The turns so far; media parts name a path (Node), a URL, or bytes such as an uploaded file. */
  conversation: Conversation;
  /** The media of the conversation's parts in order, when they are decoded already. */
  media?: readonly LoadedMedium[];
  /** Name of the prompt, in messages and in the key of its random numbers. */
  id?: string;
}

/** How it is answered; what is left out of the sampling options takes `DEFAULT_SAMPLING`. */
export interface GenerateOptions extends Partial<SamplingOptions> {
  /** Answers to give. Default 1. */
  generations?: number;
  /** 0 is greedy. Default: 0 for one answer, 1 for several. */
  temperature?: number;
  /** Which draw this is: the same seed, id and draw give the same answers. Default 0. */
  draw?: number;
  /** How media and prompt are processed. */
  process?: ProcessOptions;
  /** Hears every answer's text so far, each time that it has grown, while it is generated. */
  onText?: (text: string, index: number) => void;
  /** Decode steps between two looks of `onText`. Default 4: a look reads back from the GPU. */
  stepsBetweenLooks?: number;
  /** When aborted, the answers end where they are. */
  signal?: AbortSignal;
}

const OWN_OPTIONS = [
  ...(["generations", "draw", "process", "onText", "stepsBetweenLooks", "signal"] as const),
] as const;

/** One answer. */
export interface Answer extends Rollout {
  /** The text without special tokens. */
  text: string;
}

/**
 * Plans and buffers per model, so that a second question compiles nothing, and the work that uses
 * them at present: questions take turns.
 */
const generators = new WeakMap<Model, { generator: Generator; turn: Promise<unknown> }>();

/**
 * Decodes the media of a conversation, in the order of its parts.
 *
 * @throws {DataError} of the decoders, which names the file.
 */
export async function loadMedia(
  processor: Processor,
  conversation: Conversation,
  options: ProcessOptions = {},
): Promise<LoadedMedium[]> {
  const media: LoadedMedium[] = [];
  for (const part of mediaParts(conversation)) {
    media.push(await loadMedium(part, processor.preprocessing, options));
  }
  return media;
}

/**
 * Answers a conversation: greedily by default, or with several sampled answers of one prompt.
 *
 * Of a checkpoint's `generation_config.json` it follows the ids (end, filling, `suppress_tokens`). How
 * to sample it does not take from there, unlike `generate` of transformers: give `temperature`,
 * `topK` and so on; what the checkpoint recommends is in `processor.generation`.
 *
 * Calls with one model take turns, since they share its buffers.
 *
 * @throws {DataError} when a medium cannot be decoded or the prompt leaves no room for an answer.
 * @example
 * const [answer] = await generate(model, processor, { conversation }, { maxNewTokens: 32 });
 */
export async function generate(
  model: Model,
  processor: Processor,
  request: GenerateRequest,
  options: GenerateOptions = {},
): Promise<Answer[]> {
  refuseUnknown(request, ["conversation", "media", "id"], "generate's request");
  refuseUnknown(options, [...Object.keys(DEFAULT_SAMPLING), ...OWN_OPTIONS], "generate");
  const { conversation, id = "prompt" } = request;
  const { generations = 1, draw = 0, process = {}, onText, signal } = options;
  const { stepsBetweenLooks: every = 4, temperature = generations > 1 ? 1 : 0 } = options;
  const media = request.media ?? (await loadMedia(processor, conversation, process));
  const sample = processor.process({ id: id, conversation, media }, process);
  for (const warning of sample.warnings) processor.onWarning?.(warning);
  const room = model.config.text.maxPositions - sample.nextPos;
  if (room < 1) {
    throw new DataError(
      "prompt-over-context",
      `${id} ends at position ${sample.nextPos}; the model's last one is ${model.config.text.maxPositions - 1}.`,
      { hint: "Ask about a shorter clip, or with fewer frames." },
    );
  }
  const sampling: SamplingOptions = { ...DEFAULT_SAMPLING, temperature };
  for (const name of Object.keys(sampling) as (keyof SamplingOptions)[]) {
    sampling[name] = options[name] ?? sampling[name];
  }
  sampling.maxNewTokens = Math.min(sampling.maxNewTokens, room);
  let shared = generators.get(model);
  if (shared === undefined) {
    const generator = new Generator(model, tokenFacts(processor));
    shared = { generator, turn: Promise.resolve() };
    generators.set(model, shared);
  }
  const textOf = (ids: readonly number[]) => processor.tokenizer.decode(ids, { skipSpecial: true });
  const said: string[] = [];
  const onTokens = (completions: number[][]) => {
    for (const [index, ids] of completions.entries()) {
      // A character may take several tokens; its first ones decode to the replacement character.
      const text = textOf(ids).replace(/\ufffd+$/, "");
      if (text !== (said[index] ?? "")) onText!((said[index] = text), index);
    }
  };
  const looks = onText !== undefined || signal !== undefined;
  const watch = {
    ...(looks && { every }),
    ...(onText && { onTokens }),
    ...(signal && { signal }),
  };
  const { generator, turn } = shared;
  const work = turn.then(() =>
    generator.generate([{ sample, generations, draw }], sampling, watch),
  );
  shared.turn = work.catch(() => {});
  const [group] = await work;
  return group!.map((completion) => ({ ...completion, text: textOf(completion.ids) }));
}
