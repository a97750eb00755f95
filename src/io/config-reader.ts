import { CheckpointError } from "../core/errors.ts";
import { quoted } from "../core/quoted.ts";

/** The largest size that a file may state: that of a tensor's side. */
const MAX_SIZE = 2 ** 31 - 1;
/** The maximum number of layers of a network; each is laid out before a weight is read. */
export const MAX_LAYERS = 4096;
/** The maximum of what is a few dozen in every model: sides of patches, windows, bands of sound. */
export const MAX_SMALL = 65_536;

/** Reads typed values out of a checkpoint's JSON, with errors that name the key. */
export class ConfigReader {
  readonly #values: Readonly<Record<string, unknown>>;
  readonly #path: string;
  readonly #file: string;

  /**
   * @param values - the JSON object; anything else is an error.
   * @param file - the file's name in messages.
   * @param path - dotted path of the object inside the file; empty at the top.
   * @throws {CheckpointError} `bad-config`.
   */
  constructor(values: unknown, file: string, path = "") {
    this.#file = file;
    this.#path = path;
    if (typeof values !== "object" || values === null || Array.isArray(values)) {
      throw this.error("", values, "a table");
    }
    this.#values = values as Record<string, unknown>;
  }

  /** Parses the text of a JSON file. */
  static parse(text: string, file: string): ConfigReader {
    try {
      return new ConfigReader(JSON.parse(text), file);
    } catch (cause) {
      if (cause instanceof CheckpointError) throw cause;
      throw new CheckpointError("bad-config", `${file} is not JSON.`, {
        hint: "Fetch the file again.",
        cause,
      });
    }
  }

  /** Says whether a key is there with a value that is not null. */
  has(key: string): boolean {
    return Object.hasOwn(this.#values, key) && this.#values[key] !== null;
  }

  /** Says whether a key holds a list. */
  isList(key: string): boolean {
    return this.has(key) && Array.isArray(this.#values[key]);
  }

  /** The first of several keys that is there, else the first. */
  either(...keys: [string, ...string[]]): string {
    return keys.find((key) => this.has(key)) ?? keys[0];
  }

  /** A nested table; an empty one when the key is missing. */
  section(key: string): ConfigReader {
    const path = this.#path === "" ? key : `${this.#path}.${key}`;
    return new ConfigReader(this.has(key) ? this.#values[key] : {}, this.#file, path);
  }

  /** A finite number. */
  number(key: string, fallback?: number): number {
    return this.#read(key, fallback, "a number", (value) => Number.isFinite(value));
  }

  /** A whole number that is not negative. */
  integer(key: string, fallback?: number): number {
    return this.#read(key, fallback, "a whole number of at least 0", isCount);
  }

  /** A whole number from 1 to `most`: what is laid out by it has to fit the memory. */
  size(key: string, fallback?: number, most = MAX_SIZE): number {
    const fits = (value: unknown) => isCount(value) && value !== 0 && (value as number) <= most;
    return this.#read(key, fallback, `a whole number from 1 to ${most}`, fits);
  }

  /** A list of whole numbers that are not negative. */
  integers(key: string, fallback?: number[]): number[] {
    const isList = (value: unknown) => Array.isArray(value) && value.every(isCount);
    return this.#read(key, fallback, "a list of whole numbers", isList);
  }

  /** A list of finite numbers. */
  numbers(key: string, fallback?: number[]): number[] {
    const isList = (value: unknown) => Array.isArray(value) && value.every(Number.isFinite);
    return this.#read(key, fallback, "a list of numbers", isList);
  }

  /** True or false. */
  boolean(key: string, fallback?: boolean): boolean {
    return this.#read(key, fallback, "true or false", (value) => typeof value === "boolean");
  }

  /** A text. */
  text(key: string, fallback?: string): string {
    return this.#read(key, fallback, "a text", (value) => typeof value === "string");
  }

  /** A list of texts. */
  texts(key: string, fallback?: string[]): string[] {
    const isList = (value: unknown) =>
      Array.isArray(value) && value.every((entry) => typeof entry === "string");
    return this.#read(key, fallback, "a list of texts", isList);
  }

  /** A whole number, or undefined when the key is missing. */
  optionalInteger(key: string): number | undefined {
    return this.has(key) ? this.integer(key) : undefined;
  }

  /** Checks that a key, when it is there, has one of the values that aubade implements. */
  only(key: string, ...allowed: (string | boolean | number)[]): void {
    if (!this.has(key)) return;
    this.#read(key, undefined, allowed.map((a) => quoted(a)).join(" or "), (value) =>
      allowed.includes(value as string),
    );
  }

  /** The error for a value that cannot be used. */
  error(key: string, value: unknown, expected: string): CheckpointError {
    const where = [this.#path, key].filter((part) => part !== "").join(".");
    const what = value === undefined ? "is missing" : `is ${quoted(value)}`;
    return new CheckpointError(
      "bad-config",
      `${this.#file}: ${where || "the file"} ${what}; ${expected} is needed.`,
      { hint: "Check that the file belongs to this model and is whole." },
    );
  }

  #read<T>(key: string, fallback: T | undefined, what: string, fits: (value: unknown) => boolean) {
    const value = this.has(key) ? this.#values[key] : fallback;
    if (value === undefined || !fits(value)) throw this.error(key, value, what);
    return value as T;
  }
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
