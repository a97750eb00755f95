import { describe, expect, it } from "vitest";
import * as node from "../../src/gpu/node.ts";
import * as web from "../../src/gpu/web.ts";

const after = (ms: number): Promise<number> =>
  new Promise((resolve) => setTimeout(() => resolve(ms), ms));

describe.each([
  ["Node", node.whileWaiting],
  ["a browser", web.whileWaiting],
])("waiting for the GPU in %s", (_, whileWaiting) => {
  it("passes on what the work gives, or its error", async () => {
    expect(await whileWaiting(Promise.resolve(3))).toBe(3);
    expect(await whileWaiting(after(20))).toBe(20);
    await expect(whileWaiting(Promise.reject(new Error("lost")))).rejects.toThrow("lost");
  });

  it("serves other events meanwhile, and several waits at once", async () => {
    let ticks = 0;
    const timer = setInterval(() => ticks++, 5);
    const results = await Promise.all([whileWaiting(after(1200)), whileWaiting(after(1000))]);
    clearInterval(timer);
    expect(results).toEqual([1200, 1000]);
    expect(ticks).toBeGreaterThan(3);
  });

  it("leaves the processor to others", async () => {
    const before = process.cpuUsage();
    const started = performance.now();
    await whileWaiting(after(1500));
    const { user, system } = process.cpuUsage(before);
    expect((user + system) / 1000).toBeLessThan(0.6 * (performance.now() - started));
  });
});
