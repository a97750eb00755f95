import { describe, it } from "vitest";
import {
  attentionDecodeKernel,
  attentionDecodeWideKernel,
  attentionKernel,
  kvAppendKernel,
} from "../../src/kernels/attention.ts";
import { chooseAttention, type AttentionChoice } from "../../src/kernels/choose.ts";
import { attentionDecode } from "../../src/reference/attention-decode.ts";
import { f64, periodicF32, zeros } from "../helpers/cases.ts";
import { checkKernel, compare, runKernel } from "../helpers/check-kernel.ts";
import { profileOf, useDevice } from "../helpers/device.ts";
import { randomF32 } from "../helpers/random-data.ts";

const device = useDevice();

/** Branches per prompt and prompt lengths; `step` tokens were decoded before the current one. */
interface Batch {
  prompts: readonly { length: number; branches: number }[];
  heads: number;
  kvHeads: number;
  headDim: number;
  capacity: number;
  step: number;
}

function build({ prompts, heads, kvHeads, headDim, capacity, step }: Batch) {
  const table: number[] = [];
  let start = 0;
  for (const { length, branches } of prompts) {
    for (let b = 0; b < branches; b++) table.push(start, start + length);
    start += length;
  }
  const rows = table.length / 2;
  const width = kvHeads * headDim;
  return {
    rows,
    scale: headDim ** -0.5,
    buffers: {
      q: randomF32(rows * heads * headDim, 1, -3, 3),
      prefixK: randomF32(Math.max(1, start) * width, 2),
      prefixV: randomF32(Math.max(1, start) * width, 3),
      // Rows after the current step are stale memory and must not matter.
      suffixK: randomF32(rows * capacity * width, 4, -3, 3),
      suffixV: randomF32(rows * capacity * width, 5),
      table: Uint32Array.from(table),
      state: Uint32Array.of(step, 99),
      o: zeros(rows * heads * headDim),
    },
  };
}

async function check(batch: Batch, { kernel, consts }: AttentionChoice["decode"]): Promise<void> {
  const { rows, scale, buffers } = build(batch);
  const { heads, kvHeads, headDim, capacity, step } = batch;
  const want = attentionDecode({
    q: f64(buffers.q),
    prefixK: f64(buffers.prefixK),
    prefixV: f64(buffers.prefixV),
    suffixK: f64(buffers.suffixK),
    suffixV: f64(buffers.suffixV),
    table: buffers.table,
    ...{ heads, kvHeads, headDim, capacity, step, scale },
  });
  await checkKernel(device(), kernel, {
    consts: { HEAD_DIM: headDim, ...consts },
    buffers,
    params: { rows, heads, kvHeads, capacity, scale },
    expected: { o: want },
    nmse: 1e-11,
  });
}

const MIXED = [
  { length: 7, branches: 3 },
  { length: 1, branches: 1 },
  { length: 30, branches: 8 },
  { length: 0, branches: 2 },
];

describe("attention-decode", () => {
  for (const headDim of [16, 24, 32, 64, 80, 128]) {
    for (const software of [true, false]) {
      it(`equals float64 with the tile for ${headDim}, software ${software}`, async () => {
        const sizes = { prompts: MIXED, heads: 4, kvHeads: 2, headDim, capacity: 9 };
        const { decode } = chooseAttention(profileOf(software), headDim);
        for (const step of [0, 5, 8]) await check({ ...sizes, step }, decode);
      });
    }
  }

  for (const WG of attentionDecodeWideKernel.tunables["WG"]!) {
    it(`equals float64 over several tiles of keys with WG ${WG}`, async () => {
      const prompts = [
        { length: 300, branches: 3 },
        { length: 127, branches: 2 },
      ];
      const sizes = { prompts, heads: 7, kvHeads: 1, headDim: 24, capacity: 140 };
      const choice = { kernel: attentionDecodeWideKernel, consts: { WG } };
      for (const step of [0, 99, 139]) await check({ ...sizes, step }, choice);
    });
  }

  it("covers more (branch, head) pairs than one grid dimension has workgroups", async () => {
    const prompts = [{ length: 3, branches: 8200 }];
    const sizes = { prompts, heads: 8, kvHeads: 1, headDim: 4, capacity: 1, step: 0 };
    await check(sizes, { kernel: attentionDecodeWideKernel, consts: { WG: 8 } });
  });

  it("covers more branches than one grid dimension has workgroups", async () => {
    const prompts = [
      { length: 2, branches: 500_000 },
      { length: 1, branches: 24_301 },
    ];
    const rows = 524_301;
    const { decode } = chooseAttention(profileOf(true), 4);
    const table = Uint32Array.from({ length: rows * 2 }, (_, i) =>
      i < 1_000_000 ? (i % 2) * 2 : 2 + (i % 2),
    );
    const q = periodicF32(rows * 4, 1);
    const suffixK = periodicF32(rows * 4, 2);
    const suffixV = periodicF32(rows * 4, 3);
    const prefixK = randomF32((prompts[0]!.length + 1) * 4, 4);
    const prefixV = randomF32((prompts[0]!.length + 1) * 4, 5);
    const result = await runKernel(device(), attentionDecodeKernel, {
      consts: { HEAD_DIM: 4, ...decode.consts },
      buffers: {
        ...{ q, prefixK, prefixV, suffixK, suffixV, table },
        state: Uint32Array.of(0),
        o: zeros(rows * 4),
      },
      params: { rows, heads: 1, kvHeads: 1, capacity: 1, scale: 0.5 },
    });
    // The float64 reference on the ends and the seam of the batch.
    for (const first of [0, 499_990, 524_281]) {
      const part = (data: Float32Array) => f64(data.subarray(first * 4, first * 4 + 80));
      const want = attentionDecode({
        q: part(q),
        prefixK: f64(prefixK),
        prefixV: f64(prefixV),
        suffixK: part(suffixK),
        suffixV: part(suffixV),
        table: table.slice(first * 2, first * 2 + 40),
        ...{ heads: 1, kvHeads: 1, headDim: 4, capacity: 1, scale: 0.5, step: 0 },
      });
      compare(`o from ${first}`, part(result["o"] as Float32Array), want, 1e-11);
    }
  });

  it("gives a branch's row what the packed forward gives it", async () => {
    const [heads, kvHeads, headDim, step] = [4, 2, 16, 6];
    const batch = { prompts: [{ length: 11, branches: 2 }], heads, kvHeads, headDim, step };
    const { rows, scale, buffers } = build({ ...batch, capacity: step + 1 });
    const { decode, forward } = chooseAttention(profileOf(true), headDim);
    const decoded = await runKernel(device(), attentionDecodeKernel, {
      consts: { HEAD_DIM: headDim, ...decode.consts },
      buffers,
      params: { rows, heads, kvHeads, capacity: step + 1, scale },
    });
    const packed = await runKernel(device(), attentionKernel, {
      consts: { HEAD_DIM: headDim, MERGE: false, ...forward },
      buffers: {
        q: buffers.q,
        k: Float32Array.of(...buffers.prefixK, ...buffers.suffixK),
        v: Float32Array.of(...buffers.prefixV, ...buffers.suffixV),
        segments: Uint32Array.of(0, 11, 11, 18, 0, 11, 18, 25),
        o: zeros(buffers.o.length),
        lse: zeros(rows * heads),
      },
      params: { rows, heads, kvHeads, keyFirst: 0, keyCount: 25, scale },
    });
    compare("o", packed["o"]!, f64(decoded["o"]!), 1e-12);
  });
});

describe("kv-append", () => {
  for (const [rows, width, capacity, step] of [
    [1, 1, 1, 0],
    [5, 24, 7, 3],
    [5, 24, 7, 6],
    [3, 8, 4, 4],
    [65_536 * 8, 8, 1, 0],
  ] as const) {
    it(`writes step ${step} of ${capacity} for [${rows}, ${width}]`, async () => {
      const k = periodicF32(rows * width, 1);
      const v = periodicF32(rows * width, 2);
      const before = periodicF32(rows * width * capacity, 3);
      const place = (data: Float32Array) => {
        const suffix = before.slice();
        for (let row = 0; step < capacity && row < rows; row++) {
          const at = (row * capacity + step) * width;
          suffix.set(data.subarray(row * width, (row + 1) * width), at);
        }
        return suffix;
      };
      await checkKernel(device(), kvAppendKernel, {
        buffers: { k, v, state: Uint32Array.of(step), suffixK: before, suffixV: before.slice() },
        params: { rows, width, capacity },
        expected: { suffixK: place(k), suffixV: place(v) },
        nmse: 0,
      });
    });
  }
});
