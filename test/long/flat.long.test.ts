import { spawnSync } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { TinyWorkplace, writeConfig } from "../helpers/tiny-run.ts";
import type { Counted, Counts } from "./flat-run.ts";

const script = fileURLToPath(new URL("flat-run.ts", import.meta.url));
const STEPS = 500;
/** Steps after which nothing may grow. */
const WARM = 50;
const EVERY = 50;
/** An id in the padding of the vocabulary, which is never sampled: no completion ends early. */
const NEVER = 383;

describe(`${STEPS} steps of rollouts of fixed length`, () => {
  const place = new TinyWorkplace();
  let steps: Counted[];
  let heap: Counts[];
  beforeAll(async () => {
    await place.make();
    const generation = { eos_token_id: NEVER, pad_token_id: 359 };
    await writeFile(place.path("model", "generation_config.json"), JSON.stringify(generation));
    // Both clips are in every step.
    const train = { max_steps: STEPS, save_steps: 0, prompts_per_step: 2 };
    const output = { completions: true, trace: true };
    await writeConfig(place.path("run.yaml"), place.config({ data: { clips: 2 }, train, output }));
    const out = place.path("counted.json");
    const config = [place.path("run.yaml"), `output.run_dir=${place.path("run")}`];
    const watched = ["--expose-gc", "--import", "tsx", script, out, String(EVERY)];
    const { status } = spawnSync(process.execPath, [...watched, ...config], {
      stdio: ["ignore", "ignore", "inherit"],
    });
    expect(status).toBe(0);
    const lines = (await readFile(out, "utf8")).trim().split("\n");
    steps = lines.map((line) => JSON.parse(line) as Counted);
    heap = steps.flatMap((step) => (step.heap === undefined ? [] : [step.heap]));
  });
  afterAll(() => place.remove());

  it("have completions of one length", async () => {
    const rows = (await readFile(place.path("run", "rollouts.jsonl"), "utf8")).trim().split("\n");
    expect(rows).toHaveLength(4 * STEPS);
    const lengths = rows.map((row) => (JSON.parse(row) as { ids: number[] }).ids.length);
    expect(new Set(lengths)).toEqual(new Set([5]));
  });

  it("leave the counts of GPU objects and their bytes exactly as they are", () => {
    expect(steps).toHaveLength(STEPS);
    const warm = steps[WARM - 1]!.gpu;
    for (const { gpu } of steps.slice(WARM)) expect(gpu).toEqual(warm);
    expect(warm["createBuffer"]).toBe(warm["buffers"]);
  });

  it("leave the counts of objects on the heap exactly as they are", () => {
    const [warm, ...later] = heap.slice(WARM / EVERY - 1).map(countsOf);
    for (const counts of later) expect(counts).toEqual(warm);
    expect(warm!["GPUBuffer"]).toBeGreaterThan(100);
  });

  it("leave the heap as large as it is", () => {
    const slope = (name: string) => slopeOf(heap.slice((2 * WARM) / EVERY - 1), name);
    const [objects, bytes] = [slope("Object"), slope("heapUsed")];
    console.log(`a step adds ${objects.toFixed(3)} objects and ${bytes.toFixed(0)} bytes`);
    expect(objects).toBeLessThan(0.5);
    expect(bytes).toBeLessThan(200);
  });

  it("take as long in the last 50 steps as in the first 50 after the warm-up", () => {
    const median = (from: number, time: "ms" | "cpuMs") => {
      const times = steps.slice(from, from + 50).map((step) => step[time]);
      return times.sort((a, b) => a - b)[25]!;
    };
    const grown = (time: "ms" | "cpuMs") => median(STEPS - 50, time) / median(WARM, time);
    const [wall, cpu] = [grown("ms"), grown("cpuMs")];
    const first = `${median(WARM, "ms").toFixed(1)} ms, ${median(WARM, "cpuMs").toFixed(1)} of CPU`;
    console.log(
      `a step took ${first} at first, ${wall.toFixed(3)} and ${cpu.toFixed(3)} as much last`,
    );
    // With a driver that computes on the CPU the process's own time says it all, and does not
    // depend on what else the machine does.
    expect(steps[0]!.software ? cpu : wall).toBeLessThan(1.2);
  });
});

/**
 * The counts that must not change. Among objects of all classes are some of Node's own, a few of
 * which come and go, and the bytes of the heap hold compiled code: these have slopes instead.
 */
function countsOf({ Object: _all, heapUsed: _bytes, ...counts }: Counts): Counts {
  return counts;
}

/** Least squares growth of a count per step. */
function slopeOf(samples: readonly Counts[], name: string): number {
  const mean = (values: number[]) => values.reduce((sum, v) => sum + v, 0) / values.length;
  const steps = samples.map((_, i) => i * EVERY);
  const values = samples.map((sample) => sample[name]!);
  const [x, y] = [mean(steps), mean(values)];
  const along = mean(steps.map((step, i) => (step - x) * (values[i]! - y)));
  return along / mean(steps.map((step) => (step - x) ** 2));
}
