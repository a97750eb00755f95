import { DataError } from "../core/errors.ts";
import { quoted } from "../core/quoted.ts";
import type {
  ContentPart,
  Conversation,
  MediaPart,
  MediaReference,
  Message,
} from "./chat-template.ts";

/** The keys of one kind of media part. */
interface PartKeys {
  /** Spellings of the key that names the medium. */
  references: readonly string[];
  /** Settings and what their values must be. */
  settings: Readonly<Record<string, ValueKind>>;
  /** Keys of Hugging Face and of the Qwen utilities that aubade does not implement. */
  missing: readonly string[];
}

type ValueKind = "count" | "rate" | "flag";

const SIZES: Readonly<Record<string, ValueKind>> = {
  ...{ min_pixels: "count", max_pixels: "count" },
  ...{ resized_height: "count", resized_width: "count" },
};
/** Settings of a video that choose frames of a file. */
const CHOICE_KEYS = ["nframes", "min_frames", "max_frames"];
const PARTS: Readonly<Record<MediaPart["type"], PartKeys>> = {
  image: {
    references: ["image", "image_url", "url", "path"],
    settings: SIZES,
    missing: ["base64"],
  },
  audio: {
    references: ["audio", "audio_url", "url", "path"],
    settings: {},
    missing: ["audio_start", "audio_end"],
  },
  video: {
    references: ["video", "video_url", "url", "path"],
    settings: {
      ...{ fps: "rate", sample_fps: "rate" },
      ...{ nframes: "count", min_frames: "count", max_frames: "count" },
      ...{ ...SIZES, total_pixels: "count" },
      use_audio_in_video: "flag",
    },
    missing: ["video_start", "video_end", "raw_fps"],
  },
};
/** Part types as chat servers spell them, which the Qwen utilities take too. */
const TYPE_ALIASES: ReadonlyMap<string, string> = new Map([
  ["image_url", "image"],
  ["audio_url", "audio"],
  ["video_url", "video"],
]);
const KINDS: Readonly<Record<ValueKind, [what: string, fits: (value: unknown) => boolean]>> = {
  count: ["a whole number of at least 1", (v) => Number.isSafeInteger(v) && (v as number) >= 1],
  rate: ["a number above 0", (v) => Number.isFinite(v) && (v as number) > 0],
  flag: ["true or false", (v) => typeof v === "boolean"],
};
const ROLES = ["system", "user", "assistant"];

/**
 * Checks a conversation that comes from a file and brings it to one spelling.
 *
 * Media may be named by `image`, `audio` or `video`, by `image_url` and the like (a string, or an
 * object with `url`), by `url` or by `path`; a leading `file://` goes, as in the Qwen utilities. A
 * video may be a list of pictures. A part may leave its medium out, for those who give media apart. Keys that are null count as absent,
 * since tables of rows fill missing keys with null. Any other key is an error, so that no setting is
 * ever ignored.
 *
 * @param value - parsed JSON: a list of messages.
 * @param name - names the row in messages.
 * @throws {DataError} `bad-conversation`, which names the message, the part and the key.
 */
export function parseConversation(value: unknown, name: string): Conversation {
  const at = new Place(name, "messages");
  if (!Array.isArray(value)) throw at.error(`is ${quoted(value)}`, "Give a list of messages.");
  if (value.length === 0) throw at.error("is empty", "Give at least one message.");
  return value.map((message, i) => parseMessage(message, at.index(i)));
}

function parseMessage(value: unknown, at: Place): Message {
  const { role, content, ...others } = entriesOf(value, at);
  if (typeof role !== "string" || !ROLES.includes(role)) {
    throw at.key("role").error(describe(role), `Use one of ${ROLES.join(", ")}.`);
  }
  refuseOthers(others, at, "A message has role and content.");
  if (typeof content === "string") return { role, content };
  if (!Array.isArray(content)) {
    throw at.key("content").error(describe(content), "Give a text or a list of parts.");
  }
  return { role, content: content.map((part, i) => parsePart(part, at.key("content").index(i))) };
}

function parsePart(value: unknown, at: Place): ContentPart {
  const { type: spelled, ...others } = entriesOf(value, at);
  const type = typeof spelled === "string" ? (TYPE_ALIASES.get(spelled) ?? spelled) : spelled;
  if (type === "text") {
    const { text, ...rest } = others;
    refuseOthers(rest, at, "A part of type text has no key but text.");
    if (typeof text !== "string") throw at.key("text").error(describe(text), "Give a string.");
    return { type, text };
  }
  if (type !== "image" && type !== "audio" && type !== "video") {
    throw at.key("type").error(describe(spelled), "Use text, image, audio or video.");
  }
  return parseMedia(type, others, at);
}

function parseMedia(type: MediaPart["type"], values: Values, at: Place): MediaPart {
  const { references, settings, missing } = PARTS[type];
  const part: Record<string, unknown> = { type };
  const rest = { ...values };
  for (const [key, kind] of Object.entries(settings)) {
    if (rest[key] === undefined) continue;
    const [what, fits] = KINDS[kind];
    if (!fits(rest[key])) throw at.key(key).error(describe(rest[key]), `Give ${what}.`);
    part[key] = rest[key];
    delete rest[key];
  }
  const named = references.filter((key) => rest[key] !== undefined);
  if (named.length > 1) {
    throw at.error(`has both ${named.join(" and ")}`, "Name the medium once.");
  }
  for (const key of named) {
    part[type] = parseReference(rest[key], type, at.key(key));
    delete rest[key];
  }
  const unknown = missing.find((key) => rest[key] !== undefined);
  if (unknown !== undefined) {
    throw at.key(unknown).error("is not implemented", "Leave it out and prepare the file instead.");
  }
  if (type === "video" && part[type] !== undefined) checkVideoKeys(part, at);
  if ((part["resized_height"] === undefined) !== (part["resized_width"] === undefined)) {
    throw at.error("has only one of resized_height and resized_width", "Give both, or none.");
  }
  const known = [...references, ...Object.keys(settings)].join(", ");
  refuseOthers(rest, at, `A part of type ${type} takes ${known}.`);
  // Every key was checked against the table above, which mirrors the types.
  return part as unknown as MediaPart;
}

/** Checks the keys of a video: a list of pictures has no frames to choose, a file its own rate. */
function checkVideoKeys(part: Values, at: Place): void {
  const list = Array.isArray(part["video"]);
  const wrong = (list ? CHOICE_KEYS : ["sample_fps"]).find((key) => part[key] !== undefined);
  if (wrong === undefined) return;
  const what = list ? "does not go with a list of pictures" : "goes with a list of pictures only";
  throw at.key(wrong).error(what, list ? "List the pictures that you want." : "Use fps.");
}

function parseReference(
  value: unknown,
  type: string,
  at: Place,
): MediaReference | MediaReference[] {
  if (isBytes(value)) return value;
  const url = isTable(value) && Object.keys(value).join() === "url" ? value["url"] : value;
  if (type === "video" && Array.isArray(url)) {
    if (url.length === 0) throw at.error("is an empty list", "Name at least one picture.");
    return url.map((picture, i) => parseReference(picture, "image", at.index(i)) as MediaReference);
  }
  if (typeof url !== "string" || url === "") {
    throw at.error(describe(url), "Give a path or a URL.");
  }
  return url.replace(/^file:\/\//, "");
}

/** Tells whether a reference is bytes with a name, as programs and tables of bytes give them. */
function isBytes(value: unknown): value is Exclude<MediaReference, string> {
  if (!isTable(value) || typeof value["name"] !== "string") return false;
  return value["data"] instanceof Uint8Array || value["data"] instanceof Blob;
}

type Values = Record<string, unknown>;

function isTable(value: unknown): value is Values {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Returns the keys of an object whose values are not null. */
function entriesOf(value: unknown, at: Place): Values {
  if (!isTable(value)) throw at.error(describe(value), "Give an object.");
  return Object.fromEntries(Object.entries(value).filter(([, v]) => v !== null && v !== undefined));
}

function refuseOthers(values: Values, at: Place, hint: string): void {
  for (const key of Object.keys(values)) throw at.error(`has an unknown key ${quoted(key)}`, hint);
}

function describe(value: unknown): string {
  return value === undefined ? "is missing" : `is ${quoted(value)}`;
}

/** A place in a row, for messages. */
class Place {
  readonly #name: string;
  readonly #path: string;

  constructor(name: string, path: string) {
    this.#name = name;
    this.#path = path;
  }

  index(index: number): Place {
    return new Place(this.#name, `${this.#path}[${index}]`);
  }

  key(key: string): Place {
    return new Place(this.#name, `${this.#path}.${key}`);
  }

  error(what: string, hint: string): DataError {
    return new DataError("bad-conversation", `${this.#name}: ${this.#path} ${what}.`, { hint });
  }
}
