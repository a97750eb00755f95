import type { Sample } from "../../src/prompt/sample.ts";

/** A way to damage a sample after its processor made it. */
export interface Damage {
  name: string;
  /** Changes the sample in place. */
  apply: (sample: Sample) => void;
  /** The text of the refusal after the row's id. */
  says: RegExp;
}

/** Tokens [from, to) of a sample; rows, where asked, and positions are cut along. */
function cut(
  sample: Sample,
  from: number,
  to: number,
  { rows = true, positions = true }: { rows?: boolean; positions?: boolean } = {},
): void {
  const length = sample.inputIds.length;
  sample.inputIds = sample.inputIds.slice(from, to);
  if (positions) {
    const kept = [0, 1, 2].flatMap((axis) => [
      ...sample.positions.subarray(axis * length + from, axis * length + to),
    ]);
    sample.positions = Int32Array.from(kept);
  }
  if (!rows) return;
  for (const name of ["visionRows", "audioRows"] as const) {
    const kept = sample[name].filter((row) => row >= from && row < to);
    sample[name] = kept.map((row) => row - from);
  }
}

/** Index of the first token of the clip, and of the first after it, its enclosing tokens included. */
function clipOf({ visionRows, audioRows }: Sample): [number, number] {
  const rows = [...visionRows, ...audioRows];
  return [Math.min(...rows) - 2, Math.max(...rows) + 3];
}

/** Takes the clip out of tokens, positions, rows and tensors; the ledger is left to the caller. */
function withoutClip(sample: Sample): void {
  const [start, end] = clipOf(sample);
  const length = sample.inputIds.length;
  const kept = (index: number): boolean => index % length < start || index % length >= end;
  sample.inputIds = sample.inputIds.filter((_, i) => kept(i));
  sample.positions = sample.positions.filter((_, i) => kept(i));
  Object.assign(sample, { visionRows: new Uint32Array(), audioRows: new Uint32Array() });
  Object.assign(sample, { patches: new Float32Array(), grids: [], mel: [] });
}

const soundMiddle = ({ audioRows }: Sample): number => audioRows[audioRows.length >> 1]!;
const entryOf = (sample: Sample, kind: "video" | "audio") =>
  sample.ledger.find((entry) => entry.kind === kind)!;

/**
 * Damage to a row whose one medium is a video with its sound: sound attached twice, and prompts cut
 * within a medium, at its border and in the text.
 */
export const DAMAGES: readonly Damage[] = [
  {
    name: "the log-mel clip a second time",
    apply: (s) => (s.mel = [...s.mel, s.mel[0]!]),
    says: /\.mp4 has \d+ log-mel values/,
  },
  {
    name: "the log-mel clip and its entry a second time",
    apply: (s) => {
      s.mel = [...s.mel, s.mel[0]!];
      s.ledger = [...s.ledger, entryOf(s, "audio")];
    },
    says: /have 100 placeholders in the ledger, 50 in the tokens/,
  },
  {
    name: "feature rows of sound a second time",
    apply: (s) => (s.audioRows = Uint32Array.from([...s.audioRows, ...s.audioRows])),
    says: /50 in the tokens and 100 in the list of rows/,
  },
  {
    name: "sound spliced one token late",
    apply: (s) => (s.audioRows = s.audioRows.map((row) => row + 1)),
    says: /\.mp4 and its like have 50 placeholders in the ledger, 50 in the tokens/,
  },
  {
    name: "two rows of sound exchanged",
    apply: (s) => {
      const [a, b, ...more] = s.audioRows;
      s.audioRows = Uint32Array.of(b!, a!, ...more);
    },
    says: /\.mp4 and its like have 50 placeholders/,
  },
  {
    name: "the right end cut within the sound, rows uncut",
    apply: (s) => cut(s, 0, soundMiddle(s), { rows: false }),
    says: /placeholders in the ledger, \d+ in the tokens/,
  },
  {
    name: "the right end cut within the sound, rows cut along",
    apply: (s) => cut(s, 0, soundMiddle(s)),
    says: /placeholders in the ledger, \d+ in the tokens/,
  },
  {
    name: "the right end cut within the video, rows and ledger cut along",
    apply: (s) => {
      cut(s, 0, s.visionRows[10]!);
      s.ledger = s.ledger.map((entry) => {
        const { length } = entry.kind === "audio" ? s.audioRows : s.visionRows;
        return { ...entry, placeholders: length, featureRows: length };
      });
    },
    says: /feature rows in the ledger but \d+ in tensors/,
  },
  {
    name: "the left end cut within the sound, rows cut along",
    apply: (s) => cut(s, soundMiddle(s), s.inputIds.length),
    says: /placeholders in the ledger, \d+ in the tokens/,
  },
  {
    name: "cut at the clip's end: the question is lost",
    apply: (s) => cut(s, 0, clipOf(s)[1]),
    says: /the prompt has \d+ tokens where its processor laid out \d+/,
  },
  {
    name: "cut at the clip's start: what stood before it is lost",
    apply: (s) => cut(s, clipOf(s)[0], s.inputIds.length),
    says: /the prompt has \d+ tokens where its processor laid out \d+/,
  },
  {
    name: "the first token of the text lost",
    apply: (s) => cut(s, 1, s.inputIds.length),
    says: /the prompt has \d+ tokens where its processor laid out \d+/,
  },
  {
    name: "the text cut, positions uncut",
    apply: (s) => cut(s, 0, s.inputIds.length - 4, { positions: false }),
    says: /\d+ positions on three axes for \d+ tokens/,
  },
  {
    name: "positions of another prompt",
    apply: (s) => (s.positions = s.positions.map((position) => position + 1)),
    says: /the prompt has other tokens, positions or rows/,
  },
  {
    name: "a branch that starts one position early",
    apply: (s) => (s.nextPos -= 1),
    says: /the prompt has other tokens, positions or rows/,
  },
  {
    name: "the whole clip lost, the ledger kept",
    apply: withoutClip,
    says: /\.mp4 has \d+ feature rows in the ledger but 0 in tensors/,
  },
  {
    name: "the whole clip lost, from the ledger too",
    apply: (s) => {
      withoutClip(s);
      s.ledger = [];
    },
    says: /the prompt has \d+ tokens where|has other values/,
  },
  {
    name: "sound turned down",
    apply: (s) => (s.mel = [{ ...s.mel[0]!, data: s.mel[0]!.data.map((value) => value / 2) }]),
    says: /\.mp4 has other values in the tensors than its processor made of this row/,
  },
];

/** Gives each of two samples the sound of the other, with the entries of the ledger where asked. */
export function exchangeSound(a: Sample, b: Sample, entries: boolean): void {
  [a.mel, b.mel] = [b.mel, a.mel];
  if (!entries) return;
  const [ofA, ofB] = [entryOf(a, "audio"), entryOf(b, "audio")];
  a.ledger = a.ledger.map((entry) => (entry === ofA ? ofB : entry));
  b.ledger = b.ledger.map((entry) => (entry === ofB ? ofA : entry));
}
