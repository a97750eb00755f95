import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { differentiate } from "../../../src/ops/differentiate.ts";
import { Extent } from "../../../src/graph/extent.ts";
import { Graph } from "../../../src/graph/graph.ts";
import { logProb } from "../../../src/ops/head.ts";
import { hostStep } from "../../../src/ops/host.ts";
import { Plan } from "../../../src/graph/plan/plan.ts";
import { Storage } from "../../../src/graph/storage.ts";
import { columnsOf, gradientRows } from "../../../src/policy/loss/host-loss.ts";
import { policyLoss } from "../../../src/policy/loss/policy-loss.ts";
import { stepTotals } from "../../../src/policy/loss/totals.ts";
import type { LossResult } from "../../../src/policy/loss/types.ts";
import { useDevice } from "../../helpers/device.ts";
import { batchOf, golden, LOSSES_OF_TRL, settingsOf, type GoldenResult } from "./golden-losses.ts";

const WIDTH = 4;
const TOKENS = 64;
/** The remainder of rounding log-probabilities to f32 where terms of order 1 cancel. */
const FLOOR = 1e-8;

function expectNear(actual: number, expected: number, what: string): void {
  const error = Math.abs(actual - expected);
  expect(
    error <= 1e-5 * Math.abs(expected) + FLOOR,
    `${what}: ${actual} is not ${expected} (${error})`,
  ).toBe(true);
}

describe("the fixtures on the way that training takes: GPU, host loss, GPU", () => {
  const device = useDevice();
  let plan: Plan;
  beforeAll(async () => {
    // Two tokens: a hidden state [x, 0, 0, 0] gives them the logits x and 0.
    const value = new Storage(device(), "head", 2, WIDTH);
    value.upload(Float32Array.from([1, 0, 0, 0, 0, 1, 0, 0]));
    const graph = new Graph();
    const rows = new Extent("rows", 4 * WIDTH);
    const h = graph.input("h", rows, WIDTH);
    const target = graph.input("target", rows, 1, "u32");
    const head = graph.parameter({ name: "head", shape: [2, WIDTH], value, scale: 1 });
    const out = logProb(graph, h, head, target);
    const dOut = graph.keep("dOut", hostStep(graph, "loss", out, 2));
    graph.keep("dh", differentiate(graph, [[out, dOut]], [h]).get(h)!);
    plan = await Plan.compile(device(), graph, { label: "loss", capacity: { rows: TOKENS } });
  });
  afterAll(() => plan?.destroy());

  /** The result of a case whose log-probabilities come from the GPU, and what reaches the logits. */
  async function replay({ batch: name, settings: given }: { batch: string } & GoldenResult) {
    const from = golden.batches[name]!;
    const settings = settingsOf(given);
    const batch = batchOf(from, settings);
    const totals = stepTotals([batch], settings, from.maxCompletionLength);
    const count = from.logp.length;
    const h = new Float32Array(count * WIDTH);
    // Some fixtures have log-probabilities above 0, which no logits give: those are moved down, and
    // up again where the loss reads them.
    const shift = Math.max(0, Math.max(...from.logp) + 0.05);
    const moved = from.logp.map((logp) => logp - shift);
    moved.forEach((logp, row) => (h[row * WIDTH] = logp - Math.log(-Math.expm1(logp))));
    let result: LossResult | undefined;
    plan.writeAll({ h, target: new Uint32Array(count) });
    const loss = (rows: Float32Array) => {
      // Entropies of the fixture belong to no two-token distribution: they stay the fixture's.
      const logp = columnsOf(rows).logp.map((value) => value + shift);
      result = policyLoss({ ...batch, logp }, settings, totals);
      const gradient = gradientRows(result);
      result.dEntropy?.forEach((value, row) => {
        expect(gradient[2 * row + 1]).toBe(Math.fround(value));
        gradient[2 * row + 1] = 0;
      });
      return gradient;
    };
    await plan.run({ rows: count }, {}, { host: { loss } });
    const dh = await plan.read("dh", count);
    // d log p / d x = 1 - p.
    const dLogp = moved.map((logp, row) => dh[row * WIDTH]! / -Math.expm1(logp));
    return { result: result!, dLogp };
  }

  it.each(LOSSES_OF_TRL)("of %s are TRL's to 1e-5", async (loss) => {
    const cases = golden.cases.filter(({ settings }) => settings.loss_type === loss);
    expect(cases.length).toBeGreaterThan(40);
    for (const expected of cases) {
      const about = `${expected.batch} ${JSON.stringify(expected.settings)}`;
      const { result, dLogp } = await replay(expected);
      expectNear(result.loss, expected.loss, `${about}: loss`);
      expected.dLogp.forEach((value, t) => {
        expectNear(dLogp[t]!, value, `${about}: gradient ${t}`);
      });
      expected.dEntropy?.forEach((value, t) => {
        expectNear(result.dEntropy![t]!, value, `${about}: by entropy ${t}`);
      });
      for (const [name, value] of Object.entries(expected.metrics)) {
        if (name === "entropy_coef") continue;
        if (value === null) expect(result.metrics[name], name).toBeNaN();
        else expectNear(result.metrics[name]!, value, `${about}: ${name}`);
      }
    }
  });
});
