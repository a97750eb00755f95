import { modelFolder, type HubOptions } from "#hub";
import { exists, readText } from "#io";
import { CheckpointError, DataError } from "../core/errors.ts";
import { refuseUnknown } from "../core/options.ts";
import { quoted } from "../core/quoted.ts";
import { joinPath } from "../io/path.ts";
import {
  ChatTemplate,
  type Conversation,
  findChatTemplate,
  mediaParts,
  type RenderOptions,
} from "../text/chat-template.ts";
import { Tokenizer } from "../text/tokenizer.ts";
import { type BudgetOptions, checkBudget, type PromptMeasure } from "../prompt/budget.ts";
import type { FamilyModel } from "../families/family.ts";
import { isAdapterFolder, readAdapterConfig } from "../checkpoint/adapter-folder.ts";
import { parseModelConfig } from "../families/registry.ts";
import { type GenerationDefaults, parseGenerationConfig } from "./generation-config.ts";
import { type Controls, makeFeatures } from "../prompt/features.ts";
import { checkHeardOnce, repeatedMedia } from "../prompt/heard-once.ts";
import {
  type LoadedMedium,
  type MediaOptions,
  type MediumWarning,
  planMedium,
} from "../prompt/media.ts";
import { checkPlainText } from "../prompt/plain-text.ts";
import { answerSpans } from "../prompt/answer-spans.ts";
import type { MediaTokens, PromptLayout } from "../prompt/layout.ts";
import type { Preprocessing } from "../prompt/preprocessing.ts";
import { checkLedger, makeLedger, type Sample, sealOf } from "../prompt/sample.ts";

/** A row: what is said, and the decoded media in the order of the conversation's parts. */
export interface ProcessRequest {
  /** The row's id, for messages. */
  id: string;
  conversation: Conversation;
  media: readonly LoadedMedium[];
}

/** How a row is processed. */
export interface ProcessOptions extends RenderOptions, MediaOptions, Controls, BudgetOptions {
  /** True for a sample that says which of its tokens are the assistant's; default false. */
  markAnswers?: boolean;
}

const PROCESS_OPTIONS = [
  ...(["addGenerationPrompt", "addVisionId", "addAudioId", "image", "video"] as const),
  ...(["secondsPerGrid", "muted", "blank", "maxPromptTokens", "raiseBudget"] as const),
  "markAnswers",
] as const satisfies readonly (keyof ProcessOptions)[];

/** The parts of a processor. */
export interface ProcessorParts {
  config: FamilyModel;
  tokenizer: Tokenizer;
  template: ChatTemplate;
  preprocessing: Preprocessing;
  /** The settings that the checkpoint recommends for its answers; default: none. */
  generation?: GenerationDefaults;
}

/**
 * Turns a conversation and its decoded media into what the model takes.
 *
 * @example
 * const processor = await Processor.load("checkpoints/tiny");
 * const sample = processor.process({ id: "0", conversation, media });
 */
export class Processor {
  readonly config: FamilyModel;
  readonly tokenizer: Tokenizer;
  readonly template: ChatTemplate;
  readonly preprocessing: Preprocessing;
  /** Ids of placeholders and of the tokens around media. */
  readonly tokens: MediaTokens;
  /**
   * The recommendations of `generation_config.json`. Of them, ids that end an answer, fill up rows
   * or must not be generated are used everywhere; how to sample is up to whoever generates.
   */
  readonly generation: GenerationDefaults;
  /** Ids that end an answer: the recommended ones, else the configuration's, else `<|im_end|>`. */
  readonly eosIds: readonly number[];
  /** Id that fills up shorter rows. */
  readonly padId: number;
  /** Hears of what is worth knowing about rows that are loaded or asked about; unset, nobody does. */
  onWarning: ((warning: MediumWarning) => void) | undefined;
  /** Spellings of the tokens that mark media and turns, which no text may hold. */
  readonly #marks: readonly string[];

  /**
   * Loads the processor of a checkpoint.
   *
   * The folder's own chat template goes before the built-in one. Adapters without a `config.json`
   * have the processor of their base.
   *
   * @param reference a folder (a path or a URL) or a name on the Hub; `hub` is for such a name.
   * @throws {CheckpointError} that names the file and the key.
   */
  static async load(reference: string, hub: HubOptions = {}): Promise<Processor> {
    const folder = await modelFolder(reference, hub);
    if (!(await exists(joinPath(folder, "config.json"))) && (await isAdapterFolder(folder))) {
      const { base, revision } = await readAdapterConfig(folder);
      return Processor.load(base, { ...hub, revision });
    }
    const read = async (name: string) => {
      const path = joinPath(folder, name);
      return (await exists(path)) ? readText(path) : undefined;
    };
    const config = parseModelConfig(
      await readText(joinPath(folder, "config.json")),
      joinPath(folder, "config.json"),
    );
    const tokenizerPath = joinPath(folder, "tokenizer.json");
    const tokenizerConfig = await read("tokenizer_config.json");
    const jinja = await read("chat_template.jinja");
    const json = await read("chat_template.json");
    const template =
      findChatTemplate({ jinja, json, tokenizerConfig }) ?? config.family.chatTemplate;
    return new Processor({
      config,
      tokenizer: Tokenizer.fromJson(await readText(tokenizerPath), tokenizerConfig, tokenizerPath),
      template: new ChatTemplate(template, `the chat template of ${folder}`),
      preprocessing: config.preprocessing({
        preprocessor: await read("preprocessor_config.json"),
        video: await read("video_preprocessor_config.json"),
      }),
      generation: parseGenerationConfig(
        await read("generation_config.json"),
        joinPath(folder, "generation_config.json"),
      ),
    });
  }

  /**
   * Puts a processor together from its parts.
   *
   * @throws {CheckpointError} `token-mismatch` when tokenizer and configuration disagree.
   */
  constructor({
    config,
    tokenizer,
    template,
    preprocessing: media,
    generation = {},
  }: ProcessorParts) {
    this.config = config;
    this.tokenizer = tokenizer;
    this.template = template;
    this.preprocessing = media;
    this.tokens = Object.fromEntries(
      Object.entries(config.family.spellings).map(([use, token]) => [
        use,
        agreedId(tokenizer, token, config.tokens[use as keyof MediaTokens]),
      ]),
    );
    this.generation = generation;
    this.eosIds = generation.eosIds ?? [config.tokens.eos ?? tokenizer.id("<|im_end|>")];
    this.padId = generation.padId ?? config.tokens.pad ?? tokenizer.id("<|endoftext|>");
    const turns = ["<|im_start|>", "<|im_end|>"].map((token) => tokenizer.find(token));
    const marks = [...Object.values(this.tokens), ...turns, ...this.eosIds, this.padId];
    const special = new Set(marks.filter((id) => id !== undefined && tokenizer.specialIds.has(id)));
    this.#marks = [...special].map((id) => tokenizer.decode([id!]));
  }

  /** Ids that stand for features; a sampler must never emit them. */
  get placeholderIds(): number[] {
    const { audio, image, video } = this.tokens;
    return [audio, image, video].filter((id) => id !== undefined);
  }

  /**
   * Counts the tokens of a row without touching a pixel or a sample.
   *
   * @throws {DataError} as {@link process}, budget included.
   */
  measure(request: ProcessRequest, options: ProcessOptions = {}): PromptMeasure {
    return this.#lay(request, options).measure;
  }

  /**
   * Makes the sample of a row. Nothing is ever cut from a prompt.
   *
   * @throws {DataError} `prompt-over-budget`, `placeholder-mismatch`, `sound-twice`, `token-in-text`,
   *   `ledger-mismatch` and those of `planMedium`; each names the row and, where there is one, the
   *   file.
   */
  process(request: ProcessRequest, options: ProcessOptions = {}): Sample {
    const { id: row, media } = request;
    const { layout, planned } = this.#lay(request, options);
    const features = makeFeatures(media, planned, this.config, this.preprocessing, options);
    const sample: Sample = {
      id: row,
      ...layout,
      ...(options.markAnswers === true && { answers: this.#answers(request, options, layout) }),
      ...features,
      grids: planned.flatMap(({ shape }) => (shape.kind === "audio" ? [] : [shape.grid])),
      ledger: makeLedger(planned, media, layout.placeholders, this.config),
      warnings: [
        ...planned.flatMap(({ warnings }) =>
          warnings.map(({ code, message }) => ({ code, message: `${row}: ${message}.` })),
        ),
        ...repeatedMedia(row, mediaParts(request.conversation), media),
      ],
    };
    const sealed = { ...sample, seal: sealOf(sample) };
    checkLedger(sealed, this.config);
    return sealed;
  }

  #answers(request: ProcessRequest, options: ProcessOptions, { inputIds }: PromptLayout) {
    const { id: row, conversation, media } = request;
    const layer = (messages: number, addGenerationPrompt: boolean) => {
      const begun = conversation.slice(0, messages);
      const part = {
        id: row,
        conversation: begun,
        media: media.slice(0, mediaParts(begun).length),
      };
      return this.#lay(part, { ...options, addGenerationPrompt }).layout.inputIds;
    };
    return answerSpans(conversation, inputIds, layer, this.eosIds, row);
  }

  #lay({ id: row, conversation, media }: ProcessRequest, options: ProcessOptions) {
    refuseUnknown(options, PROCESS_OPTIONS, "a processor");
    const parts = mediaParts(conversation);
    if (parts.length !== media.length) {
      throw new DataError(
        "media-mismatch",
        `${row}: the conversation names ${parts.length} media but ${media.length} are given.`,
        { hint: "Give one decoded medium for every part that needs one, in order." },
      );
    }
    const planned = parts.map((part, i) => {
      try {
        return planMedium(part, media[i]!, this.config, this.preprocessing, options);
      } catch (error) {
        throw error instanceof DataError ? named(row, error) : error;
      }
    });
    checkHeardOnce(row, parts, media, planned);
    checkPlainText(row, conversation, this.#marks);
    const ids = this.tokenizer.encode(this.template.render(conversation, options));
    const shapes = planned.map(({ shape }) => shape);
    const layout = this.config.layout(ids, shapes, {
      ...{ tokens: this.tokens, row },
      encode: (text) => this.tokenizer.encode(text),
    });
    const [tokens, vision, audio] = [
      layout.inputIds.length,
      layout.visionRows.length,
      layout.audioRows.length,
    ];
    const measure = { id: row, tokens, text: tokens - vision - audio, vision, audio };
    checkBudget(measure, planned, this.config.vision, options);
    return { layout, planned, measure };
  }
}

/**
 * Returns the id of a token, on which tokenizer and configuration must agree where both name it.
 */
function agreedId(tokenizer: Tokenizer, token: string, configured: number | undefined): number {
  const id = tokenizer.id(token);
  if (configured === undefined || configured === id) return id;
  throw new CheckpointError(
    "token-mismatch",
    `${quoted(token)} is ${id} in tokenizer.json but ${configured} in config.json.`,
    { hint: "Take both files from the same checkpoint." },
  );
}

/** Returns the same error with the row in front of its message. */
function named(row: string, error: DataError): DataError {
  const { code, hint, message } = error;
  const plain = hint === undefined ? message : message.slice(0, -hint.length - 1);
  return new DataError(code, `${row}: ${plain}`, { ...(hint ? { hint } : {}), cause: error });
}
