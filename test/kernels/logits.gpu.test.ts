import { describe, expect, it } from "vitest";
import {
  logitBackwardKernel,
  logitFinishKernel,
  logitStatsKernel,
} from "../../src/kernels/logits.ts";
import { logitBackward, logitStats } from "../../src/reference/logit-stats.ts";
import { combinations, f64, fuzz, periodicF32, zeros } from "../helpers/cases.ts";
import { checkKernel, compare, differences, runKernel } from "../helpers/check-kernel.ts";
import { useDevice } from "../helpers/device.ts";
import { randomF32, randomU32 } from "../helpers/random-data.ts";

const device = useDevice();

/** Columns [first, first + cols) of a matrix. */
function columns(data: Float32Array, width: number, first: number, cols: number): Float32Array {
  const rows = data.length / width;
  return Float32Array.from({ length: rows * cols }, (_, i) => {
    return data[Math.floor(i / cols) * width + first + (i % cols)]!;
  });
}

async function statsOf(
  logits: Float32Array,
  targets: Uint32Array,
  width: number,
  tile: number,
  invTemperature: number,
  WG: number | boolean,
): Promise<Float32Array> {
  const rows = targets.length;
  let running = randomF32(rows * 4, 9);
  for (let first = 0; first < width; first += tile) {
    const cols = Math.min(tile, width - first);
    const result = await runKernel(device(), logitStatsKernel, {
      consts: { WG },
      buffers: { logits: columns(logits, width, first, cols), targets, running },
      params: { rows, cols, first, invTemperature, reset: first === 0 ? 1 : 0 },
    });
    running = result["running"] as Float32Array<ArrayBuffer>;
  }
  const result = await runKernel(device(), logitFinishKernel, {
    buffers: { running, out: zeros(rows * 3) },
    params: { rows },
  });
  return result["out"] as Float32Array;
}

describe("float64 logit statistics", () => {
  it("are those of a known example", () => {
    // Log-softmax and entropy by hand, at temperatures 1 and 0.7.
    const logits = Float64Array.of(1, 2, 0.5, -1);
    const at = (target: number, invT: number) =>
      logitStats(logits, Uint32Array.of(target), 4, invT);
    [-1.495182, -0.495182, -1.995182, -3.495182].forEach((logp, target) => {
      expect(at(target, 1)[0]).toBeCloseTo(logp, 6);
    });
    expect(at(0, 1)[2]).toBeCloseTo(1.014403, 6);
    [-1.743918, -0.315346, -2.458203, -4.601061].forEach((logp, target) => {
      expect(at(target, 1 / 0.7)[0]).toBeCloseTo(logp, 6);
    });
    expect(at(0, 1 / 0.7)[2]).toBeCloseTo(0.791547, 6);
  });

  it("have the gradients that central differences show", () => {
    const logits = f64(randomF32(15, 1, -3, 3));
    const targets = Uint32Array.of(4, 0, 2);
    const grad = f64(randomF32(6, 2));
    const loss = (x: Float64Array) => {
      const out = logitStats(x, targets, 5, 1.7);
      return [0, 1, 2].reduce(
        (sum, r) => sum + grad[r * 2]! * out[r * 3]! + grad[r * 2 + 1]! * out[r * 3 + 2]!,
        0,
      );
    };
    const got = logitBackward(logits, targets, grad, 5, 1.7);
    compare("dlogits", got, differences(loss, logits), 1e-16);
  });
});

describe("logit-stats and logit-finish", () => {
  for (const WG of logitStatsKernel.tunables["WG"]!) {
    for (const [rows, width, tile] of [
      [1, 1, 1],
      [5, 7, 3],
      ...fuzz(21, 3, [1, 9], [2, 700], [1, 300]),
    ] as const) {
      it(`equal float64 at [${rows}, ${width}] by ${tile} with WG ${WG}`, async () => {
        const logits = randomF32(rows! * width!, 3, -20, 20);
        const targets = randomU32(rows!, width!, 4);
        const out = await statsOf(logits, targets, width!, tile!, 1.25, WG);
        const want = logitStats(f64(logits), targets, width!, 1.25);
        compare("out", out, want, 1e-12, 1e-5);
      });
    }
  }

  it("equal float64 for a vocabulary of 151,936 in tiles of 32,768", async () => {
    const width = 151_936;
    const logits = randomF32(3 * width, 5, -8, 8);
    logits[width + 7] = 30;
    const targets = Uint32Array.of(width - 1, 7, 40_000);
    const out = await statsOf(logits, targets, width, 32_768, 1, 64);
    compare("out", out, logitStats(f64(logits), targets, width, 1), 1e-12, 1e-5);
  });

  it("stay exact for logits of 1000 and give -inf no mass", async () => {
    const logits = Float32Array.of(1000, 999, -Infinity, 998.5, -1000, -1001, -1002, -1003);
    const targets = Uint32Array.of(1, 3);
    const out = await statsOf(logits, targets, 4, 3, 1, 64);
    compare("out", out, logitStats(f64(logits), targets, 4, 1), 1e-12, 1e-4);
  });

  it("cover more rows than one grid dimension has workgroups", async () => {
    const rows = 65_537;
    const logits = periodicF32(rows * 3, 6);
    const targets = Uint32Array.from({ length: rows }, (_, r) => r % 3);
    const out = await statsOf(logits, targets, 3, 3, 1, 8);
    compare("out", out, logitStats(f64(logits), targets, 3, 1), 1e-12, 1e-5);
  });
});

describe("logit-backward", () => {
  const cases = [
    [1, 1, 1, 0],
    [5, 7, 3, 3],
    [2, 2000, 900, 900],
    ...fuzz(22, 3, [1, 9], [2, 700], [1, 300], [0, 0]),
  ];
  for (const consts of combinations(logitBackwardKernel.tunables)) {
    for (const [rows, width, tile, first] of cases as [number, number, number, number][]) {
      it(`equals float64 at [${rows}, ${width}] from ${first}, ${JSON.stringify(consts)}`, async () => {
        const logits = randomF32(rows * width, 3, -9, 9);
        const targets = randomU32(rows, width, 4);
        const grad = randomF32(rows * 2, 5);
        const cols = Math.min(tile, width - first);
        const want = logitBackward(f64(logits), targets, f64(grad), width, 1.25);
        await checkKernel(device(), logitBackwardKernel, {
          consts,
          buffers: {
            logits: columns(logits, width, first, cols),
            targets,
            out: Float32Array.from(logitStats(f64(logits), targets, width, 1.25)),
            grad,
          },
          params: { rows, cols, first, invTemperature: 1.25 },
          expected: { logits: f64(columns(Float32Array.from(want), width, first, cols)) },
          nmse: 1e-11,
        });
      });
    }
  }

  it("covers more rows than one grid dimension has workgroups", async () => {
    const rows = 65_537;
    const logits = periodicF32(rows * 2, 6);
    const targets = Uint32Array.from({ length: rows }, (_, r) => r % 2);
    const grad = periodicF32(rows * 2, 7);
    await checkKernel(device(), logitBackwardKernel, {
      buffers: {
        logits,
        targets,
        out: Float32Array.from(logitStats(f64(logits), targets, 2, 1)),
        grad,
      },
      params: { rows, cols: 2, first: 0, invTemperature: 1 },
      expected: { logits: logitBackward(f64(logits), targets, f64(grad), 2, 1) },
      nmse: 1e-11,
    });
  });
});
