import { defineConfig } from "vitest/config";

/** Tests that need an adapter run once per tier; the tier reaches them through `inject("tier")`. */
const gpu = (tier: string) => ({
  test: {
    name: `gpu-${tier}`,
    include: ["test/**/*.gpu.test.ts"],
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
          exclude: ["test/**/*.{gpu,shaders,browser,long}.test.ts"],
          testTimeout: 60_000,
        },
      },
      { test: { name: "shaders", include: ["test/**/*.shaders.test.ts"], testTimeout: 120_000 } },
      gpu("t0"),
      gpu("t1"),
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
