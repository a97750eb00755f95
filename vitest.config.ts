import { defineConfig } from "vitest/config";

/** Tests that need an adapter; the tier reaches them through `inject("tier")`. */
const gpu = (tier: "t0" | "t1", include: string[], exclude: string[] = []) => ({
  test: {
    name: `gpu-${tier}`,
    include,
    exclude,
    provide: { tier },
    testTimeout: 120_000,
    hookTimeout: 60_000,
  },
});

export default defineConfig({
  test: {
    // One worker per core, also on two cores: a kernel's test computes its float64 reference in
    // JavaScript while the GPU, or the software driver's threads, are busy with another file's.
    maxWorkers: "100%",
    projects: [
      {
        test: {
          name: "unit",
          include: ["test/**/*.test.ts"],
          exclude: ["test/**/*.{gpu,shaders,browser,long,mocked}.test.ts"],
          testTimeout: 60_000,
          // The modules of the program are loaded once a worker, which halves the time.
          isolate: false,
        },
      },
      // Tests that put another package in the place of one: modules of their own for each.
      { test: { name: "mocked", include: ["test/**/*.mocked.test.ts"] } },
      { test: { name: "shaders", include: ["test/**/*.shaders.test.ts"], testTimeout: 120_000 } },
      gpu("t0", ["test/**/*.gpu.test.ts"]),
      // A tier changes kernels and which of them are chosen: T1 repeats what computes with them, the
      // kernels alone and in whole models, not commands, runs and folders.
      gpu(
        "t1",
        [
          "test/{kernels,graph,laws,ops}/**/*.gpu.test.ts",
          "test/families/goldens.gpu.test.ts",
          "test/rollout/greedy.gpu.test.ts",
          "test/gpu/device.gpu.test.ts",
        ],
        ["test/laws/{faults,killed,resume}.gpu.test.ts"],
      ),
      {
        test: {
          name: "browser",
          include: ["test/**/*.browser.test.ts"],
          testTimeout: 240_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
});
