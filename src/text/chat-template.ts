import { CheckpointError, DataError } from "../core/errors.ts";
import { shown } from "../core/quoted.ts";
import { BoundedTemplate } from "./bounded-jinja.ts";

/** A reference to a part's medium: a path or URL, or bytes with a name for messages. */
export type MediaReference = string | { name: string; data: Uint8Array | Blob };

/** A picture in a message, with the keys of qwen-omni-utils. */
export interface ImagePart {
  type: "image";
  /** Path, URL or bytes. */
  image?: MediaReference;
  /** Fewest and most pixels after resizing. */
  min_pixels?: number;
  max_pixels?: number;
  /** Sides after resizing, both or none, brought to multiples of 28; instead of the limits. */
  resized_height?: number;
  resized_width?: number;
}

/** A sound in a message. */
export interface AudioPart {
  type: "audio";
  /** Path, URL or bytes. */
  audio?: MediaReference;
}

/** A video in a message, with the keys of qwen-omni-utils. */
export interface VideoPart {
  type: "video";
  /** Path, URL or bytes; or a list of pictures, which are the frames. */
  video?: MediaReference | readonly MediaReference[];
  /** Frames per second to choose; not together with `nframes`. Of a list: as `sample_fps`. */
  fps?: number;
  /** Pictures per second of a list; default 2. */
  sample_fps?: number;
  /** Frames to choose. */
  nframes?: number;
  min_frames?: number;
  max_frames?: number;
  /** Fewest and most pixels of a frame after resizing, and the most of all frames together. */
  min_pixels?: number;
  max_pixels?: number;
  total_pixels?: number;
  /** Sides of a frame after resizing, both or none, as for an image. */
  resized_height?: number;
  resized_width?: number;
  /**
   * The soundtrack belongs to the video and is interleaved with it. Left out: no sound is decoded,
   * but decoded sound that is given is used.
   */
  use_audio_in_video?: boolean;
}

/** A part of a message that needs a medium. */
export type MediaPart = ImagePart | AudioPart | VideoPart;

/** One part of a message's content, as Hugging Face processors spell it. */
export type ContentPart = { type: "text"; text: string } | MediaPart;

/** One turn of a conversation. */
export interface Message {
  /** `system`, `user` or `assistant`; templates write it as it is. */
  role: string;
  /** Text, used verbatim, or parts, joined with nothing between them. */
  content: string | readonly ContentPart[];
}

/** A conversation in the format of Hugging Face processors. */
export type Conversation = readonly Message[];

/** Options of a template besides the conversation. */
export interface RenderOptions {
  /** Open the assistant's turn at the end; default true. */
  addGenerationPrompt?: boolean;
  /** Number pictures and videos in the text, where the template can; default false. */
  addVisionId?: boolean;
  /** Number audio clips in the text, where the template can; default false. */
  addAudioId?: boolean;
}

/** Texts of the files in which a checkpoint may keep its chat template. */
export interface ChatTemplateFiles {
  /** `chat_template.jinja`. */
  jinja?: string | undefined;
  /** `chat_template.json`. */
  json?: string | undefined;
  /** `tokenizer_config.json`. */
  tokenizerConfig?: string | undefined;
}

/** A checkpoint's chat template: turns a conversation into the text of a prompt. */
export class ChatTemplate {
  readonly #template: BoundedTemplate;
  readonly #name: string;

  /**
   * Parses a Jinja template; `trim_blocks` and `lstrip_blocks` are on, as in Hugging Face.
   *
   * @throws {CheckpointError} `bad-chat-template`.
   */
  constructor(text: string, name = "the chat template") {
    this.#name = name;
    try {
      this.#template = new BoundedTemplate(text);
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new CheckpointError(
        "bad-chat-template",
        `${name} cannot be parsed: ${shown(reason)}.`,
        {
          hint: "Mend the template in the checkpoint folder.",
          cause,
        },
      );
    }
  }

  /**
   * Renders a conversation.
   *
   * @throws {DataError} `chat-template` when the template refuses it.
   */
  render(conversation: Conversation, options: RenderOptions = {}): string {
    try {
      return this.#template.render({
        messages: conversation.map(({ role, content }) => ({ role, content: plain(content) })),
        add_generation_prompt: options.addGenerationPrompt ?? true,
        add_vision_id: options.addVisionId ?? false,
        add_audio_id: options.addAudioId ?? false,
      });
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new DataError(
        "chat-template",
        `${this.#name} refuses the conversation: ${shown(reason)}.`,
        {
          hint: "Check the roles and the order of the turns, or the template itself.",
          cause,
        },
      );
    }
  }
}

/**
 * Templates ask which keys a part has, so a key that is only `undefined` must go; and bytes stay
 * out of the template, which is told their name.
 */
function plain(content: Message["content"]): unknown {
  if (typeof content === "string") return content;
  return content.map((part) =>
    Object.fromEntries(
      Object.entries(part)
        .filter(([, value]) => value !== undefined)
        .map(([key, value]) => [key, nameOf(value as PartValue)]),
    ),
  );
}

type PartValue = string | number | boolean | MediaReference | readonly MediaReference[];

function nameOf(value: PartValue): unknown {
  if (typeof value !== "object") return value;
  return "name" in value ? value.name : value.map(nameOf);
}

/**
 * Finds the chat template among a checkpoint's files, in the order in which transformers looks:
 * `chat_template.jinja`, `chat_template.json`, `tokenizer_config.json`.
 *
 * @returns the template text, or undefined when no file has one.
 * @throws {CheckpointError} `bad-chat-template` when a file that should have one is broken.
 */
export function findChatTemplate(files: ChatTemplateFiles): string | undefined {
  if (files.jinja !== undefined) return files.jinja;
  return (
    templateIn(files.json, "chat_template.json") ??
    templateIn(files.tokenizerConfig, "tokenizer_config.json")
  );
}

function templateIn(text: string | undefined, file: string): string | undefined {
  if (text === undefined) return undefined;
  let value: unknown;
  try {
    value = (JSON.parse(text) as { chat_template?: unknown } | null)?.chat_template;
  } catch (cause) {
    throw new CheckpointError("bad-chat-template", `${file} is not JSON.`, {
      hint: "Fetch the file again.",
      cause,
    });
  }
  if (Array.isArray(value)) {
    const named = value as { name?: unknown; template?: unknown }[];
    value = named.find(({ name }) => name === "default")?.template;
  }
  return typeof value === "string" ? value : undefined;
}

/** Returns the parts of a conversation that need a medium, in the order of their placeholders. */
export function mediaParts(conversation: Conversation): MediaPart[] {
  return conversation.flatMap(({ content }) =>
    typeof content === "string" ? [] : content.filter((part) => part.type !== "text"),
  );
}
