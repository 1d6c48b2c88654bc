import { availableParallelism } from "node:os"
import { defineConfig } from "vitest/config"

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    // Loading Effect and our sources takes longer than most files' tests: a worker does it once, not once per file. No test
    // keeps anything in a module.
    isolate: false,
    maxWorkers: availableParallelism(),
    testTimeout: 30_000,
    hookTimeout: 30_000
  }
})
