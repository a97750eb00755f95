import { Tokenizer as Library } from "@huggingface/tokenizers";
import { CheckpointError } from "../core/errors.ts";
import { quoted } from "../core/quoted.ts";
import { shown } from "../core/quoted.ts";
import { normaliseNfc } from "./nfc.ts";
import { checkTokenizerFile, type TokenizerFile } from "./tokenizer-file.ts";

/** Options of decoding token ids. */
interface DecodeOptions {
  /** Leave out tokens that the tokenizer marks as special; default false. */
  skipSpecial?: boolean;
}

/** Decodes a stream of ids into text that never ends inside a character. */
export interface StreamDecoder {
  /** Adds one id and returns the text that it completed, often empty within a character. */
  push(id: number): string;
  /** Ends the stream: what is still open becomes U+FFFD. */
  flush(): string;
}

/**
 * A byte-level BPE tokenizer as `tokenizer.json` describes it (all Qwen families).
 *
 * Special tokens are matched before anything else, then text is normalised (NFC of Unicode 9, as in
 * the Rust library), split by the file's own pattern and merged. No token is ever added at the start
 * or the end.
 *
 * @example
 * const tokenizer = Tokenizer.fromJson(await readText("tokenizer.json"));
 * tokenizer.decode(tokenizer.encode("<|im_start|>user\nHello"));
 */
export class Tokenizer {
  /** Number of ids that mean something: the largest id of the file and one. */
  readonly vocabSize: number;
  /** Ids that the file marks as special. */
  readonly specialIds: ReadonlySet<number>;
  readonly #library: Library;
  readonly #added: ReadonlyMap<number, string>;
  readonly #bytes = new Map<number, Uint8Array>();

  /**
   * Builds a tokenizer from the texts of its files.
   *
   * @param tokenizerText - `tokenizer.json`.
   * @param configText - `tokenizer_config.json`; nothing in it changes Qwen tokenizers.
   * @param name - the file's name in messages.
   * @throws {CheckpointError} `bad-tokenizer` when a file is not what it should be.
   */
  static fromJson(tokenizerText: string, configText = "{}", name = "tokenizer.json"): Tokenizer {
    try {
      const file = checkTokenizerFile(JSON.parse(tokenizerText));
      return new Tokenizer(file, JSON.parse(configText) as object);
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new CheckpointError("bad-tokenizer", `${name} cannot be used: ${shown(reason)}.`, {
        hint: "Fetch the tokenizer of the checkpoint again.",
        cause,
      });
    }
  }

  private constructor(file: TokenizerFile, config: object) {
    this.#library = new Library(file, config);
    // The library's own would follow the platform's version of Unicode.
    if (file.normalizer?.type === "NFC") {
      Object.assign(this.#library, { normalizer: normaliseNfc });
    }
    this.#added = new Map(file.added_tokens.map(({ id, content }) => [id, content]));
    this.specialIds = new Set(file.added_tokens.filter((t) => t.special).map(({ id }) => id));
    let largest = -1;
    for (const id of this.#library.get_vocab().values()) largest = Math.max(largest, id);
    this.vocabSize = largest + 1;
  }

  /** Turns text into ids. */
  encode(text: string): number[] {
    return text === "" ? [] : this.#library.encode(text, { add_special_tokens: false }).ids;
  }

  /**
   * Turns ids into text.
   *
   * Bytes that are no UTF-8 become U+FFFD; an id without a token (a padding row of the embedding)
   * gives nothing, as in the Python library.
   */
  decode(ids: Iterable<number>, options: DecodeOptions = {}): string {
    const decoder = this.stream(options);
    let text = "";
    for (const id of ids) text += decoder.push(id);
    return text + decoder.flush();
  }

  /** Starts decoding a stream of ids. */
  stream(options: DecodeOptions = {}): StreamDecoder {
    const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
    return {
      push: (id) => {
        if (options.skipSpecial && this.specialIds.has(id)) return "";
        return decoder.decode(this.tokenBytes(id), { stream: true });
      },
      flush: () => decoder.decode(),
    };
  }

  /** The bytes that one token stands for; empty for an id without a token. */
  tokenBytes(id: number): Uint8Array {
    let bytes = this.#bytes.get(id);
    if (bytes === undefined) {
      bytes = this.#makeBytes(id);
      this.#bytes.set(id, bytes);
    }
    return bytes;
  }

  #makeBytes(id: number): Uint8Array {
    const added = this.#added.get(id);
    if (added !== undefined) return new TextEncoder().encode(added);
    const token = this.#library.id_to_token(id) ?? "";
    return Uint8Array.from([...token], (character) => CHARACTER_BYTES.get(character)!);
  }

  /** The id of a token by its spelling in the file, if there is one. */
  find(token: string): number | undefined {
    return this.#library.token_to_id(token);
  }

  /**
   * The id of a token that the model cannot do without.
   *
   * @throws {CheckpointError} `missing-token`.
   */
  id(token: string): number {
    const id = this.find(token);
    if (id !== undefined) return id;
    throw new CheckpointError("missing-token", `The tokenizer has no token ${quoted(token)}.`, {
      hint: "Check that tokenizer.json belongs to this model.",
    });
  }
}

/**
 * The visible character that stands for each byte in a byte-level vocabulary.
 * Source: openai/gpt-2, src/encoder.py (bytes_to_unicode).
 */
const CHARACTER_BYTES: ReadonlyMap<string, number> = (() => {
  const visible = (byte: number) =>
    (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
  const map = new Map<string, number>();
  let next = 256;
  for (let byte = 0; byte < 256; byte++) {
    map.set(String.fromCharCode(visible(byte) ? byte : next++), byte);
  }
  return map;
})();
