import { defineConfig } from "vitest/config";

/** Tests that take minutes: installing the package, fetching a driver, whole training runs. */
export default defineConfig({
  test: {
    include: ["test/**/*.long.test.ts"],
    // They measure time and fill the machine, so that two at once would disturb each other.
    fileParallelism: false,
    testTimeout: 600_000,
    hookTimeout: 600_000,
  },
});
