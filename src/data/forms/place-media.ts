import { DataError } from "../../core/errors.ts";
import type { ContentPart, Conversation, MediaPart, Message } from "../../text/chat-template.ts";

const TAG = /<(image|video|audio)>/g;

/**
 * Puts the media that a row lists into its conversation: each takes the place of the next tag or
 * empty part of its kind; without any they stand before the first user message's text, as TRL and
 * ms-swift put them.
 *
 * @param media in the order of the row's lists.
 * @throws {DataError} `media-count` that says how many places and media of a kind there are: a tag
 *   without a medium would be read as text, and a medium without a place would be ignored.
 */
export function placeMedia(
  conversation: Conversation,
  media: readonly MediaPart[],
  place: string,
): Conversation {
  const slots = conversation.flatMap(({ content }) => slotsOf(content));
  for (const kind of ["image", "video", "audio"] as const) {
    const wanted = slots.filter((slot) => slot === kind).length;
    const given = media.filter(({ type }) => type === kind).length;
    if (wanted === given || (slots.length === 0 && given > 0)) continue;
    throw new DataError(
      "media-count",
      `${place}: the prompt has ${wanted} ${wanted === 1 ? "place" : "places"} for ${kind} (<${kind}> or a part without a file), but the row names ${given} besides.`,
      {
        hint: `Name as many under ${kind}s, or take the ${wanted > given ? "tag out of the text" : "media out of the row"}.`,
      },
    );
  }
  if (slots.length === 0) return media.length === 0 ? conversation : inFront(conversation, media);
  const queues = new Map<string, MediaPart[]>();
  for (const part of media) queues.set(part.type, [...(queues.get(part.type) ?? []), part]);
  const next = (kind: string): MediaPart => queues.get(kind)!.shift()!;
  return conversation.map(({ role, content }) => ({ role, content: filled(content, next) }));
}

/** Returns the kinds of media that a message has places for, in order. */
function slotsOf(content: Message["content"]): string[] {
  if (typeof content === "string") return [...content.matchAll(TAG)].map(([, kind]) => kind!);
  return content.flatMap((part) => {
    if (part.type === "text") return slotsOf(part.text);
    return isEmpty(part) ? [part.type] : [];
  });
}

function isEmpty(part: MediaPart): boolean {
  return (part as unknown as Record<string, unknown>)[part.type] === undefined;
}

function filled(
  content: Message["content"],
  next: (kind: string) => MediaPart,
): Message["content"] {
  if (typeof content === "string") {
    return slotsOf(content).length === 0 ? content : splitText(content, next);
  }
  return content.flatMap((part): ContentPart[] => {
    if (part.type === "text") return splitText(part.text, next);
    // The settings of an empty part stay, such as max_pixels.
    return isEmpty(part) ? [{ ...part, ...next(part.type) } as MediaPart] : [part];
  });
}

function splitText(text: string, next: (kind: string) => MediaPart): ContentPart[] {
  const parts: ContentPart[] = [];
  let end = 0;
  for (const { 0: tag, 1: kind, index } of text.matchAll(TAG)) {
    if (index > end) parts.push({ type: "text", text: text.slice(end, index) });
    parts.push(next(kind!));
    end = index + tag.length;
  }
  if (end < text.length) parts.push({ type: "text", text: text.slice(end) });
  return parts;
}

function inFront(conversation: Conversation, media: readonly MediaPart[]): Conversation {
  const first = conversation.findIndex(({ role }) => role === "user");
  return conversation.map(({ role, content }, at) => {
    if (at !== Math.max(0, first)) return { role, content };
    const parts =
      typeof content === "string" ? [{ type: "text" as const, text: content }] : content;
    return { role, content: [...media, ...parts] };
  });
}
