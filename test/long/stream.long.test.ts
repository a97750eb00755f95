import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { measureLoad, writeBigCheckpoint } from "../helpers/big-checkpoint.ts";

describe("host memory while a large checkpoint is loaded", () => {
  const folder = mkdtempSync(join(tmpdir(), "aubade-stream-"));
  afterAll(() => rmSync(folder, { recursive: true }));

  it.each(["t0", "t1"])("stays under 400 MiB beyond the GPU's copy, tier %s", async (tier) => {
    // An embedding of 640 MB, which is the head, too, and nine matrices of 26 MB.
    const bytes = await writeBigCheckpoint(folder, 5_000_000, 200_000);
    for (const storage of ["f16s", "f32"] as const) {
      const { peakExtra, seconds, inexact } = await measureLoad(folder, storage, tier);
      const rate = bytes / 1e9 / seconds;
      const extra = peakExtra / 2 ** 20;
      console.log(
        `${tier} ${storage}: ${(bytes / 1e9).toFixed(2)} GB at ${rate.toFixed(2)} GB/s, ` +
          `${extra.toFixed(0)} MiB beyond the GPU's copy`,
      );
      expect(extra).toBeLessThan(400);
      expect(inexact).toBe(0);
    }
  });
});
