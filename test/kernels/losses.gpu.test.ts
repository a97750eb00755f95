import { describe, expect, it } from "vitest";
import { nllLossKernel } from "../../src/kernels/nll-loss.ts";
import { policyLossKernel } from "../../src/kernels/policy-loss.ts";
import {
  nllLoss,
  policyLoss,
  type PolicyCoefficients,
  type PolicyTokens,
} from "../../src/reference/policy-loss.ts";
import { f64, periodicF32, zeros } from "../helpers/cases.ts";
import { checkKernel, compare, differences, runKernel } from "../helpers/check-kernel.ts";
import { useDevice } from "../helpers/device.ts";
import { randomF32 } from "../helpers/random-data.ts";

const device = useDevice();

// Fixture: four completions of one prompt, of 4, 3, 4 and 2 tokens. The losses and gradients below
// were printed by TRL's own GRPOTrainer._compute_loss (commit f2cd57710) in float64 with autograd.
const LENGTHS = [4, 3, 4, 2];
const LOGP = [-0.5, -1, -0.2, -0.8, -1.5, -0.3, -0.7, -0.4, -2, -0.9, -0.1, -1.2, -0.6];
const OLD = [-0.7, -1, -0.3, -0.8, -1.2, -0.5, -0.7, -0.4, -1.4, -0.9, -0.2, -1.2, -0.2];
const REF = [-0.6, -1.1, -0.2, -0.9, -1.4, -0.3, -0.9, -0.5, -1.8, -0.7, -0.1, -1, -0.6];
const ENTROPY = [0.9, 1.2, 0.3, 0.8, 1.4, 0.5, 0.7, 0.6, 1.6, 1, 0.2, 1.1, 0.4];
const REWARDS = [1, 0.2, 0.2, 0];
const ROW = LENGTHS.flatMap((length, row) => Array<number>(length).fill(row));

/** (r - mean) / (std + 1e-4) with Bessel's correction, as TRL scales within a group. */
function groupAdvantages(): number[] {
  const mean = REWARDS.reduce((sum, r) => sum + r, 0) / 4;
  const deviation = Math.sqrt(REWARDS.reduce((sum, r) => sum + (r - mean) ** 2, 0) / 3);
  return REWARDS.map((r) => (r - mean) / (deviation + 1e-4));
}

type Share = (row: number, lengths: number[]) => number;
const REDUCTIONS: Record<string, Share> = {
  grpo: (row, lengths) => 1 / (4 * lengths[row]!),
  bnpo: (_, lengths) => 1 / lengths.reduce((a, b) => a + b),
  dapo: (_, lengths) => 1 / lengths.reduce((a, b) => a + b),
  dr_grpo: () => 1 / (4 * 8),
};

interface Variant extends Partial<PolicyCoefficients> {
  accumulate?: number;
  onPolicy?: boolean;
  unscaled?: boolean;
  truncatedRow?: number;
}

/** The tokens of the fixture under a reduction, as the kernel takes them. */
function fixture(reduction: string, variant: Variant) {
  const lengths = LENGTHS.map((length, row) => (row === variant.truncatedRow ? 0 : length));
  const mean = REWARDS.reduce((sum, r) => sum + r, 0) / 4;
  const advantages = variant.unscaled ? REWARDS.map((r) => r - mean) : groupAdvantages();
  const share = REDUCTIONS[reduction]!;
  return {
    tokens: {
      logp: f64(LOGP),
      oldLogp: f64(variant.onPolicy ? LOGP : OLD),
      refLogp: f64(REF),
      entropy: f64(ENTROPY),
      advantage: f64(ROW.map((row) => advantages[row]!)),
      weight: f64(
        ROW.map((row) =>
          lengths[row] === 0 ? 0 : share(row, lengths) / (variant.accumulate ?? 1),
        ),
      ),
    },
    coefficients: {
      epsilonLow: 0.2,
      epsilonHigh: variant.epsilonHigh ?? 0.2,
      beta: variant.beta ?? 0,
      entropyCoef: variant.entropyCoef ?? 0,
    },
  };
}

/** Half a unit of the last digit that the fixture prints, and the rounding of the binary numbers. */
const near = (digits: number) => 0.5 * 10 ** -digits + 1e-12;

const LOSSES: [string, Variant, number][] = [
  ["grpo", {}, -0.04907681],
  ["grpo", { accumulate: 4 }, -0.0122692],
  ["grpo", { onPolicy: true }, 0],
  ["bnpo", {}, -0.19585359],
  ["dr_grpo", {}, -0.07956552],
  ["dapo", {}, -0.19585359],
  ["dapo", { unscaled: true }, -0.086875],
  ["dapo", { epsilonHigh: 0.28 }, -0.19826614],
  ["grpo", { beta: 0.04 }, -0.04873473],
  ["dapo", { beta: 0.04 }, -0.19552295],
  ["dapo", { onPolicy: true }, -0.14740502],
  ["dapo", { onPolicy: true, beta: 0.04 }, -0.14707438],
  ["dapo", { entropyCoef: 0.01 }, -0.20408436],
  ["dapo", { truncatedRow: 2 }, -0.42963185],
  ["grpo", { truncatedRow: 2 }, -0.13161368],
];

const GRADIENTS: [string, Variant, number[]][] = [
  [
    "dapo",
    {},
    [
      0, -0.112721, -0.124577, -0.112721, 0, 0.031772, 0.026013, 0.026013, 0, 0.026013, 0.028748,
      0.060696, 0,
    ],
  ],
  [
    "grpo",
    {},
    [
      0, -0.091586, -0.101218, -0.091586, 0, 0.03442, 0.02818, 0.021135, 0, 0.021135, 0.023358,
      0.098631, 0,
    ],
  ],
  [
    "dr_grpo",
    {},
    [
      0, -0.045793, -0.050609, -0.045793, 0, 0.012907, 0.010568, 0.010568, 0, 0.010568, 0.011679,
      0.024658, 0,
    ],
  ],
  [
    "dapo",
    { beta: 0.04 },
    [
      0.000293, -0.112429, -0.124577, -0.112429, -0.000324, 0.031772, 0.02657, 0.026305, -0.000681,
      0.025331, 0.028748, 0.060015, 0,
    ],
  ],
];

/** Sum of one column of terms over the unmasked tokens, divided by their number. */
function meanTerm(terms: Float64Array, column: number): number {
  let sum = 0;
  let count = 0;
  for (let t = 0; t < terms.length; t += 8) {
    sum += terms[t + column]!;
    count += terms[t + 1]!;
  }
  return sum / count;
}

describe("float64 policy loss", () => {
  for (const [reduction, variant, want] of LOSSES) {
    it(`is TRL's: ${reduction} ${JSON.stringify(variant)}`, () => {
      const { tokens, coefficients } = fixture(reduction, variant);
      const { loss } = policyLoss(tokens, coefficients);
      expect(Math.abs(loss - want)).toBeLessThanOrEqual(near(8));
    });
  }

  for (const [reduction, variant, want] of GRADIENTS) {
    it(`has TRL's gradient: ${reduction} ${JSON.stringify(variant)}`, () => {
      const { tokens, coefficients } = fixture(reduction, variant);
      const { grad } = policyLoss(tokens, coefficients);
      want.forEach((value, t) =>
        expect(Math.abs(grad[t * 2]! - value)).toBeLessThanOrEqual(near(6)),
      );
    });
  }

  it("has TRL's metrics", () => {
    const { tokens, coefficients } = fixture("grpo", {});
    const { terms } = policyLoss(tokens, coefficients);
    expect(meanTerm(terms, 2)).toBeCloseTo(0.008266, 6);
    expect(meanTerm(terms, 4)).toBeCloseTo(0.230769, 6);
    expect(meanTerm(terms, 5)).toBeCloseTo(0.076923, 6);
    expect(meanTerm(terms, 6)).toBeCloseTo(0.823077, 6);
    const wider = policyLoss(tokens, { ...coefficients, epsilonHigh: 0.28 });
    expect(meanTerm(wider.terms, 4) + meanTerm(wider.terms, 5)).toBeCloseTo(0.230769, 6);
  });

  it("has a gradient on policy although its loss is 0", () => {
    const { tokens, coefficients } = fixture("grpo", { onPolicy: true });
    const { grad } = policyLoss(tokens, coefficients);
    tokens.advantage.forEach((advantage, t) =>
      expect(grad[t * 2]).toBeCloseTo(-advantage * tokens.weight[t]!, 12),
    );
  });

  it("has the gradients that central differences show", () => {
    const { tokens } = fixture("grpo", {});
    const coefficients = { epsilonLow: 0.15, epsilonHigh: 0.3, beta: 0.1, entropyCoef: 0.02 };
    const { grad } = policyLoss(tokens, coefficients);
    const byLogp = differences(
      (logp) => policyLoss({ ...tokens, logp }, coefficients).loss,
      tokens.logp,
    );
    const byEntropy = differences(
      (entropy) => policyLoss({ ...tokens, entropy }, coefficients).loss,
      tokens.entropy,
    );
    compare(
      "dlogp",
      grad.filter((_, i) => i % 2 === 0),
      byLogp,
      1e-16,
    );
    compare(
      "dentropy",
      grad.filter((_, i) => i % 2 === 1),
      byEntropy,
      1e-16,
    );
  });
});

/** Runs the kernel on float32 copies of the tokens and compares with float64 on the same numbers. */
async function checkPolicy(tokens: PolicyTokens, options: PolicyCoefficients, WG = 64) {
  const { epsilonLow, epsilonHigh, beta, entropyCoef } = options;
  const single = (values: Float64Array) => Float32Array.from(values);
  const rounded = Object.fromEntries(
    Object.entries(tokens).map(([name, values]) => [name, f64(single(values))]),
  ) as unknown as PolicyTokens;
  const rows = tokens.logp.length;
  const want = policyLoss(rounded, {
    epsilonLow: Math.fround(epsilonLow),
    epsilonHigh: Math.fround(epsilonHigh),
    beta: Math.fround(beta),
    entropyCoef: Math.fround(entropyCoef),
  });
  await checkKernel(device(), policyLossKernel, {
    consts: { WG },
    buffers: {
      out: Float32Array.from({ length: rows * 3 }, (_, i) => {
        const row = Math.floor(i / 3);
        return [tokens.logp[row]!, 1e30, tokens.entropy[row]!][i % 3]!;
      }),
      oldLogp: single(tokens.oldLogp),
      refLogp: single(tokens.refLogp),
      advantage: single(tokens.advantage),
      weight: single(tokens.weight),
      grad: randomF32(rows * 2, 1),
      terms: randomF32(rows * 8, 2),
    },
    params: { rows, epsilonLow, epsilonHigh, beta, entropyCoef },
    expected: { grad: want.grad, terms: want.terms },
    nmse: 1e-12,
    absolute: 1e-6,
  });
}

describe("policy-loss", () => {
  for (const [reduction, variant] of LOSSES) {
    it(`equals float64: ${reduction} ${JSON.stringify(variant)}`, async () => {
      const { tokens, coefficients } = fixture(reduction, variant);
      await checkPolicy(tokens, coefficients);
    });
  }

  for (const [rows, WG] of [
    [1, 64],
    [63, 64],
    [1000, 64],
    [65_535 * 4 + 5, 4],
  ] as const) {
    it(`equals float64 on ${rows} random tokens, a third of them masked`, async () => {
      const logp = f64(periodicF32(rows, 1, -3, 0));
      const shifted = (seed: number) =>
        f64(periodicF32(rows, seed, -0.6, 0.6)).map((value, i) => Math.fround(logp[i]! + value));
      const weight = f64(periodicF32(rows, 6, -0.5, 1)).map((value) => Math.max(value, 0));
      const tokens = {
        logp,
        oldLogp: shifted(2),
        refLogp: shifted(3),
        entropy: f64(periodicF32(rows, 4, 0, 3)),
        advantage: f64(periodicF32(rows, 5, -2, 2)),
        weight,
      };
      const coefficients = { epsilonLow: 0.2, epsilonHigh: 0.28, beta: 0.04, entropyCoef: 0.01 };
      await checkPolicy(tokens, coefficients, WG);
    });
  }

  it("has a precise KL where policy and reference nearly agree", async () => {
    const steps = [1e-6, 1e-4, -1e-3, 0.1, 0.49, 0.51, -0.5, 3].map(Math.fround);
    const zero = new Float64Array(steps.length);
    const tokens = {
      logp: zero,
      oldLogp: zero,
      refLogp: f64(steps),
      entropy: zero,
      advantage: zero,
      weight: zero.map(() => 1),
    };
    const coefficients = { epsilonLow: 0.2, epsilonHigh: 0.2, beta: 1, entropyCoef: 0 };
    const want = policyLoss(tokens, coefficients);
    const result = await runKernel(device(), policyLossKernel, {
      buffers: {
        out: zeros(steps.length * 3),
        oldLogp: zeros(steps.length),
        refLogp: Float32Array.from(steps),
        advantage: zeros(steps.length),
        weight: zeros(steps.length).fill(1),
        grad: zeros(steps.length * 2),
        terms: zeros(steps.length * 8),
      },
      params: { rows: steps.length, ...coefficients },
    });
    steps.forEach((_, t) => {
      expect(result["terms"]![t * 8 + 2]! / want.terms[t * 8 + 2]!).toBeCloseTo(1, 5);
      expect(result["grad"]![t * 2]! / want.grad[t * 2]!).toBeCloseTo(1, 5);
    });
  });

  it("ignores the reference policy when beta is 0, whatever the buffer holds", async () => {
    const { tokens, coefficients } = fixture("dapo", {});
    const wild = { ...tokens, refLogp: tokens.refLogp.map(() => 500) };
    const want = policyLoss(tokens, coefficients);
    const single = (values: Float64Array) => Float32Array.from(values);
    const result = await runKernel(device(), policyLossKernel, {
      buffers: {
        out: Float32Array.from({ length: 39 }, (_, i) => (i % 3 === 0 ? LOGP[i / 3]! : 0)),
        oldLogp: single(tokens.oldLogp),
        refLogp: single(wild.refLogp),
        advantage: single(tokens.advantage),
        weight: single(tokens.weight),
        grad: zeros(26),
        terms: zeros(104),
      },
      params: { rows: 13, ...coefficients },
    });
    compare("grad", result["grad"]!, want.grad, 1e-12);
  });
});

describe("nll-loss", () => {
  for (const [rows, WG] of [
    [1, 64],
    [1000, 64],
    [65_535 * 4 + 5, 4],
  ] as const) {
    it(`equals float64 on ${rows} tokens`, async () => {
      const out = periodicF32(rows * 3, 1, -3, 0);
      const weight = periodicF32(rows, 2, -0.5, 1).map((value) => Math.max(value, 0));
      const logp = f64(out).filter((_, i) => i % 3 === 0);
      const { grad, terms } = nllLoss(logp, f64(weight));
      await checkKernel(device(), nllLossKernel, {
        consts: { WG },
        buffers: { out, weight, grad: zeros(rows * 2), terms: zeros(rows * 2) },
        params: { rows },
        expected: { grad, terms },
        nmse: 1e-12,
      });
    });
  }

  it("has the gradient that central differences show", () => {
    const logp = f64(randomF32(5, 1, -3, 0));
    const weight = Float64Array.of(0.5, 0, 1, 0.25, 0);
    const got = nllLoss(logp, weight).grad.filter((_, i) => i % 2 === 0);
    compare(
      "dlogp",
      got,
      differences((x) => nllLoss(x, weight).loss, logp),
      1e-16,
    );
  });
});
