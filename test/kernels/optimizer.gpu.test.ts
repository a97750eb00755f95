import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import {
  adamwKernel,
  adamwParams,
  clipCoefficientKernel,
  gradNormKernel,
} from "../../src/kernels/optimizer.ts";
import { adamw, clipCoefficient } from "../../src/reference/adamw.ts";
import { combinations, f64, periodicF32, zeros } from "../helpers/cases.ts";
import { checkKernel, compare, runKernel } from "../helpers/check-kernel.ts";
import { useDevice } from "../helpers/device.ts";
import { randomF32 } from "../helpers/random-data.ts";

const device = useDevice();

interface Golden {
  lr: number;
  betas: [number, number];
  eps: number;
  weight_decay: number;
  max_norm: number;
  start: number[];
  steps: { grad: number[]; norm: number; param: number[]; m: number[]; v: number[] }[];
}

// Made by test/golden/optimizer/make_adamw.py with torch.optim.AdamW in float64.
const GOLDEN = JSON.parse(
  readFileSync(new URL("../golden/optimizer/adamw.json", import.meta.url), "utf8"),
) as { cases: Golden[] };

const optionsOf = (golden: Golden, step: number) => ({
  learningRate: golden.lr,
  beta1: golden.betas[0],
  beta2: golden.betas[1],
  eps: golden.eps,
  weightDecay: golden.weight_decay,
  step,
});

describe("float64 adamw", () => {
  for (const golden of GOLDEN.cases) {
    it(`is torch's for five steps at learning rate ${golden.lr}`, () => {
      const zero = new Float64Array(37);
      let state = adamw(f64(golden.start), zero, zero, zero, -1, optionsOf(golden, 1));
      golden.steps.forEach((want, i) => {
        const squares = f64(want.grad).map((g) => g * g);
        const { norm, coefficient } = clipCoefficient(squares, golden.max_norm);
        expect(norm / want.norm).toBeCloseTo(1, 13);
        const { param, m, v } = state;
        state = adamw(param, f64(want.grad), m, v, coefficient, optionsOf(golden, i + 1));
        compare("param", state.param, want.param, 1e-28);
        compare("m", state.m, want.m, 1e-28);
        compare("v", state.v, want.v, 1e-28);
      });
    });
  }
});

type State = Record<"param" | "m" | "v", Float32Array>;

/** grad-norm, clip-coefficient and adamw, as a run chains them. */
async function step(
  state: State,
  grad: Float32Array,
  maxNorm: number,
  options: Parameters<typeof adamwParams>[0],
  consts: Record<string, number | boolean> = {},
) {
  const count = grad.length;
  const perBlock = 16;
  const blocks = Math.ceil(count / perBlock);
  const norms = await runKernel(device(), gradNormKernel, {
    buffers: { grad, partial: zeros(blocks) },
    params: { count, perBlock, first: 0 },
  });
  const { clip } = await runKernel(device(), clipCoefficientKernel, {
    buffers: { partial: norms["partial"]!, clip: zeros(2) },
    params: { count: blocks, maxNorm },
  });
  const result = await runKernel(device(), adamwKernel, {
    consts,
    buffers: { ...state, grad, clip: clip! },
    params: { count, ...adamwParams(options) },
  });
  return { clip: clip!, state: result as State };
}

describe("adamw", () => {
  for (const golden of GOLDEN.cases) {
    for (const consts of combinations(adamwKernel.tunables)) {
      it(`is torch's at learning rate ${golden.lr}, ${JSON.stringify(consts)}`, async () => {
        let state: State = { param: Float32Array.from(golden.start), m: zeros(37), v: zeros(37) };
        let sizes = new Float64Array(37);
        for (const [i, want] of golden.steps.entries()) {
          const options = optionsOf(golden, i + 1);
          const grad = Float32Array.from(want.grad);
          const done = await step(state, grad, golden.max_norm, options, consts);
          expect(done.clip[0]! / want.norm).toBeCloseTo(1, 6);
          state = done.state;
          // Two roundings of the parameter a step, each of 6e-8 at most, add up like a random walk.
          compare("param", state.param, want.param, 1e-14 * (i + 1), 1e-6);
          // Gradients of opposite sign cancel in m: its error is in proportion to their sizes.
          const clip = Math.min(1, golden.max_norm / (want.norm + 1e-6));
          sizes = sizes.map((size, j) => {
            const [beta1] = golden.betas;
            return beta1 * size + (1 - beta1) * clip * Math.abs(want.grad[j]!);
          });
          sizes.forEach((size, j) =>
            expect(Math.abs(state.m[j]! - want.m[j]!)).toBeLessThanOrEqual(4e-7 * size),
          );
          compare("v", state.v, want.v, 1e-12);
          // The moved distance, element by element: its sign and size must not drown in the value.
          const before = i === 0 ? golden.start : golden.steps[i - 1]!.param;
          const moved = want.param.map((value, j) => value - before[j]!);
          moved.forEach((distance, j) => {
            const slack = 4e-7 * Math.abs(want.param[j]!) * (i + 1) + 1e-4 * Math.abs(distance);
            expect(Math.abs(state.param[j]! - want.param[j]!)).toBeLessThanOrEqual(slack);
          });
        }
      });
    }
  }

  it("moves only by decay where gradient and moments are 0, also with eps 0 excluded", async () => {
    const options = { learningRate: 0.5, beta1: 0.9, beta2: 0.99, eps: 1e-8, weightDecay: 0.1 };
    const state = { param: Float32Array.of(2, -4), m: zeros(2), v: zeros(2) };
    const done = await step(state, zeros(2), 1, { ...options, step: 1 });
    compare("param", done.state.param, [2 * 0.95, -4 * 0.95], 1e-14);
  });

  for (const bad of [Infinity, -Infinity, NaN, 3e38]) {
    it(`leaves everything as it is when a gradient is ${bad}`, async () => {
      const state = {
        param: randomF32(70, 1),
        m: randomF32(70, 2),
        v: randomF32(70, 3, 0, 1),
      };
      const grad = randomF32(70, 4);
      grad[33] = bad;
      const options = { learningRate: 0.5, beta1: 0.9, beta2: 0.99, eps: 1e-8, weightDecay: 0.1 };
      const done = await step(state, grad, 1, { ...options, step: 3 });
      expect(done.clip[1]).toBe(-1);
      expect(done.state).toEqual(state);
    });
  }

  it("covers more elements than one grid dimension has workgroups", async () => {
    const WG = 8;
    const count = 65_535 * WG + WG + 1;
    const param = periodicF32(count, 1);
    const grad = periodicF32(count, 2);
    const m = periodicF32(count, 3);
    const v = periodicF32(count, 4, 0, 1);
    const options = { learningRate: 0.01, beta1: 0.9, beta2: 0.99, eps: 1e-8, weightDecay: 0.1 };
    const want = adamw(f64(param), f64(grad), f64(m), f64(v), 0.5, { ...options, step: 4 });
    await checkKernel(device(), adamwKernel, {
      consts: { WG },
      buffers: { param, grad, m, v, clip: Float32Array.of(3, 0.5) },
      params: { count, ...adamwParams({ ...options, step: 4 }) },
      expected: want,
      nmse: 1e-12,
    });
  });
});

describe("grad-norm", () => {
  for (const WG of gradNormKernel.tunables["WG"]!) {
    for (const [count, perBlock, first] of [
      [1, 1, 0],
      [1000, 300, 2],
      [4096, 4096, 1],
      // Many blocks once only: barriers of 256 threads are slow on a software driver.
      [WG === 64 ? 70_003 : 703, 1, 0],
    ] as const) {
      it(`equals float64 for ${count} by ${perBlock} at ${first} with WG ${WG}`, async () => {
        const grad = randomF32(count, 1, -3, 3);
        const blocks = Math.ceil(count / perBlock);
        const before = randomF32(first + blocks + 2, 2);
        const want = f64(before);
        for (let b = 0; b < blocks; b++) {
          const block = grad.subarray(b * perBlock, (b + 1) * perBlock);
          want[first + b] = block.reduce((sum, g) => sum + g * g, 0);
        }
        await checkKernel(device(), gradNormKernel, {
          consts: { WG },
          buffers: { grad, partial: before },
          params: { count, perBlock, first },
          expected: { partial: want },
          nmse: 1e-12,
        });
      });
    }
  }
});

describe("clip-coefficient", () => {
  for (const WG of clipCoefficientKernel.tunables["WG"]!) {
    for (const [count, maxNorm] of [
      [1, 0.5],
      [1000, 1e9],
      [777, 0.1],
      [5, 0],
    ] as const) {
      it(`equals float64 for ${count} blocks at ${maxNorm} with WG ${WG}`, async () => {
        const partial = randomF32(count, 1, 0, 2);
        const { norm, coefficient } = clipCoefficient(f64(partial), maxNorm);
        await checkKernel(device(), clipCoefficientKernel, {
          consts: { WG },
          buffers: { partial, clip: zeros(2) },
          params: { count, maxNorm },
          expected: { clip: [norm, coefficient] },
          nmse: 1e-12,
        });
      });
    }
  }
});
