import { describe, expect, it } from "vitest";
import { rowsToAsk } from "../../src/train/draw-groups.ts";
import { MeanMeter } from "../../src/train/mean-meter.ts";

describe("the means of several updates", () => {
  it("are over the updates that measured, and keep faults", () => {
    const meter = new MeanMeter();
    meter.add({ loss: 1, kl: 0.2, "clip_ratio/low_min": NaN });
    meter.add({ loss: 2, kl: 0.4, "clip_ratio/low_min": 0.5, cispo_clip_ratio: 0.1 });
    expect(meter.means()).toEqual({
      loss: 1.5,
      kl: (0.2 + 0.4) / 2,
      "clip_ratio/low_min": 0.5,
      cispo_clip_ratio: 0.1,
    });
    meter.add({ loss: NaN, nothing: NaN });
    expect(meter.means()).toMatchObject({ loss: NaN, nothing: NaN, "clip_ratio/low_min": 0.5 });
  });
});

describe("rows to ask for", () => {
  it.each([
    [10, 1.1, 11],
    [10, 1.11, 12],
    [3, 1.5, 5],
    [1, 1, 1],
    [7, 2, 14],
  ])("%d groups, %d times: %d", (wanted, over, rows) => {
    expect(rowsToAsk(wanted, over)).toBe(rows);
  });
});
