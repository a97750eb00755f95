import { describe, it } from "vitest";
import { nllLossKernel } from "../../src/kernels/logits.ts";
import { nllLoss } from "../../src/reference/nll-loss.ts";
import { f64, periodicF32, zeros } from "../helpers/cases.ts";
import { checkKernel, compare, differences } from "../helpers/check-kernel.ts";
import { useDevice } from "../helpers/device.ts";
import { randomF32 } from "../helpers/random-data.ts";

const device = useDevice();

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
