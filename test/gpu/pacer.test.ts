import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Pacer } from "../../src/gpu/pacer.ts";

describe("Pacer", () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it("holds 100 ms of work in a submit and three submits in flight", () => {
    const pacer = new Pacer(1000);
    expect(pacer.submitWork).toBe(100_000);
    pacer.submitted(100_000);
    pacer.submitted(100_000);
    expect(pacer.full).toBe(false);
    pacer.submitted(100_000);
    expect(pacer.full).toBe(true);
    pacer.drained();
    expect(pacer.full).toBe(false);
  });

  it("predicts what is left of the work in flight", () => {
    const pacer = new Pacer(1000);
    expect(pacer.predictedMs).toBe(0);
    vi.advanceTimersByTime(500);
    pacer.submitted(80_000);
    expect(pacer.predictedMs).toBeCloseTo(80);
    vi.advanceTimersByTime(50);
    expect(pacer.predictedMs).toBeCloseTo(30);
    vi.advanceTimersByTime(50);
    expect(pacer.predictedMs).toBe(0);
  });

  it("sleeps through most of the wait, and not at all when it is short", async () => {
    const pacer = new Pacer(1000);
    let awake = false;
    pacer.submitted(100_000);
    const sleeping = pacer.sleep().then(() => (awake = true));
    await vi.advanceTimersByTimeAsync(79);
    expect(awake).toBe(false);
    await vi.advanceTimersByTimeAsync(2);
    expect(awake).toBe(true);
    await sleeping;
    pacer.drained();
    pacer.submitted(4000);
    await pacer.sleep();
    expect(vi.getTimerCount()).toBe(0);
  });

  it.each([
    ["faster", 10_000],
    ["slower", 100],
  ])("learns that the device is %s", async (_, truth) => {
    const pacer = new Pacer(1000);
    for (let step = 0; step < 40; step++) {
      const work = pacer.submitWork;
      pacer.submitted(work);
      const started = performance.now();
      await Promise.all([pacer.sleep(), vi.advanceTimersByTimeAsync(pacer.predictedMs * 0.8)]);
      // What is left after the sleep passes while the promise is awaited.
      const rest = work / truth - (performance.now() - started);
      if (rest > 0) await vi.advanceTimersByTimeAsync(rest);
      pacer.drained();
    }
    expect(pacer.submitWork / 100 / truth).toBeGreaterThan(0.75);
    expect(pacer.submitWork / 100 / truth).toBeLessThan(1.3);
  });
});
