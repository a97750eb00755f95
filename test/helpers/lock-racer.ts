/**
 * A process that takes a lock at a moment that it is told, for lock.test.ts: `alone` is its answer
 * where nobody else was inside.
 */
import { rm, writeFile } from "node:fs/promises";
import { withLock } from "../../src/io/lock/node.ts";

const path = process.argv[2]!;
const inside = `${path.replace(/driver\.lock$/, "")}inside`;

async function alone(): Promise<string> {
  try {
    await writeFile(inside, "", { flag: "wx" });
  } catch {
    return "not alone";
  }
  await new Promise((resolve) => setTimeout(resolve, 2));
  await rm(inside);
  return "alone";
}

process.on("message", (moment: number) => {
  const start = async (): Promise<void> => {
    while (Date.now() < moment);
    process.send!(await withLock(path, alone, { pollMs: 1 }));
  };
  void start();
});
process.send!("ready");
