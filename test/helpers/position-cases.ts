import { readFile } from "node:fs/promises";
import type { Layout, PromptFacts } from "../../src/families/family.ts";
import type { PatchGrid } from "../../src/network/media.ts";
import type { MediaTokens, MediumShape } from "../../src/prompt/layout.ts";
import { layout as layoutAudio } from "../../src/families/qwen2-audio/positions.ts";
import { omniLayout } from "../../src/families/qwen2-5-omni/positions.ts";
import { vlLayout } from "../../src/families/qwen2-5-vl/positions.ts";
import { audioTokens } from "../../src/network/towers/audio-layout.ts";
import { checksum } from "./real-processor.ts";

/** `["t", words]`, `["a", frames]`, `["i", grid]`, `["v", grid, s]`, `["w", grid, s, frames]`. */
export type Packed = [kind: string, a: number | PatchGrid, seconds?: number, frames?: number];

/** A conversation of the goldens: what is laid out, and the numbers that must come out. */
export interface PositionCase {
  name: string;
  expected: number[];
  actual: () => number[];
}

const TOKENS: Required<MediaTokens> = {
  ...{ audio: 143, audioStart: 144, audioEnd: 145 },
  ...{ visionStart: 146, visionEnd: 147, image: 149, video: 150 },
};
const read = async (path: string) =>
  JSON.parse(await readFile(new URL(`../golden/${path}`, import.meta.url), "utf8"));

/** Makes the facts of a prompt to which the layout adds no words. */
export function promptFacts(tokens: MediaTokens, row: string): PromptFacts {
  return { tokens, row, encode: () => [] };
}

/** The tokenised prompt of a conversation and its media. */
function unpack(segments: readonly Packed[]): { ids: number[]; media: MediumShape[] } {
  const ids: number[] = [];
  const media: MediumShape[] = [];
  for (const [kind, a, secondsPerGrid = 1, frames] of segments) {
    const file = `medium ${media.length + 1}`;
    if (kind === "t") {
      ids.push(...Array.from({ length: a as number }, (_, i) => 5 + i));
    } else if (kind === "a") {
      ids.push(TOKENS.audioStart, TOKENS.audio, TOKENS.audioEnd);
      media.push({ kind: "audio", file, audioTokens: audioTokens(a as number) });
    } else if (kind === "i") {
      ids.push(TOKENS.visionStart, TOKENS.image, TOKENS.visionEnd);
      media.push({ kind: "image", file, grid: a as PatchGrid });
    } else {
      const sound = frames === undefined ? {} : { audioTokens: audioTokens(frames) };
      ids.push(TOKENS.visionStart, TOKENS.video, TOKENS.visionEnd);
      media.push({
        kind: "video",
        file,
        grid: a as PatchGrid,
        secondsPerGrid,
        times: [],
        ...sound,
      });
    }
  }
  return { ids, media };
}

function positionCase(lay: Layout, segments: readonly Packed[], expected: number[]): PositionCase {
  const actual = () => {
    const { ids, media } = unpack(segments);
    const { inputIds, positions, nextPos } = lay(ids, media, promptFacts(TOKENS, "row"));
    return [inputIds.length, checksum(inputIds), checksum(positions), nextPos];
  };
  return { name: JSON.stringify(segments), expected, actual };
}

type OmniRow = [perChunk: number, segments: Packed[], ...expected: number[]];

/** Qwen2.5-Omni: what transformers gives, and what only the written rule gives. */
export async function omniPositions(): Promise<{ agreed: PositionCase[]; rule: PositionCase[] }> {
  const { cases, rule } = (await read("models/positions.json")) as Record<string, OmniRow[]>;
  const unpacked = (rows: OmniRow[]) =>
    rows.map(([secondsPerChunk, segments, ...expected]) =>
      positionCase(
        omniLayout({ positionIdPerSeconds: 25, secondsPerChunk, mergeSize: 2 }),
        segments,
        expected,
      ),
    );
  return { agreed: unpacked(cases!), rule: unpacked(rule!) };
}

/** Qwen2.5-VL. */
export async function vlPositions(): Promise<PositionCase[]> {
  const { cases } = (await read("vl/positions.json")) as { cases: OmniRow[] };
  return cases.map(([positionIdPerSeconds, segments, ...expected]) =>
    positionCase(vlLayout({ positionIdPerSeconds, mergeSize: 2 }), segments, expected),
  );
}

/** Qwen2-Audio, whose positions have one axis: it stands in all three rows. */
export async function audioPositions(): Promise<PositionCase[]> {
  type Row = [segments: Packed[], length: number, sum: number, next: number];
  const { cases } = (await read("models/audio-positions.json")) as { cases: Row[] };
  return cases.map(([segments, ...expected]) => {
    const actual = () => {
      const { ids, media } = unpack(segments);
      const facts = promptFacts(TOKENS, "row");
      const { inputIds, positions, nextPos } = layoutAudio(ids, media, facts);
      const rows = [0, 1, 2].map((row) =>
        checksum(positions.subarray(row * inputIds.length, (row + 1) * inputIds.length)),
      );
      const [sum] = rows;
      return [inputIds.length, rows.every((r) => r === sum) ? sum! : NaN, nextPos];
    };
    return { name: JSON.stringify(segments), expected, actual };
  });
}
