import { isUrl, joinPath } from "../io/path.ts";
import { sourceName } from "../media/types.ts";
import type {
  ContentPart,
  Conversation,
  MediaPart,
  MediaReference,
} from "../text/chat-template.ts";

/**
 * Returns the conversation with the paths of its media, whichever key names them, relative to a
 * folder.
 */
export function withMediaIn(conversation: Conversation, folder: string): Conversation {
  return conversation.map(({ role, content }) => ({
    role,
    content: typeof content === "string" ? content : content.map((part) => placed(part, folder)),
  }));
}

function placed(part: ContentPart, folder: string): ContentPart {
  if (part.type === "text") return part;
  const place = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(place);
    if (typeof value !== "string" || isUrl(value) || isAbsolute(value)) return value;
    return joinPath(folder, value);
  };
  const medium = (part as unknown as Record<string, unknown>)[part.type];
  return medium === undefined ? part : { ...part, [part.type]: place(medium) };
}

function isAbsolute(path: string): boolean {
  return /^([/\\]|[a-z]:[/\\]|data:|blob:)/i.test(path);
}

/** Returns the name of a part's medium for records and messages; a data address is cut short. */
export function mediaName(part: MediaPart): string {
  const medium = (part as unknown as Record<string, MediaReference | readonly MediaReference[]>)[
    part.type
  ];
  if (medium === undefined) return `${part.type} without a file`;
  const list = Array.isArray(medium)
    ? (medium as readonly MediaReference[])
    : [medium as MediaReference];
  return list.map(sourceName).join(",");
}

/** Returns the folder that a path lies in. */
export function folderOf(path: string): string {
  return /^(.*)[/\\]/.exec(path)?.[1] ?? ".";
}
