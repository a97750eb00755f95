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

  it("does not learn from waits without work, nor from very short ones", () => {
    const pacer = new Pacer(1000);
    pacer.drained();
    vi.advanceTimersByTime(1000);
    pacer.drained();
    pacer.submitted(0);
    vi.advanceTimersByTime(1000);
    pacer.drained();
    pacer.submitted(5);
    vi.advanceTimersByTime(4);
    pacer.drained();
    expect(pacer.submitWork).toBe(100_000);
  });

  it.each([
    ["faster", 10_000],
    ["slower", 100],
  ])("learns that the device is %s", (_, truth) => {
    const pacer = new Pacer(1000);
    for (let step = 0; step < 40; step++) {
      const work = pacer.submitWork;
      pacer.submitted(work);
      vi.advanceTimersByTime(work / truth);
      pacer.drained();
    }
    expect(pacer.submitWork / 100 / truth).toBeGreaterThan(0.99);
    expect(pacer.submitWork / 100 / truth).toBeLessThan(1.01);
  });
});
