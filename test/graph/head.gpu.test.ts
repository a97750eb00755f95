import { describe, expect, it } from "vitest";
import { differentiate } from "../../src/ops/differentiate.ts";
import { Extent } from "../../src/graph/extent.ts";
import { Graph } from "../../src/graph/graph.ts";
import { logProb } from "../../src/ops/head.ts";
import { nllLoss } from "../../src/ops/loss.ts";
import { Plan } from "../../src/graph/plan/plan.ts";
import { Storage } from "../../src/graph/storage.ts";
import { compare } from "../helpers/check-kernel.ts";
import { useDevice } from "../helpers/device.ts";
import { randomF32, randomU32 } from "../helpers/random-data.ts";

const WIDTH = 16;

/** Mean negative log-likelihood with its gradients, in float64. */
function reference(h: Float32Array, w: Float32Array, target: Uint32Array, vocab: number) {
  const rows = target.length;
  const dh = new Float64Array(h.length);
  const dw = new Float64Array(w.length);
  const logp = new Float64Array(rows);
  for (let r = 0; r < rows; r++) {
    const z = Array.from({ length: vocab }, (_, v) => {
      let sum = 0;
      for (let d = 0; d < WIDTH; d++) sum += h[r * WIDTH + d]! * w[v * WIDTH + d]!;
      return sum;
    });
    const top = Math.max(...z);
    const lse = top + Math.log(z.reduce((sum, value) => sum + Math.exp(value - top), 0));
    logp[r] = z[target[r]!]! - lse;
    for (let v = 0; v < vocab; v++) {
      const g = (Math.exp(z[v]! - lse) - (v === target[r] ? 1 : 0)) / rows;
      for (let d = 0; d < WIDTH; d++) {
        dh[r * WIDTH + d]! += g * w[v * WIDTH + d]!;
        dw[v * WIDTH + d]! += g * h[r * WIDTH + d]!;
      }
    }
  }
  return { logp, dh, dw };
}

// Rows beyond one tile of 1,024, a vocabulary beyond one tile of 8,192, and a 1 MiB chunk limit.
for (const chunkBytes of [undefined, 2 ** 20]) {
  describe(`log-prob head with chunks of ${chunkBytes ?? "any"} bytes`, () => {
    const device = useDevice(chunkBytes === undefined ? {} : { chunkBytes });
    for (const [rows, vocab] of [
      [5, 97],
      [2500, 130],
      [70, 17_000],
    ] as const) {
      it(`values and gradients of ${rows} rows over ${vocab} tokens`, async () => {
        const storage = new Storage(device(), "w", vocab, WIDTH);
        const gradient = new Storage(device(), "dw", vocab, WIDTH);
        const w = randomF32(vocab * WIDTH, 1);
        storage.upload(w);
        const graph = new Graph();
        const extent = new Extent("rows", 4 * WIDTH);
        const h = graph.input("h", extent, WIDTH);
        const target = graph.input("target", extent, 1, "u32");
        const weight = graph.input("weight", extent, 1);
        const shape = [vocab, WIDTH];
        const head = graph.parameter({ name: "w", shape, value: storage, scale: 1, gradient });
        const out = graph.keep("out", logProb(graph, h, head, target));
        const loss = nllLoss(graph, out, weight);
        graph.keep("dh", differentiate(graph, [[out, loss.gradient]], [h]).get(h)!);
        const plan = await Plan.compile(device(), graph, { label: "head", capacity: { rows } });
        const states = randomF32(rows * WIDTH, 2);
        const targets = randomU32(rows, vocab, 3);
        plan.writeAll({
          h: states,
          target: targets,
          weight: new Float32Array(rows).fill(1 / rows),
        });
        await plan.run({ rows });
        const want = reference(states, w, targets, vocab);
        const logp = (await plan.read("out", rows)).filter((_, i) => i % 3 === 0);
        compare("log-prob", logp, want.logp, 1e-12);
        compare("dh", await plan.read("dh", rows), want.dh, 1e-11);
        compare("dw", await gradient.download(), want.dw, 1e-11);
        expect(storage.chunks.length).toBe(chunkBytes !== undefined && vocab > 16_384 ? 2 : 1);
        plan.destroy();
        storage.destroy();
        gradient.destroy();
      });
    }
  });
}
