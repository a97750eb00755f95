import { describe, expect, it } from "vitest";
import { MediaCache } from "../../src/data/media-cache.ts";
import type { LoadedMedium } from "../../src/prompt/media.ts";

/** A sound of so many bytes. */
function sound(bytes: number): LoadedMedium {
  const samples = new Float32Array(bytes / 4);
  return {
    kind: "audio",
    audio: { file: "x.wav", samples, sampleRate: 16000, durationS: 1, sourceRate: 16000 },
  };
}

describe("decoded media", () => {
  const settle = () => new Promise((resolve) => setTimeout(resolve));

  it("are decoded once while they are kept, also when asked for twice at a time", async () => {
    const cache = new MediaCache(1000);
    let loads = 0;
    const load = async () => (loads++, sound(400));
    const [a, b] = await Promise.all([cache.get("a", load), cache.get("a", load)]);
    expect(a).toBe(b);
    expect(await cache.get("a", load)).toBe(a);
    expect([loads, cache.bytes]).toEqual([1, 400]);
  });

  it("are given up by last use, within the limit", async () => {
    const cache = new MediaCache(1000);
    const loaded: string[] = [];
    const get = async (name: string) => {
      await cache.get(name, async () => (loaded.push(name), sound(400)));
      await settle();
    };
    for (const name of ["a", "b", "a", "c", "a", "b"]) await get(name);
    expect(loaded).toEqual(["a", "b", "c", "b"]);
    expect(cache.bytes).toBe(800);
  });

  it("larger than the limit, or that failed, are not kept", async () => {
    const cache = new MediaCache(1000);
    await cache.get("large", async () => sound(4000));
    await settle();
    expect(cache.bytes).toBe(0);
    await expect(cache.get("bad", () => Promise.reject(new Error("broken")))).rejects.toThrow();
    await settle();
    expect(await cache.get("bad", async () => sound(4))).toMatchObject({ kind: "audio" });
  });
});
