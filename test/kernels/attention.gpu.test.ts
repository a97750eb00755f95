import { describe, expect, it } from "vitest";
import {
  attentionBackwardKvKernel,
  attentionBackwardQKernel,
  attentionDeltaKernel,
  attentionKernel,
} from "../../src/kernels/attention.ts";
import { chooseAttention, type AttentionChoice } from "../../src/kernels/choose.ts";
import { attention, attentionBackward, type AttentionCase } from "../../src/reference/attention.ts";
import { f64, periodicF32, zeros } from "../helpers/cases.ts";
import { checkKernel, compare, differences, runKernel } from "../helpers/check-kernel.ts";
import { profileOf, useDevice } from "../helpers/device.ts";
import { packTables, randomPacked, type Packed } from "../helpers/prompt-trees.ts";
import { randomF32 } from "../helpers/random-data.ts";

const device = useDevice();

/** A problem's buffers alone. */
const tensors = ({ q, k, v, segments }: Problem) => ({ q, k, v, segments });

/** A problem's parameters for one binding of all keys. */
const allKeys = ({ rows, heads, kvHeads, scale }: Problem) => ({
  ...{ rows, heads, kvHeads, scale },
  keyFirst: 0,
  keyCount: rows,
});

interface Problem {
  rows: number;
  heads: number;
  kvHeads: number;
  headDim: number;
  scale: number;
  q: Float32Array;
  k: Float32Array;
  v: Float32Array;
  dO: Float32Array;
  segments: Uint32Array;
  keyRanges: Uint32Array;
}

function problem(packed: readonly Packed[], heads: number, kvHeads: number, headDim: number) {
  const { rows, segments, keyRanges } = packTables(packed);
  return {
    rows,
    heads,
    kvHeads,
    headDim,
    scale: headDim ** -0.5,
    q: randomF32(rows * heads * headDim, 1, -2, 2),
    k: randomF32(rows * kvHeads * headDim, 2, -2, 2),
    v: randomF32(rows * kvHeads * headDim, 3),
    dO: randomF32(rows * heads * headDim, 4),
    segments,
    keyRanges,
  };
}

function inFloat64(p: Problem): AttentionCase {
  return { ...p, q: f64(p.q), k: f64(p.k), v: f64(p.v) };
}

/** Runs forward and backward over the given cuts of keys and rows, and compares everything. */
async function check(p: Problem, tile: AttentionChoice, cut = p.rows): Promise<void> {
  const { rows, heads, kvHeads, headDim, scale } = p;
  const want = attention(inFloat64(p));
  const back = attentionBackward(inFloat64(p), f64(p.dO));
  const HEAD_DIM = headDim;
  const params = { rows, heads, kvHeads, scale };
  const kv = kvHeads * headDim;
  const starts = Array.from({ length: Math.ceil(rows / cut) }, (_, i) => i * cut);
  let o = randomF32(rows * heads * headDim, 5);
  let lse = randomF32(rows * heads, 6);
  for (const first of starts) {
    const count = Math.min(cut, rows - first);
    const result = await runKernel(device(), attentionKernel, {
      consts: { HEAD_DIM, MERGE: first > 0, ...tile.forward },
      buffers: {
        q: p.q,
        k: p.k.slice(first * kv, (first + count) * kv),
        v: p.v.slice(first * kv, (first + count) * kv),
        segments: p.segments,
        o,
        lse,
      },
      params: { ...params, keyFirst: first, keyCount: count },
    });
    o = result["o"] as Float32Array<ArrayBuffer>;
    lse = result["lse"] as Float32Array<ArrayBuffer>;
  }
  compare("o", o, want.o, 1e-11);
  // A row without keys holds -3e38, which would drown the others in a mean.
  const seen = (_: number, i: number) => want.lse[i]! > -3e38;
  compare("lse", lse.filter(seen), want.lse.filter(seen), 1e-12);
  want.lse.forEach((value, i) => expect(lse[i]! <= -2.9e38).toBe(value === -3e38));
  const stats = Float32Array.from({ length: rows * heads * 2 }, (_, i) =>
    i % 2 === 0 ? want.lse[i / 2]! : back.delta[(i - 1) / 2]!,
  );
  await checkKernel(device(), attentionDeltaKernel, {
    consts: { HEAD_DIM },
    buffers: { o, dO: p.dO, lse, stats: zeros(stats.length) },
    params: { rows, heads },
    expected: { stats: f64(stats) },
    nmse: 1e-11,
  });
  let dq = randomF32(p.q.length, 7);
  for (const first of starts) {
    const count = Math.min(cut, rows - first);
    const result = await runKernel(device(), attentionBackwardQKernel, {
      consts: { HEAD_DIM, ACCUMULATE: first > 0, ...tile.backwardQ },
      buffers: {
        q: p.q,
        k: p.k.slice(first * kv, (first + count) * kv),
        v: p.v.slice(first * kv, (first + count) * kv),
        dO: p.dO,
        stats,
        segments: p.segments,
        dq,
      },
      params: { ...params, keyFirst: first, keyCount: count },
    });
    dq = result["dq"] as Float32Array<ArrayBuffer>;
  }
  compare("dq", dq, back.dq, 1e-11);
  let dk = randomF32(p.k.length, 8);
  let dv = randomF32(p.v.length, 9);
  for (const first of starts) {
    const count = Math.min(cut, rows - first);
    const wide = heads * headDim;
    const result = await runKernel(device(), attentionBackwardKvKernel, {
      consts: { HEAD_DIM, ACCUMULATE: first > 0, ...tile.backwardKv },
      buffers: {
        q: p.q.slice(first * wide, (first + count) * wide),
        k: p.k,
        v: p.v,
        dO: p.dO.slice(first * wide, (first + count) * wide),
        stats: stats.slice(first * heads * 2, (first + count) * heads * 2),
        keyRanges: p.keyRanges,
        dk,
        dv,
      },
      params: { keys: rows, heads, kvHeads, scale, rowFirst: first, rowCount: count },
    });
    dk = result["dk"] as Float32Array<ArrayBuffer>;
    dv = result["dv"] as Float32Array<ArrayBuffer>;
  }
  compare("dk", dk, back.dk, 1e-11);
  compare("dv", dv, back.dv, 1e-11);
}

const SMALL: Packed[] = [
  { prompt: 5, branches: [3, 0, 7] },
  { window: 6 },
  { prompt: 1, branches: [] },
  { prompt: 9, branches: [1, 1] },
];

describe("float64 attention", () => {
  it("has the gradients that central differences show", () => {
    const p = inFloat64(problem([{ prompt: 3, branches: [2, 1] }, { window: 3 }], 2, 1, 4));
    const dO = f64(randomF32(p.q.length, 4));
    const back = attentionBackward(p, dO);
    const loss = (part: Partial<AttentionCase>) =>
      attention({ ...p, ...part }).o.reduce((sum, value, i) => sum + value * dO[i]!, 0);
    compare(
      "dq",
      back.dq,
      differences((q) => loss({ q }), p.q),
      1e-16,
    );
    compare(
      "dk",
      back.dk,
      differences((k) => loss({ k }), p.k),
      1e-16,
    );
    compare(
      "dv",
      back.dv,
      differences((v) => loss({ v }), p.v),
      1e-16,
    );
  });

  it("gives delta = sum of o dO", () => {
    const p = inFloat64(problem(SMALL, 2, 1, 8));
    const dO = f64(randomF32(p.q.length, 4));
    const { o } = attention(p);
    const want = Float64Array.from({ length: o.length / 8 }, (_, slot) =>
      o.subarray(slot * 8, slot * 8 + 8).reduce((sum, x, d) => sum + x * dO[slot * 8 + d]!, 0),
    );
    compare("delta", attentionBackward(p, dO).delta, want, 1e-26);
  });
});

describe("attention", () => {
  for (const headDim of [16, 24, 32, 64, 80, 128]) {
    for (const software of [true, false]) {
      it(`equals float64 with the tile for ${headDim}, software ${software}`, async () => {
        await check(problem(SMALL, 4, 2, headDim), chooseAttention(profileOf(software), headDim));
      });
    }
  }

  for (const seed of [11, 12, 13, 14]) {
    it(`equals float64 on random trees and windows, seed ${seed}, whole and in chunks`, async () => {
      const [heads, kvHeads] = (
        [
          [2, 1],
          [4, 4],
          [7, 1],
          [6, 2],
        ] as const
      )[seed % 4]!;
      const p = problem(randomPacked(seed, 6, 24), heads, kvHeads, 32);
      await check(p, chooseAttention(profileOf(true), 32));
      await check(p, chooseAttention(profileOf(true), 32), Math.ceil(p.rows / 3));
      await check(p, chooseAttention(profileOf(false), 32), 37);
    });
  }

  it("gives 0 and -3e38 to a row that sees no key, and merges it with later keys", async () => {
    const p = problem([{ window: 9 }], 2, 1, 8);
    p.segments.set([4, 4, 4, 4], 0);
    p.segments.set([0, 0, 2, 5], 4);
    const want = attention(inFloat64(p));
    for (const software of [true, false]) {
      const result = await runKernel(device(), attentionKernel, {
        consts: { HEAD_DIM: 8, MERGE: false, ...chooseAttention(profileOf(software), 8).forward },
        buffers: { ...tensors(p), o: randomF32(p.q.length, 1), lse: randomF32(p.rows * 2, 1) },
        params: allKeys(p),
      });
      compare("o", result["o"]!, want.o, 1e-11);
      expect(result["lse"]![0]).toBe(Math.fround(-3e38));
      await check(
        { ...p, keyRanges: keyRangesOf(p.segments) },
        chooseAttention(profileOf(software), 8),
        4,
      );
    }
  });

  it("gives the same bits every time", async () => {
    const p = problem(randomPacked(21, 6, 24), 2, 1, 32);
    const run = () =>
      runKernel(device(), attentionKernel, {
        consts: { HEAD_DIM: 32, MERGE: false, ...chooseAttention(profileOf(false), 32).forward },
        buffers: { ...tensors(p), o: zeros(p.q.length), lse: zeros(p.rows * 2) },
        params: allKeys(p),
      });
    const first = await run();
    for (let i = 0; i < 5; i++) expect(await run()).toEqual(first);
  });

  it("survives scores of 1e4 that f32 exp would overflow", async () => {
    const p = problem(SMALL, 2, 2, 16);
    p.q.forEach((_, i) => (p.q[i]! *= 200));
    p.k.forEach((_, i) => (p.k[i]! *= 200));
    const want = attention(inFloat64(p));
    const result = await runKernel(device(), attentionKernel, {
      consts: { HEAD_DIM: 16, MERGE: false, ...chooseAttention(profileOf(true), 16).forward },
      buffers: { ...tensors(p), o: zeros(p.q.length), lse: zeros(p.rows * 2) },
      params: allKeys(p),
    });
    // A score of 1e4 has an f32 error of 1e-3, hence the coarser allowance.
    compare("o", result["o"]!, want.o, 1e-6);
  });

  it("covers more rows than one grid dimension has workgroups", async () => {
    const rows = 8 * 65_535 + 3;
    const segments = Uint32Array.from({ length: rows * 4 }, (_, i) =>
      i % 4 === 1 ? 1 + (Math.floor(i / 4) % 3) : 0,
    );
    const q = periodicF32(rows * 4, 1);
    const k = randomF32(12, 2);
    const v = randomF32(12, 3);
    const c = { q: f64(q), k: f64(k), v: f64(v), segments };
    const want = attention({ ...c, heads: 1, kvHeads: 1, headDim: 4, scale: 0.5 });
    await checkKernel(device(), attentionKernel, {
      consts: { HEAD_DIM: 4, MERGE: false, ...chooseAttention(profileOf(true), 4).forward },
      buffers: { q, k, v, segments, o: zeros(rows * 4), lse: zeros(rows) },
      params: { rows, heads: 1, kvHeads: 1, keyFirst: 0, keyCount: 3, scale: 0.5 },
      expected: want,
    });
  });
});

/** Returns the rows that see each key, for tables changed by hand; they must be consecutive. */
function keyRangesOf(segments: Uint32Array): Uint32Array {
  const rows = segments.length / 4;
  const ranges = new Uint32Array(rows * 2);
  for (let key = 0; key < rows; key++) {
    const seen = Array.from({ length: rows }, (_, row) => row).filter((row) =>
      [0, 2].some((p) => key >= segments[row * 4 + p]! && key < segments[row * 4 + p + 1]!),
    );
    const [first, last] = [seen[0]!, seen.at(-1)!];
    if (last - first + 1 !== seen.length) throw new Error(`rows of key ${key} have a gap`);
    ranges.set([first, last + 1], key * 2);
  }
  return ranges;
}
