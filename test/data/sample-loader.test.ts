import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { MediaCache } from "../../src/data/media-cache.ts";
import { SampleLoader } from "../../src/data/sample-loader.ts";
import { Processor } from "../../src/model/processor.ts";

const path = (name: string) => fileURLToPath(new URL(`../${name}`, import.meta.url));

describe("a loader", () => {
  const image = path("golden/media/images/420.jpg");
  const row = (id: string, file: string) => ({
    id,
    conversation: [{ role: "user" as const, content: [{ type: "image" as const, image: file }] }],
  });

  it("decodes ahead what it will load, and tells what is wrong only then", async () => {
    const processor = await Processor.load(path("../assets/tiny"));
    const cache = new MediaCache();
    const loader = new SampleLoader(processor, {}, cache);
    await loader.prefetch([row("a", image), row("b", "/nowhere.jpg"), row("c", image)]);
    const { bytes } = cache;
    expect(bytes).toBeGreaterThan(0);
    expect((await loader.load(row("a", image))).patches.length).toBeGreaterThan(0);
    expect(cache.bytes).toBe(bytes);
    await expect(loader.load(row("b", "/nowhere.jpg"))).rejects.toThrow("/nowhere.jpg");
  });
});
