import { expect, inject, it } from "vitest";
import { checkWide } from "../helpers/wide-check.ts";

/** The other families, and tier T0, are in test/long/wide.long.test.ts. */
it.skipIf(inject("tier") !== "t1")(
  "Qwen2.5-VL at real widths, from sharded bf16 in 16-bit storage, equals transformers",
  async () => {
    const report = await checkWide("vl-3b", inject("tier"));
    expect(Object.keys(report).sort()).toEqual([
      "hidden.0",
      "hidden.1",
      "image_embeds",
      "logits",
      "video_embeds",
    ]);
  },
);
