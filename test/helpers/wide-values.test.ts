import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { openWideGolden, wideError } from "./wide-golden.ts";
import { type WideName, wideTensors } from "./wide-checkpoint.ts";
import { wideTensor } from "./wide-values.ts";

const NAMES: WideName[] = ["omni-7b", "vl-3b", "qwen2-audio-7b"];

/** Values of a tensor that is generated here; larger ones are checked when a checkpoint is written. */
const LARGEST = 2 ** 23;

const product = (shape: readonly number[]) => shape.reduce((values, size) => values * size, 1);

describe.each(NAMES)("the wide checkpoint %s", (name) => {
  const golden = JSON.parse(
    readFileSync(new URL(`../golden/wide/${name}.json`, import.meta.url), "utf8"),
  ) as { checksums: Record<string, number> };

  it("has the tensors and the values that the Python script filled the model with", () => {
    const tensors = wideTensors(name);
    expect([...tensors.keys()].sort()).toEqual(Object.keys(golden.checksums).sort());
    const small = [...tensors].filter(([, shape]) => product(shape) <= LARGEST);
    expect(small.length).toBeGreaterThan(40);
    for (const [tensor, shape] of small) {
      const words = new Int32Array(product(shape) / 2);
      expect([tensor, wideTensor(tensor, shape).fill(words, 0)]).toEqual([
        tensor,
        golden.checksums[tensor],
      ]);
    }
  });

  it("comes with a prompt whose media fill its placeholders", async () => {
    const { inputIds, positions, images, videos, clips, outputs } = await openWideGolden(name);
    expect(positions.length).toBe(3 * inputIds.length);
    const tokens = (id: number) => inputIds.filter((token) => token === id).length;
    const cells = (media: { grid: number[] }[]) =>
      media.reduce((sum, { grid }) => sum + product(grid) / 4, 0);
    expect(tokens(151655)).toBe(cells(images));
    expect(tokens(151656)).toBe(cells(videos));
    expect(tokens(151646)).toBe(outputs.get("audio_embeds")?.shape[0] ?? 0);
    for (const { mel, frames } of clips) expect(mel.length).toBe(128 * frames);
    for (const { shape, stride, values } of outputs.values()) {
      expect(values.length).toBe(Math.ceil(product(shape) / stride));
    }
  });
});

describe("a tensor of the wide checkpoints", () => {
  it("does not depend on how it is sliced", () => {
    const whole = new Int32Array(3000);
    const tensor = wideTensor("model.layers.0.mlp.up_proj.weight", [60, 100]);
    tensor.fill(whole, 0);
    const part = new Int32Array(1001);
    tensor.fill(part, 1999);
    expect(part).toEqual(whole.subarray(1999));
  });
});

describe("the distance from a golden", () => {
  const golden = { shape: [2, 50], stride: 31, norm: 10, values: new Float32Array([1, 1, 1, 1]) };

  it("is 0 for the output itself and for its last row", () => {
    expect(wideError(golden, new Float32Array(100).fill(1))).toBe(0);
    expect(wideError(golden, new Float32Array(50).fill(1), 50)).toBe(0);
  });

  it("sees an error at a sampled value, and at others in the norm", () => {
    const output = new Float32Array(100).fill(1);
    output[62] = 2;
    expect(wideError(golden, output)).toBeCloseTo(0.5, 12);
    output[62] = 1;
    output[63] = 3;
    expect(wideError(golden, output)).toBeCloseTo(Math.sqrt(1.08) - 1, 12);
    expect(() => wideError(golden, output, 1)).toThrow(RangeError);
  });
});
