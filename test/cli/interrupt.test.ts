import { afterEach, expect, it, vi } from "vitest";
import { listenForInterrupt } from "../../src/cli/interrupt.ts";

afterEach(() => {
  vi.restoreAllMocks();
});

/** Listens, and counts notices and ends. */
function listening() {
  const exit = vi.spyOn(process, "exit").mockImplementation((() => {}) as () => never);
  const notice = vi.fn<() => void>();
  return { exit, notice, ...listenForInterrupt(notice) };
}

it("the second Ctrl-C ends at once, a closed terminal never does", () => {
  const gone = listening();
  for (let i = 0; i < 3; i++) process.emit("SIGHUP");
  expect(gone.stop.aborted).toBe(true);
  expect(gone.notice).toHaveBeenCalledTimes(1);
  expect(gone.exit).not.toHaveBeenCalled();
  process.emit("SIGINT");
  expect(gone.exit).toHaveBeenCalledWith(130);
  gone.release();
  expect(process.listenerCount("SIGHUP")).toBe(0);
});
