import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import {
  advanceKernel,
  sampleCommitKernel,
  sampleDrawKernel,
  type SampleOptions,
  sampleParams,
  sampleScoresKernel,
} from "../../src/kernels/sample.ts";
import { logitFinishKernel, logitStatsKernel } from "../../src/kernels/logits.ts";
import { logitStats } from "../../src/reference/logit-stats.ts";
import { sampleScores, sampleToken } from "../../src/reference/sampler.ts";
import { f64, zeros } from "../helpers/cases.ts";
import { checkKernel, compare, runKernel, type Data } from "../helpers/check-kernel.ts";
import { useDevice } from "../helpers/device.ts";
import { randomF32, randomU32 } from "../helpers/random-data.ts";

const device = useDevice();

const PLAIN: SampleOptions = {
  temperature: 1,
  topK: 0,
  topP: 1,
  minP: 0,
  repetitionPenalty: 1,
};
const PAD = 7_777_777;

/** One step of the sampler over some rows. */
interface Step {
  logits: Float32Array;
  vocab: number;
  options: SampleOptions;
  /** Token sets; rows share the bans, each row has its own present tokens. */
  banned?: number[];
  present?: number[][];
  /** [rows, 4]: sample, completion, draw, flags. */
  info: Uint32Array;
  done?: Uint32Array;
  step?: number;
  seed?: number;
  eos?: number[];
  WG?: number | boolean;
}

function bits(sets: readonly (readonly number[])[], vocab: number): Uint32Array {
  const words = Math.ceil(vocab / 32);
  const mask = new Uint32Array(sets.length * words);
  sets.forEach((set, row) => {
    for (const token of set) mask[row * words + (token >>> 5)]! |= 1 << (token & 31);
  });
  return mask;
}

/** Runs the three kernels; the result has every output buffer. */
async function runStep(s: Step): Promise<Record<string, Data>> {
  const { logits, vocab, info } = s;
  const rows = info.length / 4;
  const numbers = sampleParams(s.options);
  const consts = { WG: s.WG ?? 64 };
  const done = s.done ?? new Uint32Array(rows);
  const presence = bits(s.present ?? Array.from({ length: rows }, () => []), vocab);
  const state = Uint32Array.of(s.step ?? 0);
  const scored = await runKernel(device(), sampleScoresKernel, {
    consts,
    buffers: {
      ...{ logits, info, presence, done },
      bans: bits([s.banned ?? []], vocab),
      scores: zeros(rows * vocab),
      stats: zeros(rows * 8),
    },
    params: { rows, vocab, ...numbers },
  });
  const drawn = await runKernel(device(), sampleDrawKernel, {
    consts,
    buffers: {
      ...{ logits, info, state, done },
      scores: scored["scores"]!,
      stats: scored["stats"]!,
      next: new Uint32Array(rows),
      choice: new Uint32Array(rows * 8),
    },
    params: { rows, vocab, seed: s.seed ?? 5, pad: PAD, ...numbers },
  });
  const capacity = (s.step ?? 0) + 2;
  const eos = Uint32Array.from(s.eos ?? []);
  const committed = await runKernel(device(), sampleCommitKernel, {
    buffers: {
      choice: drawn["choice"]!,
      ...{ state, presence, done },
      eos: eos.length > 0 ? eos : Uint32Array.of(0),
      lengths: new Uint32Array(rows),
      tokens: new Uint32Array(rows * capacity),
      logps: zeros(rows * capacity * 4),
    },
    params: { rows, vocab, capacity, eosCount: eos.length },
  });
  return { ...scored, ...drawn, ...committed };
}

/** Samples every row with the CPU twin. */
function twin(s: Step) {
  const { vocab } = s;
  const numbers = sampleParams(s.options);
  const done = s.done ?? new Uint32Array(s.info.length / 4);
  return Array.from(done, (flag, row) => {
    const [sample, completion, draw, flags] = s.info.subarray(row * 4, row * 4 + 4);
    const greedy = (flags! & 1) === 1;
    const scores = sampleScores(
      s.logits.subarray(row * vocab, (row + 1) * vocab),
      (token) => s.banned?.includes(token) ?? false,
      (token) => s.present?.[row]!.includes(token) ?? false,
      greedy
        ? {
            factor: 1,
            positiveFactor: numbers.greedyInverse,
            negativeFactor: numbers.greedyPenalty,
          }
        : { ...numbers, factor: numbers.invTemperature },
    );
    const key = {
      seed: s.seed ?? 5,
      ...{ sample: sample!, completion: completion!, draw: draw!, step: s.step ?? 0 },
    };
    const chosen = flag === 0 ? sampleToken(scores, { ...numbers, greedy }, key) : undefined;
    return { scores, chosen };
  });
}

/** Info of rows 0 .. rows-1 of one sample. */
const infoOf = (rows: number, flags = 0, first = 0) =>
  Uint32Array.from({ length: rows * 4 }, (_, i) =>
    i % 4 === 1 ? first + Math.floor(i / 4) : [42, 0, 3, flags][i % 4]!,
  );

/** Runs a step on the GPU and expects the twin's tokens and the float64 log-probabilities. */
async function checkStep(s: Step): Promise<void> {
  const { vocab } = s;
  const rows = s.info.length / 4;
  const result = await runStep(s);
  const want = twin(s);
  const step = s.step ?? 0;
  want.forEach(({ scores, chosen }, row) => {
    const got = result["tokens"]![row * (step + 2) + step]!;
    expect(got, `token of row ${row}`).toBe(chosen === undefined ? PAD : chosen.token);
    expect(result["next"]![row]).toBe(got);
    if (chosen === undefined) return;
    const part = result["scores"]!.subarray(row * vocab, (row + 1) * vocab);
    expect(Buffer.compare(bytes(part), bytes(scores)), `scores of row ${row}`).toBe(0);
    const greedy = (s.info[row * 4 + 3]! & 1) === 1;
    const inverse = greedy ? 1 : Math.fround(1 / s.options.temperature);
    const raw = f64(s.logits.subarray(row * vocab, (row + 1) * vocab));
    const [logp, lse, entropy] = logitStats(raw, Uint32Array.of(got), vocab, inverse);
    const at = (row * (step + 2) + step) * 4;
    const record = result["logps"]!.subarray(at, at + 4);
    expect(record[0]).toBeCloseTo(logp!, 4);
    expect(record[1]).toBeCloseTo(chosen.logp, 4);
    expect(record[2]).toBeCloseTo(entropy!, 3);
    const mass = (s.banned ?? []).reduce((sum, t) => sum + Math.exp(raw[t]! * inverse - lse!), 0);
    expect(record[3]).toBeCloseTo(mass, 5);
  });
  expect(result["lengths"]!.length).toBe(rows);
}

const bytes = (data: Data) => Buffer.from(data.buffer, data.byteOffset, data.byteLength);

interface Support {
  options: SampleOptions;
  logits: number[];
  present: number[];
  kept: number[];
}

// Made by test/golden/sampler/make_support.py with transformers' logits processors.
const SUPPORT = JSON.parse(
  readFileSync(new URL("../golden/sampler/support.json", import.meta.url), "utf8"),
) as { cases: Support[] };

describe("against transformers", () => {
  it("draws only tokens that they keep", async () => {
    for (const { options, logits, present, kept } of SUPPORT.cases) {
      const rows = 50;
      const { next } = await runStep({
        logits: Float32Array.from({ length: rows * 90 }, (_, i) => logits[i % 90]!),
        ...{ vocab: 90, options, info: infoOf(rows), WG: 8 },
        present: Array.from({ length: rows }, () => present),
      });
      expect([...next!].every((token) => kept.includes(token))).toBe(true);
    }
  });
});

const CASES: [string, Partial<SampleOptions>, Partial<Step>][] = [
  ["plain", {}, {}],
  ["temperature 0.7", { temperature: 0.7 }, {}],
  ["top-k 5", { topK: 5 }, {}],
  ["top-k 1", { topK: 1 }, {}],
  ["top-k beyond the vocabulary", { topK: 5000 }, {}],
  ["top-p 0.9", { topP: 0.9 }, {}],
  ["top-p 1e-9", { topP: 1e-9 }, {}],
  ["min-p 0.1", { minP: 0.1 }, {}],
  ["min-p 1", { minP: 1 }, {}],
  ["everything", { temperature: 1.3, topK: 40, topP: 0.8, minP: 0.02, repetitionPenalty: 1.2 }, {}],
  ["bans", { topK: 7 }, { banned: [0, 3, 4, 64] }],
  ["greedy", { temperature: 0.5, repetitionPenalty: 1.1 }, { info: infoOf(9, 1) }],
  ["step 11", { topP: 0.95 }, { step: 11, seed: 99 }],
];

describe("the sampler on the GPU", () => {
  for (const [name, options, part] of CASES) {
    for (const [vocab, WG] of [
      [1, 64],
      [3, 8],
      [65, 64],
      [1000, 256],
    ] as const) {
      it(`chooses as its twin: ${name}, vocabulary ${vocab}, WG ${WG}`, async () => {
        const rows = 9;
        const logits = randomF32(rows * vocab, 3, -6, 6);
        // Equal scores, so that ties at thresholds occur.
        for (let i = 0; i < logits.length; i += 3) logits[i] = Math.round(logits[i]!);
        await checkStep({
          ...{ logits, vocab, WG },
          info: infoOf(rows),
          options: { ...PLAIN, ...options },
          present: Array.from({ length: rows }, (_, r) => [...randomU32(20, vocab, r + 1)]),
          ...part,
          banned: (part.banned ?? []).filter((token) => token < vocab && vocab > 5),
        });
      });
    }
  }

  it("chooses as its twin on Qwen's vocabulary", async () => {
    const vocab = 151_936;
    const logits = randomF32(3 * vocab, 8, -9, 9);
    const banned = Array.from({ length: 271 }, (_, i) => 151_665 + i);
    const options = { ...PLAIN, topK: 5000, topP: 0.97, repetitionPenalty: 1.05 };
    const present = [0, 1, 2].map((row) => [...randomU32(300, vocab, row + 1)]);
    await checkStep({ logits, vocab, banned, present, options, info: infoOf(3), WG: 256 });
  });

  it("chooses the same whatever else is in the batch", async () => {
    const vocab = 50;
    const rows = 8;
    const logits = randomF32(rows * vocab, 3, -2, 2);
    const whole = await runStep({ logits, vocab, options: PLAIN, info: infoOf(rows), step: 2 });
    for (let row = 0; row < rows; row++) {
      const alone = await runStep({
        logits: logits.slice(row * vocab, (row + 1) * vocab),
        ...{ vocab, options: PLAIN, step: 2, info: infoOf(1, 0, row) },
      });
      expect(alone["next"]![0]).toBe(whole["next"]![row]);
      expect(alone["logps"]!.subarray(8, 12)).toEqual(
        whole["logps"]!.subarray(row * 16 + 8, row * 16 + 12),
      );
    }
  });

  it("records the log-probability that the training kernels compute", async () => {
    const vocab = 700;
    const rows = 6;
    const logits = randomF32(rows * vocab, 3, -12, 12);
    const options = { ...PLAIN, temperature: 0.8, topP: 0.9, repetitionPenalty: 1.2 };
    const present = Array.from({ length: rows }, (_, r) => [...randomU32(50, vocab, r + 1)]);
    const { next, logps } = await runStep({ logits, vocab, options, info: infoOf(rows), present });
    const { running } = await runKernel(device(), logitStatsKernel, {
      buffers: { logits, targets: next!, running: zeros(rows * 4) },
      params: { rows, cols: vocab, first: 0, invTemperature: 1 / 0.8, reset: 1 },
    });
    const { out } = await runKernel(device(), logitFinishKernel, {
      buffers: { running: running!, out: zeros(rows * 3) },
      params: { rows },
    });
    for (let row = 0; row < rows; row++) {
      expect(Math.abs(logps![row * 8]! - out![row * 3]!)).toBeLessThan(1e-5);
      expect(Math.abs(logps![row * 8 + 2]! - out![row * 3 + 2]!)).toBeLessThan(1e-4);
    }
  });

  it("draws from the softmax: chi-square over 20,000 draws", async () => {
    const rows = 20_000;
    const row = Float32Array.of(0.3, -1, 2, 0.5, -0.2, 1.1, -3);
    const logits = Float32Array.from({ length: rows * 7 }, (_, i) => row[i % 7]!);
    const check = async (options: SampleOptions, kept: number[]) => {
      const { next } = await runStep({ logits, vocab: 7, options, info: infoOf(rows), WG: 8 });
      const counts = Array<number>(7).fill(0);
      for (const token of next!) counts[token]!++;
      const mass = kept.map((token) => Math.exp(row[token]! / options.temperature));
      const total = mass.reduce((a, b) => a + b);
      counts.forEach((count, token) => expect(count > 0).toBe(kept.includes(token)));
      const chi = kept.reduce((sum, token, i) => {
        const expected = (rows * mass[i]!) / total;
        return sum + (counts[token]! - expected) ** 2 / expected;
      }, 0);
      // 99.9th percentile for six degrees of freedom; the draws are pinned by the seed.
      expect(chi).toBeLessThan(22.5);
    };
    await check({ ...PLAIN, temperature: 1.5 }, [0, 1, 2, 3, 4, 5, 6]);
    await check({ ...PLAIN, topK: 4 }, [0, 2, 3, 5]);
    await check({ ...PLAIN, topP: 0.7 }, [2, 5]);
    await check({ ...PLAIN, minP: 0.15 }, [0, 2, 3, 5]);
  });

  it("takes the lowest index of equal highest logits when greedy, as torch.argmax", async () => {
    const logits = zeros(100);
    for (const i of [17, 18, 70, 99]) logits[i] = 5;
    for (const WG of [8, 64, 256]) {
      const { next, logps } = await runStep({
        ...{ logits, vocab: 100, options: { ...PLAIN, temperature: 0.1 }, WG },
        info: infoOf(1, 1),
      });
      expect(next![0]).toBe(17);
      // At temperature 1, whatever the option says.
      expect(logps![0]).toBeCloseTo(5 - Math.log(96 + 4 * Math.exp(5)), 5);
    }
  });

  it("reports a row whose tokens are all banned, and one with NaN, +inf or a score that overflows", async () => {
    const logits = Float32Array.of(1, 2, 3, 1, NaN, 0, 1, Infinity, 0, 0, -Infinity, 1);
    const some = { vocab: 3, options: PLAIN, info: infoOf(4) };
    const broken = await runStep({ logits, ...some });
    expect([...broken["done"]!]).toEqual([0, 3, 3, 0]);
    expect([...broken["next"]!].slice(1, 3)).toEqual([PAD, PAD]);
    expect(broken["logps"]!.every(Number.isFinite)).toBe(true);
    expect(broken["next"]![3]).not.toBe(1);
    const cold = { ...some, options: { ...PLAIN, temperature: 0.1 } };
    const overflow = Float32Array.of(1, 2, 3, 1, 3e38, 0, 1, -3e38, 0, 0, 9, 1);
    expect([...(await runStep({ logits: overflow, ...cold }))["done"]!]).toEqual([0, 3, 0, 0]);
    const banned = await runStep({ logits: zeros(12), ...some, banned: [0, 1, 2] });
    expect([...banned["done"]!]).toEqual([2, 2, 2, 2]);
    expect([...banned["next"]!]).toEqual([PAD, PAD, PAD, PAD]);
  });

  it("ends a row at an end token and writes pad from then on", async () => {
    const vocab = 40;
    const logits = zeros(3 * vocab);
    logits[33] = 50;
    logits[vocab + 5] = 50;
    logits[2 * vocab + 5] = 50;
    const result = await runStep({
      ...{ logits, vocab, options: PLAIN, info: infoOf(3), step: 4, eos: [2, 33] },
      done: Uint32Array.of(0, 0, 1),
      present: [[1], [39], []],
    });
    expect([...result["done"]!]).toEqual([1, 0, 1]);
    expect([...result["lengths"]!]).toEqual([5, 5, 0]);
    const tokens = [0, 1, 2].map((row) => result["tokens"]![row * 6 + 4]);
    expect(tokens).toEqual([33, 5, PAD]);
    expect([...result["presence"]!]).toEqual([...bits([[1, 33], [39, 5], []], vocab)]);
    expect([...result["logps"]!.subarray((2 * 6 + 4) * 4, (2 * 6 + 4) * 4 + 4)]).toEqual([
      0, 0, 0, 0,
    ]);
  });

  it("records nothing at a step beyond the capacity", async () => {
    await checkKernel(device(), sampleCommitKernel, {
      buffers: {
        choice: new Uint32Array(8),
        state: Uint32Array.of(3),
        eos: Uint32Array.of(0),
        presence: Uint32Array.of(6),
        done: Uint32Array.of(0),
        lengths: Uint32Array.of(3),
        tokens: Uint32Array.of(1, 2, 3),
        logps: zeros(12),
      },
      params: { rows: 1, vocab: 5, capacity: 3, eosCount: 1 },
      expected: { presence: [6], done: [0], lengths: [3], tokens: [1, 2, 3] },
      nmse: 0,
    });
  });

  it("covers more rows than one grid dimension has workgroups", async () => {
    const rows = 65_537;
    const logits = Float32Array.from({ length: rows * 2 }, (_, i) => (i * 7) % 5);
    const s = { logits, vocab: 2, options: PLAIN, info: infoOf(rows), WG: 8 };
    const { next } = await runStep(s);
    const want = twin(s).map(({ chosen }) => chosen!.token);
    compare("next", next!, want, 0);
  });
});

describe("advance", () => {
  it("adds one to the step and leaves the rest", async () => {
    await checkKernel(device(), advanceKernel, {
      buffers: { state: Uint32Array.of(41, 7) },
      params: { unused: 0 },
      expected: { state: [42, 7] },
      nmse: 0,
    });
  });
});
