import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { crc32c, maskedCrc32c } from "../../src/observe/crc32c.ts";
import { type ModelCard, modelCard } from "../../src/observe/model-card.ts";
import { metricPoints, parseMetricRows, rewardCurve } from "../../src/observe/reward-curve.ts";
import { lineChart, niceTicks } from "../../src/observe/svg-chart.ts";
import { tfFileVersion, tfScalars } from "../../src/observe/tfevents.ts";
import { TraceLog } from "../../src/observe/trace.ts";
import { memoryLog } from "../helpers/memory-log.ts";

const ascii = (text: string): Uint8Array => new TextEncoder().encode(text);

describe("TensorBoard events", () => {
  it("CRC-32C of the vectors of RFC 3720", () => {
    expect(crc32c(ascii("123456789"))).toBe(0xe3069283);
    expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa);
    expect(crc32c(new Uint8Array(32).fill(0xff))).toBe(0x62a8ab43);
    expect(crc32c(Uint8Array.from({ length: 32 }, (_, i) => i))).toBe(0x46dd794e);
    expect(maskedCrc32c(new Uint8Array())).toBe(0xa282ead8);
  });

  it("are the bytes that TensorBoard's own writer gives", () => {
    const golden = JSON.parse(
      readFileSync(new URL("../golden/observe/tfevents.json", import.meta.url), "utf8"),
    ) as { scalars: [number, number, Record<string, number>][]; hex: string };
    const records = [
      tfFileVersion(1_700_000_000),
      ...golden.scalars.map(([time, step, scalars]) => tfScalars(time, step, scalars)),
    ];
    expect(Buffer.concat(records).toString("hex")).toBe(golden.hex);
  });
});

describe("trace", () => {
  it("is JSON at its end, and all but the bracket before", () => {
    const log = memoryLog();
    const trace = new TraceLog(log);
    trace.span({ name: "rollout", startUs: 0, durationUs: 1500, args: { step: 1 } });
    trace.span({ name: "optimizer", startUs: 1500, durationUs: 5 });
    const early = new TextDecoder().decode(log.content());
    expect(JSON.parse(`${early.trimEnd().slice(0, -1)}]`)).toHaveLength(3);
    trace.end();
    const events = JSON.parse(new TextDecoder().decode(log.content())) as { ph: string }[];
    expect(events.map((event) => event.ph)).toEqual(["M", "X", "X", "M"]);
    expect(events[1]).toMatchObject({ ts: 0, dur: 1500, pid: 1, tid: 1, args: { step: 1 } });
  });
});

describe("charts", () => {
  it("ticks are round and inside", () => {
    expect(niceTicks(0, 1, 5)).toEqual([0, 0.2, 0.4, 0.6, 0.8, 1]);
    expect(niceTicks(0, 40, 8)).toEqual([0, 5, 10, 15, 20, 25, 30, 35, 40]);
    expect(niceTicks(-0.3, 0.7, 5)).toEqual([-0.2, 0, 0.2, 0.4, 0.6]);
    expect(niceTicks(0.00012, 0.00034, 4)).toEqual([0.0002, 0.0003]);
  });

  it("map data to the frame, leave gaps and escape text", () => {
    const svg = lineChart({
      title: "a < b & c",
      xLabel: "x",
      yLabel: "y",
      yRange: [0, 1],
      series: [
        {
          name: "s",
          points: [
            [0, 0],
            [5, NaN],
            [10, 1],
          ],
        },
      ],
    });
    expect(svg).toContain("<title>a &lt; b &amp; c</title>");
    expect(svg).toContain('d="M58.0 316.0M700.0 64.0"');
    expect(svg).not.toContain("NaN");
  });

  it("stay small for long runs and survive empty and flat data", () => {
    const points = Array.from({ length: 10_000 }, (_, i) => [i, Math.sin(i / 99)] as const);
    const common = { title: "t", xLabel: "x", yLabel: "y" };
    expect(lineChart({ ...common, series: [{ name: "s", points }] }).length).toBeLessThan(12_000);
    for (const some of [
      [],
      [[3, 0.5]],
      [
        [0, 2],
        [9, 2],
      ],
    ] as [number, number][][]) {
      expect(lineChart({ ...common, series: [{ name: "s", points: some }] })).not.toMatch(
        /NaN|Infinity/,
      );
    }
  });

  it("the curve of a run comes from its metrics", () => {
    const rows = parseMetricRows(
      '{"step":0,"eval/overall":0.5}\n{"step":1,"reward":0.5,"kl":null}\n{"step":2,"rew',
    );
    expect(rows).toHaveLength(2);
    expect(metricPoints(rows, "kl")).toEqual([]);
    const svg = rewardCurve(rows, "tiny");
    expect(svg).toContain("held-out</text>");
    const listed = rewardCurve([...rows, { step: 2, "eval/own/overall": 0.7 }], "list");
    expect(listed).toContain("own</text>");
    expect(svg).not.toContain(">format<");
    expect(rewardCurve([{ step: 1, loss: 2 }], "sft")).toContain(">loss</text>");
  });
});

describe("model card", () => {
  const card: ModelCard = {
    name: "tiny-001",
    task: "grpo",
    baseModel: "assets/tiny-omni",
    rewards: [{ name: "format", weight: 0.2, doc: "1 if the whole pattern is there" }],
    benchmarks: [
      {
        ...{ name: "tiny", questions: 300, decoding: "greedy decoding" },
        evaluations: [
          { label: "before", scores: { overall: 0.5, see: 0.48, format: 1 } },
          { label: "after", scores: { overall: 0.9, see: 0.95, both: 0.8, format: 1 } },
        ],
      },
    ],
    steps: 40,
    seconds: 90,
    seed: 42,
    configYaml: "task: grpo\n",
    command: "node train.js configs/tiny.yaml",
    evalCommand: "node eval.js runs/tiny-001/config.yaml model.path=runs/tiny-001/model",
    versions: { aubade: "0.1.0" },
    device: { adapter: "llvmpipe", tier: "T1" },
    limits: ["The errors were put in by the warm start."],
    modelFolder: "model",
    adapters: null,
    family: "Qwen2.5-Omni",
    exported: {
      ...{ dtype: "bf16", files: ["model.safetensors"], tensors: 3, bytes: 600, overflow: 0 },
      changes: { compared: 300, changed: 200, lost: 150 },
    },
    python: "from transformers import Model",
  };

  it("tells rewards, scores with their error, limits and how it was made", () => {
    const text = modelCard(card);
    expect(text).toMatch(/^---\nlibrary_name: aubade\nbase_model: "assets\/tiny-omni"\n/);
    expect(text).toContain("| tiny | overall | see | format | both |");
    expect(text).toContain("| before | 0.500 | 0.480 | 1.000 |  |");
    expect(text).toContain("at most 2.9 points");
    expect(text).toContain("| `format` | 0.2 | 1 if the whole pattern is there |");
    expect(text).toContain("- The errors were put in by the warm start.");
    expect(text).toContain("Device: adapter llvmpipe, tier T1.");
    expect(text).toContain("Qwen2.5-Omni, 3 tensors, 600 bytes, bf16. The scores after training");
    expect(text).toContain("of `model/model.safetensors`, loaded again as it lies there.");
    expect(text).toContain("bf16 rounds 150 of these changes away (75.00 %).");
    expect(text).toContain("```python\nfrom transformers import Model\n```");
    expect(modelCard({ ...card, exported: null })).toContain("No model was exported");
    expect(text).toContain(card.evalCommand);
    const unasked = modelCard({ ...card, benchmarks: [] });
    expect(unasked).toContain("The run asked no held-out questions.");
    expect(unasked).not.toContain("eval.js");
    const more = { ...card.benchmarks[0]!, name: "more", questions: 7, decoding: "sampled" };
    expect(modelCard({ ...card, benchmarks: [...card.benchmarks, more] })).toContain(
      "`more`: sampled, 7 questions",
    );
    expect(text).not.toMatch(/undefined|NaN/);
    expect(modelCard({ ...card, task: "sft", rewards: [] })).not.toContain("## Reward");
  });

  it("says when the folder holds adapters alone", () => {
    expect(modelCard(card)).toContain("| `model/` | the trained weights as safetensors |");
    const text = modelCard({ ...card, adapters: { r: 4, lora_alpha: 8, use_rslora: true } });
    expect(text).toContain("Adapters: r 4, lora_alpha 8, scale lora_alpha / sqrt(r).");
    expect(text).toContain("with GRPO of low-rank adapters: 40 steps");
    expect(text).toContain("adapters in PEFT's format, to be loaded on `assets/tiny-omni` |");
  });
});
