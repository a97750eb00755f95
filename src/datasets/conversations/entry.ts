import { z } from "zod";
import { DataError } from "../../core/errors.ts";
import { quoted } from "../../core/quoted.ts";
import type { DataContext, OpenedData } from "../../data/dataset.ts";
import type { MediaPart, VideoPart } from "../../text/chat-template.ts";
import { openRelease, type Raw, textAt, type Translate } from "../release/open.ts";
import { answerScorer } from "../release/score.ts";
import { releaseSettings, type ReleaseSettings } from "../release/settings.ts";

const settings = {
  ...releaseSettings("a JSON list of conversations and their media", "default"),
  file: z.string().min(1).default("train.json").describe("File of rows in the folder."),
};

const ROLES: Readonly<Record<string, string>> = {
  human: "user",
  user: "user",
  gpt: "assistant",
  assistant: "assistant",
  system: "system",
};

/**
 * Reads a row of LLaVA's form: turns by `human` and `gpt`, of which the last is the answer; media take
 * the places of `<image>` and `<video>`. `meta` says how frames are chosen: between `min_frames` and
 * `max_frames` where `dynamic_sample` is true, else `frame_cnts` of them.
 *
 * @param answered whether the answer stays in the conversation, for supervised training.
 */
function translator(answered: boolean): Translate {
  return (raw, place) => {
    const turns = turnsOf(raw, place);
    const last = turns.at(-1)!;
    if (last.role !== "assistant") {
      throw new DataError("bad-row", `${place}: its last turn is by ${last.role}, not by gpt.`, {
        hint: "End every conversation with the answer.",
      });
    }
    return {
      id: raw["id"] === undefined ? place : textAt(raw, "id", place),
      prompt: answered ? turns : turns.slice(0, -1),
      answer: (/<answer>(.*?)<\/answer>/s.exec(last.content)?.[1] ?? last.content).trim(),
      media: mediaOf(raw, place),
      names: typeof raw["video"] === "string" ? [raw["video"]] : [],
    };
  };
}

function turnsOf(raw: Raw, place: string): { role: string; content: string }[] {
  const turns = raw["conversations"];
  if (!Array.isArray(turns) || turns.length < 2) {
    throw new DataError("bad-row", `${place}: conversations is ${quoted(turns, 60)}.`, {
      hint: "Give a list of at least two turns, each with from and value.",
    });
  }
  return turns.map((turn: unknown, at) => {
    const { from, value } = (turn ?? {}) as Raw;
    const role = typeof from === "string" && Object.hasOwn(ROLES, from) ? ROLES[from] : undefined;
    if (role !== undefined && typeof value === "string") return { role, content: value };
    throw new DataError("bad-row", `${place}: turn ${at} is ${quoted(turn, 60)}.`, {
      hint: "Give from as human or gpt, and value as a text.",
    });
  });
}

function mediaOf(raw: Raw, place: string): MediaPart[] {
  const listed = (key: string): string[] => {
    const value = raw[key] ?? [];
    const list: unknown[] = Array.isArray(value) ? value : [value];
    if (list.every((one) => typeof one === "string")) return list;
    throw new DataError("bad-row", `${place}: ${key} is ${quoted(value, 60)}.`, {
      hint: "Give a path, or a list of paths.",
    });
  };
  const frames = framesOf(raw, place);
  return [
    ...listed("image").map((image) => ({ type: "image" as const, image })),
    ...listed("video").map((video) => ({ type: "video" as const, video, ...frames })),
  ];
}

function framesOf(raw: Raw, place: string): Partial<VideoPart> {
  const meta = (raw["meta"] ?? {}) as Raw;
  const count = (key: string): number | undefined => {
    const value = meta[key];
    if (value === undefined || value === null) return undefined;
    if (Number.isSafeInteger(value) && (value as number) > 0) return value as number;
    throw new DataError("bad-row", `${place}: meta.${key} is ${quoted(value, 60)}.`, {
      hint: "Give a whole number above 0.",
    });
  };
  const [nframes, least, most] = [count("frame_cnts"), count("min_frames"), count("max_frames")];
  if (meta["dynamic_sample"] !== true && nframes !== undefined) return { nframes };
  return {
    ...(least !== undefined && { min_frames: least }),
    ...(most !== undefined && { max_frames: most }),
  };
}

/** Conversations in LLaVA's form, as Qwen2.5-VL's fine-tuning reads them. */
export const CONVERSATIONS = {
  doc: "conversations in LLaVA's form, as Qwen2.5-VL's fine-tuning reads them",
  settings,
  asked: settings,
  async open(
    given: ReleaseSettings & { file: string },
    { answered = false }: DataContext,
  ): Promise<OpenedData> {
    const set = await openRelease(given, [given.file], translator(answered), answered);
    return { set, scorer: answerScorer(() => []) };
  },
};
