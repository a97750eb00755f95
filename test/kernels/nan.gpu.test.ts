import { describe, expect, it } from "vitest";
import type { Kernel } from "../../src/gpu/kernel.ts";
import {
  attentionBackwardKvKernel,
  attentionBackwardQKernel,
  attentionDecodeWideKernel,
  attentionKernel,
  ropeKernel,
} from "../../src/kernels/attention.ts";
import { chooseAttention } from "../../src/kernels/choose.ts";
import {
  logitBackwardKernel,
  logitFinishKernel,
  logitStatsKernel,
  nllLossKernel,
} from "../../src/kernels/logits.ts";
import {
  matmulNnKernel,
  matmulNnTiledKernel,
  matmulNtKernel,
  matmulNtTiledKernel,
  matmulSkinnyKernel,
  matmulTnKernel,
  matmulTnTiledKernel,
} from "../../src/kernels/matmul.ts";
import {
  layerNormBackwardKernel,
  layerNormKernel,
  normWeightGradKernel,
  rmsNormBackwardKernel,
  rmsNormKernel,
} from "../../src/kernels/norm.ts";
import { adamwKernel, adamwParams } from "../../src/kernels/optimizer.ts";
import {
  addKernel,
  geluBackwardKernel,
  geluKernel,
  swigluBackwardKernel,
  swigluKernel,
} from "../../src/kernels/pointwise.ts";
import { colSumKernel } from "../../src/kernels/rows.ts";
import { adamw } from "../../src/reference/adamw.ts";
import { attentionDecode } from "../../src/reference/attention-decode.ts";
import { attention, attentionBackward } from "../../src/reference/attention.ts";
import { colSum } from "../../src/reference/col-sum.ts";
import { gelu, geluBackward } from "../../src/reference/gelu.ts";
import { layerNorm, layerNormBackward } from "../../src/reference/layer-norm.ts";
import { logitBackward, logitStats } from "../../src/reference/logit-stats.ts";
import { matmulNn, matmulNt, matmulTn } from "../../src/reference/matmul.ts";
import { nllLoss } from "../../src/reference/nll-loss.ts";
import { normWeightGrad } from "../../src/reference/norm-weight-grad.ts";
import { rmsNorm, rmsNormBackward } from "../../src/reference/rms-norm.ts";
import { rope } from "../../src/reference/rope.ts";
import { swiglu, swigluBackward } from "../../src/reference/swiglu.ts";
import { f64, zeros } from "../helpers/cases.ts";
import { runKernel, type Data } from "../helpers/check-kernel.ts";
import { profileOf, useDevice } from "../helpers/device.ts";
import { randomF32 } from "../helpers/random-data.ts";

/*
 * A NaN or an infinity that enters a kernel must come out wherever float64 arithmetic has one, and
 * nowhere else: a kernel that leaves it out turns a broken weight into a training run that looks
 * healthy.
 */

const device = useDevice();
const POISONS = [NaN, Infinity, -Infinity];

type Buffers = Record<string, Data>;
type Expected = Record<string, ArrayLike<number>>;

/** A kernel with sound data, and what float64 makes of any data; one element is poisoned. */
interface Subject {
  kernel: Kernel;
  consts?: Record<string, number | boolean>;
  library?: Record<string, string>;
  buffers: Buffers;
  params: Record<string, number>;
  /** Inputs to be poisoned, one after the other. */
  inputs: readonly string[];
  expected: (given: (name: string) => Float64Array) => Expected;
}

function expectSameSoundness(label: string, got: Data, want: ArrayLike<number>): void {
  const broken = (values: ArrayLike<number>) =>
    Array.from(values, (value) => !Number.isFinite(value));
  expect(broken(got), label).toEqual(broken(want));
}

async function check(subject: Subject): Promise<void> {
  const { kernel, inputs, expected, buffers } = subject;
  for (const input of inputs) {
    const sound = buffers[input]!;
    for (const poison of POISONS) {
      const at = Math.floor(sound.length / 2);
      const data = sound.slice();
      data[at] = poison;
      const given = { ...buffers, [input]: data };
      const results = await runKernel(device(), kernel, { ...subject, buffers: given });
      for (const [name, want] of Object.entries(expected((key) => f64(given[key]!)))) {
        const label = `${kernel.name}: ${name} of ${poison} at ${input}[${at}]`;
        expectSameSoundness(label, results[name]!, want);
      }
    }
  }
}

/** Six rows that all see one another. */
const HEADS = { heads: 4, kvHeads: 2, headDim: 16, scale: 0.25 };
const ROWS = 6;
const wide = (seed: number) => randomF32(ROWS * HEADS.heads * HEADS.headDim, seed, -2, 2);
const narrow = (seed: number) => randomF32(ROWS * HEADS.kvHeads * HEADS.headDim, seed, -2, 2);
const SEGMENTS = Uint32Array.from({ length: ROWS * 4 }, (_, i) => (i % 4 === 1 ? ROWS : 0));

describe.each([true, false])("attention with the tiles of a software driver: %s", (software) => {
  const tile = chooseAttention(profileOf(software), HEADS.headDim);
  const HEAD_DIM = HEADS.headDim;
  const { heads, kvHeads, scale } = HEADS;
  const of = (given: (name: string) => Float64Array) => ({
    ...HEADS,
    q: given("q"),
    k: given("k"),
    v: given("v"),
    segments: SEGMENTS,
  });
  const common = { q: wide(1), k: narrow(2), v: narrow(3), segments: SEGMENTS };

  it("forward", () =>
    check({
      kernel: attentionKernel,
      consts: { HEAD_DIM, MERGE: false, ...tile.forward },
      buffers: { ...common, o: wide(4), lse: zeros(ROWS * heads) },
      params: { rows: ROWS, heads, kvHeads, keyFirst: 0, keyCount: ROWS, scale },
      inputs: ["q", "k", "v"],
      expected: (given) => attention(of(given)),
    }));

  it("merged over two bindings of keys, whichever has the broken one", async () => {
    const kv = kvHeads * HEAD_DIM;
    for (const poison of POISONS) {
      for (const [input, at] of [
        ["k", 3],
        ["k", 4 * kv + 5],
        ["v", 7],
        ["v", 4 * kv + 1],
        ["q", 2],
      ] as const) {
        const given = { ...common };
        given[input] = common[input].slice();
        given[input][at] = poison;
        let [o, lse]: Data[] = [wide(4), zeros(ROWS * heads)];
        for (const [keyFirst, keyCount] of [
          [0, 2],
          [2, 4],
        ] as const) {
          const part = (name: "k" | "v") =>
            given[name].slice(keyFirst * kv, (keyFirst + keyCount) * kv);
          const result: Buffers = await runKernel(device(), attentionKernel, {
            consts: { HEAD_DIM, MERGE: keyFirst > 0, ...tile.forward },
            buffers: { ...given, k: part("k"), v: part("v"), o: o!, lse: lse! },
            params: { rows: ROWS, heads, kvHeads, keyFirst, keyCount, scale },
          });
          [o, lse] = [result["o"]!, result["lse"]!];
        }
        const want = attention(of((name) => f64(given[name as "q" | "k" | "v"])));
        expectSameSoundness(`o of ${poison} in ${input}[${at}]`, o!, want.o);
        expectSameSoundness(`lse of ${poison} in ${input}[${at}]`, lse!, want.lse);
      }
    }
  });

  it("a score of -inf has no weight, and only -inf is NaN, over bindings of keys too", async () => {
    // Products overflow f32 where nothing in q or k is infinite: float64 must be told of it.
    const q = wide(1).fill(1e30);
    const run = async (signs: readonly number[], cut: number) => {
      const k = narrow(2).map((_, i) => signs[Math.floor(i / (kvHeads * HEAD_DIM))]! * 1e30);
      const kv = kvHeads * HEAD_DIM;
      let [o, lse]: Data[] = [wide(4), zeros(ROWS * heads)];
      for (let first = 0; first < ROWS; first += cut) {
        const part = (data: Float32Array) => data.slice(first * kv, (first + cut) * kv);
        const result: Buffers = await runKernel(device(), attentionKernel, {
          consts: { HEAD_DIM, MERGE: first > 0, ...tile.forward },
          buffers: { ...common, q, k: part(k), v: part(common.v), o: o!, lse: lse! },
          params: { rows: ROWS, heads, kvHeads, keyFirst: first, keyCount: cut, scale },
        });
        [o, lse] = [result["o"]!, result["lse"]!];
      }
      return { o: o as Float32Array, lse: lse as Float32Array };
    };
    for (const cut of [6, 3]) {
      const one = await run([-1, -1, -1, -1, 0, -1], cut);
      for (let i = 0; i < HEAD_DIM; i++) {
        expect(one.o[i]).toBeCloseTo(common.v[4 * kvHeads * HEAD_DIM + i]!, 6);
      }
      expect(one.lse[0]).toBeCloseTo(0, 6);
      const none = await run([-1, -1, -1, -1, -1, -1], cut);
      expect(none.o.every((value) => Number.isNaN(value))).toBe(true);
      expect(none.lse.every((value) => value === -Infinity)).toBe(true);
    }
  });

  const statsOf = (given: (name: string) => Float64Array) => {
    const back = attentionBackward(of(given), given("dO"));
    const { lse: sums } = attention(of(given));
    return Float32Array.from({ length: sums.length * 2 }, (_, i) =>
      i % 2 === 0 ? sums[i / 2]! : back.delta[(i - 1) / 2]!,
    );
  };

  it("backward", async () => {
    const sound = { ...common, dO: wide(5) };
    const RANGES = Uint32Array.from({ length: ROWS * 2 }, (_, i) => (i % 2) * ROWS);
    for (const input of ["q", "k", "v", "dO"] as const) {
      for (const poison of POISONS) {
        const given = { ...sound, [input]: sound[input].slice() };
        given[input][5] = poison;
        const stats = statsOf((name) => f64(given[name as "q"]));
        const want = attentionBackward(
          of((name) => f64(given[name as "q"])),
          f64(given.dO),
        );
        const queries = await runKernel(device(), attentionBackwardQKernel, {
          consts: { HEAD_DIM, ACCUMULATE: false, ...tile.backwardQ },
          buffers: { ...given, stats, dq: wide(6) },
          params: { rows: ROWS, heads, kvHeads, keyFirst: 0, keyCount: ROWS, scale },
        });
        const keys = await runKernel(device(), attentionBackwardKvKernel, {
          consts: { HEAD_DIM, ACCUMULATE: false, ...tile.backwardKv },
          buffers: { ...given, stats, keyRanges: RANGES, dk: narrow(7), dv: narrow(8) },
          params: { keys: ROWS, heads, kvHeads, scale, rowFirst: 0, rowCount: ROWS },
        });
        const label = `${poison} in ${input}`;
        expectSameSoundness(`dq of ${label}`, queries["dq"]!, want.dq);
        expectSameSoundness(`dk of ${label}`, keys["dk"]!, want.dk);
        expectSameSoundness(`dv of ${label}`, keys["dv"]!, want.dv);
      }
    }
  });

  it("decoding", async () => {
    const choices = [tile.decode, { kernel: attentionDecodeWideKernel, consts: { WG: 64 } }];
    const [rows, capacity, step] = [3, 3, 1];
    const kv = kvHeads * HEAD_DIM;
    const table = Uint32Array.of(0, 4, 0, 4, 0, 4);
    for (const { kernel, consts } of software ? choices.slice(0, 1) : choices) {
      await check({
        kernel,
        consts: { HEAD_DIM, ...consts },
        buffers: {
          q: randomF32(rows * heads * HEAD_DIM, 1, -2, 2),
          prefixK: randomF32(4 * kv, 2),
          prefixV: randomF32(4 * kv, 3),
          suffixK: randomF32(rows * capacity * kv, 4),
          suffixV: randomF32(rows * capacity * kv, 5),
          table,
          state: Uint32Array.of(step),
          o: zeros(rows * heads * HEAD_DIM),
        },
        params: { rows, heads, kvHeads, capacity, scale },
        inputs: ["q", "prefixK", "prefixV", "suffixK", "suffixV"],
        expected: (given) => ({
          o: attentionDecode({
            ...{ q: given("q"), prefixK: given("prefixK"), prefixV: given("prefixV") },
            ...{ suffixK: given("suffixK"), suffixV: given("suffixV") },
            ...HEADS,
            ...{ table, capacity, step },
          }),
        }),
      });
    }
  });
});

it("rotary embedding", () =>
  check({
    kernel: ropeKernel,
    buffers: { x: randomF32(48, 1), table: randomF32(24, 2), y: zeros(48) },
    params: { rows: 3, heads: 2, headDim: 8, sign: 1 },
    inputs: ["x", "table"],
    expected: (given) => ({ y: rope(given("x"), given("table"), 3, 2, 8) }),
  }));

describe("the logits' kernels", () => {
  const [rows, width] = [3, 70];
  const targets = Uint32Array.of(3, 69, 40);
  const logits = randomF32(rows * width, 1, -9, 9);

  it.each([...logitStatsKernel.tunables["WG"]!])("statistics with WG %s", async (WG) => {
    for (const poison of [NaN, Infinity]) {
      for (const at of [0, 39, width + 69, 3 * width - 1]) {
        const given = logits.slice();
        given[at] = poison;
        let running: Data = zeros(rows * 4);
        for (const [first, cols] of [
          [0, 40],
          [40, 30],
        ] as const) {
          const tile = Float32Array.from({ length: rows * cols }, (_, i) => {
            return given[Math.floor(i / cols) * width + first + (i % cols)]!;
          });
          const result: Buffers = await runKernel(device(), logitStatsKernel, {
            consts: { WG },
            buffers: { logits: tile, targets, running },
            params: { rows, cols, first, invTemperature: 1.25, reset: first === 0 ? 1 : 0 },
          });
          running = result["running"]!;
        }
        const { out } = await runKernel(device(), logitFinishKernel, {
          buffers: { running, out: zeros(rows * 3) },
          params: { rows },
        });
        const want = logitStats(f64(given), targets, width, 1.25);
        expectSameSoundness(`out of ${poison} at ${at}`, out!, want);
      }
    }
  });

  it("their gradient", async () => {
    const out = Float32Array.from(logitStats(f64(logits), targets, width, 1));
    const buffers = { logits, targets, out, grad: randomF32(rows * 2, 2) };
    const params = { rows, cols: width, first: 0, invTemperature: 1 };
    await check({
      kernel: logitBackwardKernel,
      ...{ buffers, params, inputs: ["grad"] },
      expected: (given) => ({
        logits: logitBackward(f64(logits), targets, given("grad"), width, 1),
      }),
    });
    for (const poison of [NaN, Infinity]) {
      const given = logits.slice();
      given[width + 8] = poison;
      const after = Float32Array.from(logitStats(f64(given), targets, width, 1));
      const result = await runKernel(device(), logitBackwardKernel, {
        buffers: { ...buffers, logits: given, out: after },
        params,
      });
      const want = logitBackward(f64(given), targets, f64(buffers.grad), width, 1);
      expectSameSoundness(`logits of ${poison}`, result["logits"]!, want);
    }
  });

  it("the negative log-likelihood", () =>
    check({
      kernel: nllLossKernel,
      buffers: {
        out: randomF32(12, 1, -3, -1),
        weight: Float32Array.of(0.5, 0, 1, 0.25),
        grad: zeros(8),
        terms: zeros(8),
      },
      params: { rows: 4 },
      inputs: ["weight"],
      expected: (given) => {
        const logp = given("out").filter((_, i) => i % 3 === 0);
        const { grad, terms } = nllLoss(logp, given("weight"));
        return { grad, terms };
      },
    }));
});

describe("norms", () => {
  const [rows, cols, eps] = [3, 20, 1e-6];
  const [x, dy] = [randomF32(rows * cols, 1), randomF32(rows * cols, 2)];
  const [weight, bias] = [randomF32(cols, 3), randomF32(cols, 4)];
  const stats = (of: { stats: Float64Array }) => Float32Array.from(of.stats);
  const y = zeros(rows * cols);

  it.each([{ THREAD_A_ROW: false }, { THREAD_A_ROW: true }])("with %o", async (consts) => {
    const common = { consts, params: { rows, cols, eps } };
    await check({
      kernel: rmsNormKernel,
      ...common,
      buffers: { x, weight, y, stats: zeros(rows * 2) },
      inputs: ["x", "weight"],
      expected: (given) => ({ y: rmsNorm(given("x"), given("weight"), rows, cols, eps).y }),
    });
    await check({
      kernel: layerNormKernel,
      ...common,
      buffers: { x, weight, bias, y, stats: zeros(rows * 2) },
      inputs: ["x", "weight", "bias"],
      expected: (given) => ({
        y: layerNorm(given("x"), given("weight"), given("bias"), rows, cols, eps).y,
      }),
    });
    const rms = stats(rmsNorm(f64(x), f64(weight), rows, cols, eps));
    const layer = stats(layerNorm(f64(x), f64(weight), f64(bias), rows, cols, eps));
    for (const [kernel, backward, saved] of [
      [rmsNormBackwardKernel, rmsNormBackward, rms],
      [layerNormBackwardKernel, layerNormBackward, layer],
    ] as const) {
      await check({
        kernel,
        ...common,
        buffers: { dy, x, weight, stats: saved, dx: y },
        inputs: ["dy", "x", "weight"],
        expected: (given) => ({
          dx: backward(given("dy"), given("x"), given("weight"), given("stats"), rows, cols),
        }),
      });
    }
  });

  it("the weight's gradient", () =>
    check({
      kernel: normWeightGradKernel,
      buffers: {
        ...{ dy, x, partial: zeros(2 * cols) },
        stats: stats(rmsNorm(f64(x), f64(weight), rows, cols, eps)),
      },
      params: { rows, cols, rowsPerBlock: 2 },
      inputs: ["dy", "x"],
      expected: (given) => ({
        partial: normWeightGrad(given("dy"), given("x"), given("stats"), rows, cols, 2),
      }),
    }));

  it("sums of columns", () =>
    check({
      kernel: colSumKernel,
      buffers: { input: x, output: zeros(2 * cols) },
      params: { rows, cols, rowsPerBlock: 2, scale: 0.5 },
      inputs: ["input"],
      expected: (given) => ({ output: colSum(given("input"), rows, cols, 2, 0.5) }),
    }));
});

describe("pointwise kernels", () => {
  const count = 9;
  const [a, b, c] = [randomF32(count, 1), randomF32(count, 2), randomF32(count, 3)];
  const y = zeros(count);
  const common = { params: { count } };

  it("activations and their gradients", async () => {
    await check({
      kernel: swigluKernel,
      ...common,
      buffers: { gate: a, up: b, y },
      inputs: ["gate", "up"],
      expected: (given) => ({ y: swiglu(given("gate"), given("up")) }),
    });
    await check({
      kernel: swigluBackwardKernel,
      ...common,
      buffers: { dy: c, gate: a, up: b, dgate: y, dup: y },
      inputs: ["dy", "up"],
      expected: (given) => swigluBackward(given("dy"), given("gate"), given("up")) as never,
    });
    await check({
      kernel: geluKernel,
      ...common,
      buffers: { x: a, y },
      inputs: ["x"],
      expected: (given) => ({ y: gelu(given("x")) }),
    });
    await check({
      kernel: geluBackwardKernel,
      ...common,
      buffers: { dy: c, x: a, dx: y },
      inputs: ["dy", "x"],
      expected: (given) => ({ dx: geluBackward(given("dy"), given("x")) }),
    });
    const gate = a.slice().fill(NaN);
    const result = await runKernel(device(), swigluBackwardKernel, {
      ...common,
      buffers: { dy: c, gate, up: b, dgate: y, dup: y },
    });
    for (const name of ["dgate", "dup"]) {
      expect([...result[name]!].every((value) => Number.isNaN(value))).toBe(true);
    }
  });

  it("a sum", () =>
    check({
      kernel: addKernel,
      params: { count, scale: 0.5 },
      buffers: { a, b, y },
      inputs: ["a", "b"],
      expected: (given) => ({ y: given("a").map((value, i) => value + 0.5 * given("b")[i]!) }),
    }));

  it("AdamW", () => {
    const options = {
      ...{ learningRate: 0.1, beta1: 0.9, beta2: 0.99, eps: 1e-8, weightDecay: 0.1, step: 2 },
    };
    return check({
      kernel: adamwKernel,
      params: { count, ...adamwParams(options) },
      buffers: {
        ...{ param: a, grad: b, m: c },
        v: randomF32(count, 4, 0.1, 1),
        clip: Float32Array.of(1, 0.5),
      },
      inputs: ["param", "grad", "m"],
      expected: (given) =>
        adamw(given("param"), given("grad"), given("m"), given("v"), 0.5, options),
    });
  });
});

describe("products", () => {
  const [m, n, k] = [5, 9, 20];
  const params = { m, n, k, yStride: n, yOffset: 0, scale: 1 };
  const [x, weight, dy] = [randomF32(m * k, 1), randomF32(n * k, 2), randomF32(m * n, 3)];
  const library = { weight: "f32" };

  it.each([matmulNtKernel, matmulNtTiledKernel, matmulSkinnyKernel])("forward: $name", (kernel) =>
    check({
      ...{ kernel, params, library },
      consts: { BIAS: true, RESIDUAL: true },
      buffers: { x, weight, bias: randomF32(n, 4), residual: dy, y: zeros(m * n) },
      inputs: ["x", "weight", "bias", "residual"],
      expected: (given) => {
        const y = new Float64Array(m * n);
        const terms = { bias: given("bias"), residual: given("residual") };
        matmulNt(given("x"), given("weight"), y, params, terms);
        return { y };
      },
    }),
  );

  it.each([matmulNnKernel, matmulNnTiledKernel])("the input's gradient: $name", (kernel) =>
    check({
      ...{ kernel, params, library },
      buffers: { dy, weight, dx: zeros(m * k) },
      inputs: ["dy", "weight"],
      expected: (given) => {
        const dx = new Float64Array(m * k);
        matmulNn(given("dy"), given("weight"), dx, params);
        return { dx };
      },
    }),
  );

  it.each([matmulTnKernel, matmulTnTiledKernel])("the weight's gradient: $name", (kernel) =>
    check({
      kernel,
      params: { m, n, k, yStride: n, yOffset: 0, rowsPerSplit: m, splits: 1 },
      buffers: { dy, x, partial: zeros(n * k) },
      inputs: ["dy", "x"],
      expected: (given) => {
        const partial = new Float64Array(n * k);
        matmulTn(given("dy"), given("x"), partial, params);
        return { partial };
      },
    }),
  );
});
